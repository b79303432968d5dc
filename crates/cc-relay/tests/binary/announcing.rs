//! The program asks the simulated provider for the limits of its organization.

use std::time::Duration;

use relay_sim::{Key, Limit, Organization, Settings, Sim};
use tokio::net::TcpListener;

use crate::program::Sandbox;

const ADMIN: &str = "sk-ant-admin01-acme";

/// A provider with one organization.
fn provider() -> Sim {
    let acme = Organization {
        limit: Limit::per_minute(600, 400_000, 80_000, Duration::from_secs(6)),
        admin_keys: vec![Key { name: "admin".to_owned(), secret: ADMIN.to_owned() }],
        ..Organization::open("acme", &[("one", "sk-ant-api03-one")])
    };
    let mut settings = Settings { organizations: vec![acme], ..Settings::default() };
    settings.models.truncate(1);
    Sim::new(settings)
}

#[test]
fn the_limits_that_a_provider_lists_are_known_before_anybody_asks_anything() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let upstream = listener.local_addr().unwrap();
    let sim = runtime.block_on(async { provider() });
    let served = sim.clone();
    runtime.spawn(async move { served.listen(listener, std::future::pending()).await });

    let sandbox = Sandbox::new();
    let config = |admin: &str| {
        format!(
            "server: {{listen: '127.0.0.1:0'}}\nproviders: [{{name: a, type: anthropic, enabled: true, \
             base_url: 'http://{upstream}', keys: [{{key: sk-ant-api03-one, limits_admin_key: {admin}}}]}}]\n"
        )
    };
    let (mut running, _) = sandbox.serve(&config(ADMIN));
    let line = running.line("limits of the organization read");
    assert_eq!(line["key"], "a.keys[0]");
    assert_eq!(line["limits"], "claude-fable-5-2: 600 requests, 400000 input, 80000 output");
    running.signal("TERM");
    assert!(running.end().success());
    assert!(!running.seen().contains(ADMIN), "a secret is in the log");
    assert_eq!(sim.seen().len(), 1, "nothing else was asked");

    // A key for messages is none for lists.
    let (mut running, _) = sandbox.serve(&config("sk-ant-api03-one"));
    let line = running.line("the limits of the organization could not be read");
    assert_eq!(line["error"], "the provider answered 401 Unauthorized");
    running.signal("TERM");
    assert!(running.end().success());
}
