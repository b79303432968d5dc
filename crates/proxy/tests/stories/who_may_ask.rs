//! Credentials over the whole relay: what opens it, what goes upstream, what a guess costs.

use std::time::Duration;

use relay_testkit::story::{Manner, Told, ask};
use relay_testkit::{replies, story};

async fn with_headers(relay: &Told, headers: &[(&'static str, &str)]) -> u16 {
    let mut request = ask("hi", Manner::Whole);
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a valid header"));
    }
    relay.send(request).await.status.as_u16()
}

/// The credentials with which the upstream was asked last.
fn last_credentials(relay: &Told) -> (Option<String>, Option<String>) {
    let seen = relay.upstream("a").seen();
    let last = seen.last().expect("it was asked");
    (last.header("x-api-key").map(str::to_owned), last.header("authorization").map(str::to_owned))
}

fn key(key: &str) -> (Option<String>, Option<String>) {
    (Some(key.to_owned()), None)
}

/// W19 of the old program: the relay's own key and the placeholder were sent to the provider.
#[tokio::test(start_paused = true)]
async fn w19_only_the_pools_key_goes_upstream() {
    let yaml = "server: { listen: \"127.0.0.1:0\", auth: { api_key: relay-key, allow_bearer: true, bearer_secret: relay-bearer } }";
    let relay = story().provider("a", [replies::message("hello")]).with(yaml).start().await;
    for headers in [
        vec![("x-api-key", "relay-key")],
        vec![("authorization", "Bearer relay-bearer")],
        vec![("authorization", "Bearer relay-key")],
        vec![("x-cc-relay-key", "relay-key"), ("x-api-key", "something-else")],
    ] {
        assert_eq!(with_headers(&relay, &headers).await, 200, "{headers:?}");
        assert_eq!(last_credentials(&relay), key("sk-a-1"), "{headers:?}");
        assert_eq!(relay.upstream("a").seen().last().unwrap().header("x-cc-relay-key"), None);
    }
    let open = story().provider("a", [replies::message("hello")]).start().await;
    assert_eq!(with_headers(&open, &[("authorization", "Bearer managed-by-cc-relay")]).await, 200);
    assert_eq!(last_credentials(&open), key("sk-a-1"));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_goes_upstream_alone_and_hears_its_own_refusals() {
    let script = [replies::message("hello"), replies::dead_key(), replies::spent("500")];
    let relay = story().provider("a", script).start().await;
    let bearer = ("authorization", "Bearer sk-ant-oat01-mine");
    assert_eq!(with_headers(&relay, &[bearer]).await, 200);
    assert_eq!(last_credentials(&relay), (None, Some("Bearer sk-ant-oat01-mine".to_owned())));
    assert_eq!(
        with_headers(&relay, &[bearer]).await,
        401,
        "the client's own credential is the client's own fault"
    );
    assert_eq!(with_headers(&relay, &[bearer]).await, 429);
    assert!(relay.report().providers[0].keys.iter().all(|key| key.held.is_empty() && key.totals.leases == 0));
}

#[tokio::test(start_paused = true)]
async fn a_relay_without_keys_passes_the_clients_own_on() {
    let relay = story().provider_with("a", 0, [replies::message("hello")]).start().await;
    assert_eq!(with_headers(&relay, &[("x-api-key", "sk-ant-api-mine")]).await, 200);
    assert_eq!(last_credentials(&relay), key("sk-ant-api-mine"));
    assert_eq!(with_headers(&relay, &[]).await, 401);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_guess_waits_longer_each_time() {
    let relay = story()
        .provider("a", [replies::message("hello")])
        .with("server: { listen: \"127.0.0.1:0\", auth: { api_key: relay-key } }")
        .start()
        .await;
    let mut waited = Vec::new();
    for _ in 0..3 {
        let began = tokio::time::Instant::now();
        assert_eq!(with_headers(&relay, &[("x-api-key", "guess")]).await, 401);
        waited.push(began.elapsed());
    }
    assert_eq!(waited, [100, 200, 400].map(Duration::from_millis));
    let began = tokio::time::Instant::now();
    assert_eq!(with_headers(&relay, &[("x-api-key", "relay-key")]).await, 200);
    assert_eq!(began.elapsed(), Duration::ZERO, "who knows the key does not wait");
    assert!(relay.upstream("a").seen().len() == 1);
}
