//! `status`: is the relay there?

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::program::{PATIENCE, Sandbox, text};
use insta::assert_snapshot;
use socket2::{Domain, Socket, Type};

fn config(port: u16, more: &str) -> String {
    format!(
        "server: {{listen: '127.0.0.1:{port}'{more}}}\nproviders: [{{name: a, type: anthropic, enabled: true}}]\n"
    )
}

/// What `status` says of that port.
fn status(sandbox: &Sandbox, port: u16, more: &str) -> String {
    let path = sandbox.write("status.yaml", &config(port, more));
    sandbox.run(&["status", "--config", text(&path)]).shown().replace(&port.to_string(), "[PORT]")
}

#[test]
fn a_relay_that_runs_is_running() {
    let sandbox = Sandbox::new();
    let (mut running, port) = sandbox.serve(&config(0, ""));
    assert_snapshot!(status(&sandbox, port, ""), @r"
    exit: 0
    --- stdout
    --- stderr
    ✓ cc-relay is running at 127.0.0.1:[PORT]
    ");
    running.signal("TERM");
    assert!(running.end().success());
}

#[test]
fn keys_are_reset_by_the_relay_that_runs() {
    let sandbox = Sandbox::new();
    let config = |port: u16| {
        let server =
            format!("{{listen: '127.0.0.1:{port}', auth: {{clients: [{{name: me, key: sk-relay-me}}]}}}}");
        format!(
            "server: {server}\nproviders: [{{name: a, type: anthropic, enabled: true, keys: [{{key: sk-1}}]}}]\n"
        )
    };
    let (mut running, port) = sandbox.serve(&config(0));
    let path = sandbox.write("reset.yaml", &config(port));
    let reset = |names: &[&str]| {
        let told = sandbox.run(&[&["--config", text(&path), "reset"], names].concat());
        told.stderr.replace(&port.to_string(), "[PORT]")
    };
    let told = reset(&[]);
    let key = told.strip_prefix("✓ keys of a may be asked again: ").and_then(|rest| rest.strip_suffix('\n'));
    let key = key.filter(|key| key.len() == 8).expect("it is called by its id");
    assert_eq!(reset(&["a", key]), told);
    assert_snapshot!(reset(&["a", "none"]), @"error: the relay says: the relay has no such key; `/v1/providers` shows those that it has");
    assert_snapshot!(reset(&["b"]), @"error: there is no provider `b` that is enabled in the configuration");
    running.signal("TERM");
    assert!(running.end().success());
    assert!(
        reset(&["a"]).starts_with("error: cc-relay is not running at 127.0.0.1:[PORT]"),
        "{}",
        reset(&["a"])
    );
}

#[test]
fn a_relay_that_speaks_tls_is_asked_over_tls_and_known_by_its_certificate() {
    let sandbox = Sandbox::new();
    // For another name than the one it is asked by: it is this very certificate that counts.
    let names = || vec!["relay.example.com".to_owned()];
    for name in ["relay", "other"] {
        let certified = rcgen::generate_simple_self_signed(names()).unwrap();
        sandbox.write(&format!("{name}.pem"), &certified.cert.pem());
        sandbox.write(&format!("{name}.key"), &certified.signing_key.serialize_pem());
    }
    let tls = |name: &str| {
        let (certificate, key) = (sandbox.path(&format!("{name}.pem")), sandbox.path(&format!("{name}.key")));
        format!(", tls: {{certificate: '{}', key: '{}'}}", text(&certificate), text(&key))
    };
    let (mut running, port) = sandbox.serve(&config(0, &tls("relay")));
    assert!(running.seen().contains(&format!("https://127.0.0.1:{port}")));
    let shown = status(&sandbox, port, &tls("relay"));
    assert!(shown.contains("✓ cc-relay is running at 127.0.0.1:[PORT]"), "{shown}");
    for (more, why) in [(tls("other"), "certificate"), (String::new(), "what answers is no relay")] {
        let shown = status(&sandbox, port, &more);
        assert!(shown.starts_with("exit: 1\n") && shown.contains("✗ cc-relay is not running"), "{shown}");
        assert!(shown.contains(why), "{shown}");
    }
    running.signal("TERM");
    assert!(running.end().success());
}

#[test]
fn a_relay_that_asks_for_certificates_is_known_to_run() {
    let sandbox = Sandbox::new();
    let certified = rcgen::generate_simple_self_signed(vec!["relay".to_owned()]).unwrap();
    let certificate = sandbox.write("relay.pem", &certified.cert.pem());
    let key = sandbox.write("relay.key", &certified.signing_key.serialize_pem());
    let (certificate, key) = (text(&certificate), text(&key));
    let tls = format!(", tls: {{certificate: '{certificate}', key: '{key}', client_ca: '{certificate}'}}");
    let (mut running, port) = sandbox.serve(&config(0, &tls));
    let shown = status(&sandbox, port, &tls);
    assert!(shown.contains("✓ cc-relay is running at 127.0.0.1:[PORT]"), "{shown}");
    running.signal("TERM");
    assert!(running.end().success());
}

#[test]
fn where_nobody_listens_no_relay_runs() {
    let sandbox = Sandbox::new();
    // Bound, so that nobody else gets the port, but not listening.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    assert_snapshot!(status(&sandbox, port, ""), @r"
    exit: 1
    --- stdout
    --- stderr
    ✗ cc-relay is not running at 127.0.0.1:[PORT]: Connection refused (os error 111)
    ");
}

#[test]
fn somebody_else_is_no_relay() {
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_ne!(stream.read(&mut [0; 1024]).unwrap(), 0);
        stream.write_all(b"220 mail.example.com ESMTP\r\n").unwrap();
    });
    assert_snapshot!(status(&sandbox, port, ""), @r"
    exit: 1
    --- stdout
    --- stderr
    ✗ cc-relay is not running at 127.0.0.1:[PORT]: what answers is no relay, or one in need: `220 mail.example.com ESMTP`
    ");
    other.join().unwrap();
}

#[test]
fn a_port_that_the_system_chose_is_not_guessed() {
    assert_snapshot!(status(&Sandbox::new(), 0, "").replace("[PORT]", "0"), @r"
    exit: 1
    --- stdout
    --- stderr
    ✗ cc-relay is not running at 127.0.0.1:0: the system chooses its port (`server.listen` has port 0): its log says which
    ");
}
