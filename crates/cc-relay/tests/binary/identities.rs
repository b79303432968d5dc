//! Where no key is written, the program is to a cloud what its machine is. Everybody whom it asks for that, and the
//! clouds themselves, are played on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::program::{Sandbox, answer, send, text};

/// One who answers everything, and remembers what he was asked: the first line, the headers in lower case, the body.
#[derive(Clone)]
struct Far {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Far {
    /// `answers` has the JSON for paths that begin so.
    fn begin(answers: &'static [(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let far = Self { address: listener.local_addr().expect("it has one"), asked: Arc::default() };
        let serving = far.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                // Whoever asks may hang up.
                std::thread::spawn(move || drop(serving.serve(&stream, answers)));
            }
        });
        far
    }

    fn serve(&self, mut stream: &TcpStream, answers: &[(&str, &str)]) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        loop {
            let (mut line, mut head, mut length) = (String::new(), String::new(), 0);
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            loop {
                let mut header = String::new();
                reader.read_line(&mut header)?;
                if header.trim().is_empty() {
                    break;
                }
                let (name, value) = header.trim().split_once(':').unwrap_or_default();
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap_or_default();
                }
                head += &[&name.to_lowercase(), ": ", value.trim(), "\n"].concat();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let path = line.split(' ').nth(1).unwrap_or_default();
            let said = answers
                .iter()
                .find(|(beginning, _)| path.starts_with(beginning))
                .map_or("{}", |(_, said)| said);
            let asked = format!("{line}{head}\n{}", String::from_utf8_lossy(&body));
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                said.len()
            );
            stream.write_all(format!("{head}{said}").as_bytes())?;
        }
    }

    /// What it was asked at paths that begin so.
    fn asked(&self, path: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked
            .iter()
            .filter(|asked| asked.split(' ').nth(1).is_some_and(|own| own.starts_with(path)))
            .cloned()
            .collect()
    }
}

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}"#;

const ANSWERS: &[(&str, &str)] = &[
    (
        "/of-a-container",
        r#"{"AccessKeyId":"ASIATEST","SecretAccessKey":"sec/ret+x","Token":"to:ken==","Expiration":"2099-01-01T00:00:00Z"}"#,
    ),
    (
        "/of-a-workload",
        r#"{"access_token":"ya29.test","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3600}"#,
    ),
    (
        "/of-an-app",
        r#"{"access_token":"eyJh.eyJi.c2ln","expires_on":"4070908800","resource":"x","token_type":"Bearer"}"#,
    ),
    ("/", MESSAGE),
];

/// Asks for a message of a model, and returns the answer.
fn ask(port: u16, model: &str) -> String {
    let body =
        json!({"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let head = "POST /v1/messages HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\nanthropic-version: 2023-06-01";
    answer(send(port, &format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())))
}

/// A JWT as a cluster gives it to its workloads. Whoever takes it for another token would look at its signature.
const JWT: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6YTpiIn0.c2ln";

#[test]
fn the_clouds_are_asked_with_what_the_machine_is_to_them() {
    let far = Far::begin(ANSWERS);
    let url = format!("http://{}", far.address);
    let sandbox = Sandbox::new();
    let subject = sandbox.write("subject", JWT);
    let google = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{url}/of-a-workload"),
        "credential_source": {"file": text(&subject)},
    });
    let google = sandbox.write("google.json", &google.to_string());
    let sandbox = sandbox
        .with("PATH", "/usr/bin:/bin")
        .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{url}/of-a-container"))
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("GOOGLE_APPLICATION_CREDENTIALS", text(&google))
        .with("IDENTITY_ENDPOINT", format!("{url}/of-an-app"))
        .with("IDENTITY_HEADER", "of-the-app");
    let config = format!(
        "server: {{listen: '127.0.0.1:0'}}
state: {{enabled: false}}
routing: {{strategy: model_based, model_mapping: {{aws: b, google: v, azure: z}}}}
providers:
  - {{name: b, type: bedrock, enabled: true, aws_region: eu-central-1, base_url: '{url}/bedrock'}}
  - {{name: v, type: vertex, enabled: true, gcp_project_id: my-project, gcp_region: global, base_url: '{url}/vertex'}}
  - {{name: z, type: azure, enabled: true, azure_resource_name: r, base_url: '{url}/azure'}}
"
    );
    let (mut running, port) = sandbox.serve(&config);
    for (model, path, credential) in [
        ("aws-m", "/bedrock/model/aws-m/invoke ", "authorization: AWS4-HMAC-SHA256 Credential=ASIATEST/"),
        (
            "google-m",
            "/vertex/v1/projects/my-project/locations/global/publishers/anthropic/models/google-m:rawPredict ",
            "authorization: Bearer ya29.test\n",
        ),
        ("azure-m", "/azure/v1/messages ", "authorization: Bearer eyJh.eyJi.c2ln\n"),
    ] {
        let answer = ask(port, model);
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(MESSAGE), "{model}: {answer}");
        let asked = far.asked(path.trim());
        assert!(asked.len() == 1 && asked[0].contains(path) && asked[0].contains(credential), "{asked:?}");
        assert!(!asked[0].contains("x-api-key"), "{asked:?}");
    }
    assert!(far.asked("/bedrock")[0].contains("x-amz-security-token: to:ken==\n"));
    let exchanged = far.asked("/of-a-workload");
    assert!(exchanged.len() == 1 && exchanged[0].contains(JWT), "{exchanged:?}");
    assert!(far.asked("/of-an-app")[0].contains("x-identity-header: of-the-app\n"));
    running.signal("TERM");
    assert!(running.end().success());
    let seen = running.seen();
    assert!(
        ["sec/ret+x", "to:ken", "ya29.test", "eyJh"].iter().all(|secret| !seen.contains(secret)),
        "{seen}"
    );
}

#[test]
fn where_the_machine_is_nobody_that_is_said_and_the_call_is_refused() {
    let sandbox = Sandbox::new().with("AWS_EC2_METADATA_DISABLED", "true");
    let config = "server: {listen: '127.0.0.1:0'}
state: {enabled: false}
providers: [{name: b, type: bedrock, enabled: true, aws_region: eu-central-1, base_url: 'http://127.0.0.1:9'}]
";
    let (mut running, port) = sandbox.serve(config);
    let answer = ask(port, "m");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    running.signal("TERM");
    assert!(running.end().success());
    assert!(running.seen().contains("no credential of AWS"), "{}", running.seen());
}
