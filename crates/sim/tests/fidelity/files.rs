//! Files, containers and batches over the wire: whose they are, and who finds nothing.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use relay_sim::{Settings, Sim};
use serde_json::{Value, json};

use crate::client::{Reply, call, get, post, request, send};

const AMBER: &str = "sk-ant-api03-sim-amber-1";
const AMBER_TOO: &str = "sk-ant-api03-sim-amber-2";
const BASIL: &str = "sk-ant-api03-sim-basil-1";

async fn upload(sim: &Sim, content_type: &'static str, body: &'static [u8]) -> Reply {
    let mut request = request(Method::POST, "/v1/files", AMBER, Bytes::from_static(body));
    request.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    send(sim, request).await
}

async fn delete(sim: &Sim, key: &str, path: &str) -> Reply {
    send(sim, request(Method::DELETE, path, key, Bytes::new())).await
}

#[tokio::test(start_paused = true)]
async fn a_file_belongs_to_its_organization() {
    let sim = Sim::new(Settings::demo());
    let body = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"n.txt\"\r\n\
        Content-Type: text/plain\r\n\r\nsome notes\r\n--b--\r\n";
    let file = upload(&sim, "multipart/form-data; boundary=b", body).await.json();
    assert_eq!(
        (&file["type"], &file["filename"], &file["size_bytes"]),
        (&json!("file"), &json!("n.txt"), &json!(10))
    );
    let id = file["id"].as_str().expect("an id");
    let path = format!("/v1/files/{id}");
    assert_eq!(get(&sim, AMBER_TOO, &path).await.json(), file);
    let content = get(&sim, AMBER_TOO, &format!("{path}/content")).await;
    assert_eq!(
        (content.body.as_slice(), content.header("content-type")),
        (&b"some notes"[..], Some("text/plain"))
    );
    assert_eq!(get(&sim, AMBER, "/v1/files").await.json()["data"], json!([file]));

    for reply in [
        get(&sim, BASIL, &path).await,
        get(&sim, BASIL, &format!("{path}/content")).await,
        delete(&sim, BASIL, &path).await,
    ] {
        assert_eq!((reply.status.as_u16(), reply.error().0.as_str()), (404, "not_found_error"));
    }
    assert_eq!(get(&sim, BASIL, "/v1/files").await.json()["data"], json!([]));

    let source = json!([{"type": "document", "source": {"type": "file", "file_id": id}}]);
    let naming = call("", &json!({"messages": [{"role": "user", "content": source}]}));
    assert_eq!(post(&sim, AMBER_TOO, "/v1/messages", naming.clone()).await.status, 200);
    assert_eq!(post(&sim, BASIL, "/v1/messages", naming.clone()).await.status, 404);

    assert_eq!(delete(&sim, AMBER_TOO, &path).await.json(), json!({"id": id, "type": "file_deleted"}));
    assert_eq!(post(&sim, AMBER, "/v1/messages", naming).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_multipart_is_the_file() {
    let sim = Sim::new(Settings::demo());
    let file = upload(&sim, "application/pdf", b"%PDF-1.7").await.json();
    assert_eq!((&file["mime_type"], &file["size_bytes"]), (&json!("application/pdf"), &json!(8)));
    let refused = upload(&sim, "multipart/form-data; boundary=b", b"--b--\r\n").await;
    assert_eq!(refused.error().1, "file: Field required");
}

#[tokio::test(start_paused = true)]
async fn a_container_belongs_to_its_organization() {
    let sim = Sim::new(Settings::demo());
    let tools = json!([{"type": "code_execution_20250825", "name": "code_execution"}]);
    let first = post(&sim, AMBER, "/v1/messages", call("run it", &json!({"tools": tools}))).await.json();
    let id = first["container"]["id"].as_str().expect("an id");
    assert_eq!(first["container"]["expires_at"], "2026-12-20T00:00:00Z");
    let naming = |stream: bool| call("go on", &json!({"container": id, "tools": tools, "stream": stream}));
    let again = post(&sim, AMBER_TOO, "/v1/messages", naming(false)).await.json();
    assert_eq!(again["container"]["id"], id);
    let streamed = post(&sim, AMBER_TOO, "/v1/messages", naming(true)).await.events();
    let end = streamed.iter().find(|(name, _)| name == "message_delta").expect("an end");
    assert_eq!(end.1["delta"]["container"]["id"], id);
    let foreign = post(&sim, BASIL, "/v1/messages", naming(false)).await;
    assert_eq!((foreign.status.as_u16(), foreign.error().0.as_str()), (404, "not_found_error"));
    let other = post(&sim, BASIL, "/v1/messages", call("run it", &json!({"tools": tools}))).await.json();
    assert_ne!(other["container"]["id"], id, "equal requests get containers of their own");
}

#[tokio::test(start_paused = true)]
async fn a_batch_runs_to_its_results() {
    let sim = Sim::new(Settings { batch_time: Duration::from_mins(1), ..Settings::demo() });
    let params = |text: &str| -> Value { serde_json::from_slice(&call(text, &json!({}))).expect("json") };
    let body = json!({"requests": [
        {"custom_id": "good", "params": params("sim: say batched")},
        {"custom_id": "bad", "params": {"model": "claude-opus-5-5"}},
    ]});
    let made = post(&sim, AMBER, "/v1/messages/batches", Bytes::from(body.to_string())).await.json();
    assert_eq!((&made["type"], &made["processing_status"]), (&json!("message_batch"), &json!("in_progress")));
    let path = format!("/v1/messages/batches/{}", made["id"].as_str().expect("an id"));
    assert_eq!(get(&sim, AMBER_TOO, &format!("{path}/results")).await.status, 404);
    tokio::time::advance(Duration::from_mins(1)).await;
    let ended = get(&sim, AMBER_TOO, &path).await.json();
    assert_eq!(ended["results_url"], format!("http://sim.test{path}/results"));
    assert_eq!(
        (&ended["request_counts"]["succeeded"], &ended["request_counts"]["errored"]),
        (&json!(1), &json!(1))
    );
    let results = get(&sim, AMBER_TOO, &format!("{path}/results")).await;
    assert_eq!(results.header("content-type"), Some("application/x-jsonl"));
    let text = String::from_utf8(results.body).expect("text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    assert_eq!(lines[0]["result"]["message"]["content"][0]["text"], "batched");
    assert_eq!(lines[1]["result"]["error"]["error"]["message"], "max_tokens: Field required");

    assert_eq!(get(&sim, BASIL, &path).await.status, 404);
    assert_eq!(get(&sim, AMBER, "/v1/messages/batches").await.json()["data"], json!([ended]));
    let cancelled = post(&sim, AMBER, &format!("{path}/cancel"), Bytes::new()).await.json();
    assert_eq!(cancelled["processing_status"], "ended", "it is too late");
}
