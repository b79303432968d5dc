//! `cc-relay reset`: what is held against keys is forgotten, and they are asked again at once. It asks the running relay
//! of the configuration as a client would.

use std::io;
use std::path::PathBuf;

use relay_config::Config;
use relay_config::checked::Server;
use relay_proxy::escaped;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cli::Invocation;
use crate::cmd::status::{Absent, Unstarted, in_time, reach};
use crate::find::find;
use crate::report::{self, Exit, Explained, Outcome};

/// Let keys that rest or are barred be asked again at once
#[derive(clap::Args)]
pub(crate) struct Reset {
    /// A provider of the configuration [default: all of them]
    provider: Option<String>,

    /// One of its keys, as `/v1/providers` and the log call it [default: all of them]
    #[arg(requires = "provider")]
    key: Option<String>,
}

/// The most that is read of an answer, in bytes.
const MOST: u64 = 1 << 20;

/// Why a key was not reset.
#[derive(Debug, thiserror::Error)]
enum NotReset {
    /// Nobody is there to be told.
    #[error("cc-relay is not running at {0}")]
    Absent(String, #[source] Absent),
    /// It says no.
    #[error("the relay says: {0}")]
    Refused(String),
    /// What it answers cannot be read.
    #[error("what answers is no relay, or an older one")]
    Strange,
    /// The configuration has no such provider.
    #[error("there is no provider `{0}` that is enabled in the configuration")]
    NoProvider(String),
    /// The key that opens the relay is in a file, which cannot be read.
    #[error("cannot read the client key `{}`", .0.display())]
    Key(PathBuf, #[source] io::Error),
}

impl Explained for NotReset {}

impl Reset {
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        let config = find(invocation)?.config;
        let all = config.providers.iter().map(|provider| provider.name.as_str());
        let meant: Vec<&str> =
            all.filter(|name| self.provider.as_deref().is_none_or(|wanted| wanted == *name)).collect();
        if let Some(name) = self.provider.as_ref().filter(|_| meant.is_empty()) {
            return Err(NotReset::NoProvider(name.clone()).into());
        }
        let opens = credential(&config)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Unstarted)?;
        for name in meant {
            let request = request(&config.server, name, self.key.as_deref(), opens.as_deref());
            let answer = runtime.block_on(send(&config.server, &request));
            let answer = answer.map_err(|why| NotReset::Absent(config.server.listen.to_string(), why))?;
            let keys = read(&answer)?;
            let keys = if keys.is_empty() { "it has none".to_owned() } else { keys.join(", ") };
            report::tell(format_args!("✓ keys of {name} may be asked again: {keys}"));
        }
        // The resolver may still be at it.
        runtime.shutdown_background();
        Ok(Exit::Done)
    }
}

/// A key that opens the relay, if one is asked for.
fn credential(config: &Config) -> Result<Option<String>, NotReset> {
    if let Some(client) = config.auth.clients.first() {
        return Ok(Some(client.secret.expose().to_owned()));
    }
    let Some(file) = config.auth.client_files.first() else { return Ok(None) };
    let text = std::fs::read_to_string(&file.path);
    let text = text.map_err(|why| NotReset::Key(file.path.clone(), why))?;
    Ok(text.lines().next().map(|line| line.trim().to_owned()))
}

fn request(server: &Server, provider: &str, key: Option<&str>, opens: Option<&str>) -> String {
    let key = key.map(|key| format!("/keys/{}", escaped(key))).unwrap_or_default();
    let path = format!("/v1/providers/{}{key}/reset", escaped(provider));
    let opens = opens.map(|key| format!("x-cc-relay-key: {key}\r\n")).unwrap_or_default();
    let listen = &server.listen;
    format!("POST {path} HTTP/1.1\r\nhost: {listen}\r\n{opens}content-length: 0\r\nconnection: close\r\n\r\n")
}

async fn send(server: &Server, request: &str) -> Result<Vec<u8>, Absent> {
    let mut stream = reach(server).await?;
    in_time("answer", async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        stream.take(MOST).read_to_end(&mut answer).await?;
        Ok(answer)
    })
    .await
}

/// The keys that were reset, or what the relay says to that.
fn read(answer: &[u8]) -> Result<Vec<String>, NotReset> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(NotReset::Strange)?;
    let body: serde_json::Value = serde_json::from_str(body).map_err(|_| NotReset::Strange)?;
    if head.split_ascii_whitespace().nth(1) != Some("200") {
        let said = body.pointer("/error/message").and_then(serde_json::Value::as_str);
        let said = said.ok_or(NotReset::Strange)?;
        return Err(NotReset::Refused(said.chars().flat_map(char::escape_debug).collect()));
    }
    let keys = body.get("key_ids").and_then(serde_json::Value::as_array).ok_or(NotReset::Strange)?;
    Ok(keys.iter().filter_map(serde_json::Value::as_str).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment_of_a_path_each() {
        assert_eq!(escaped("my-provider_1.x~"), "my-provider_1.x~");
        assert_eq!(escaped("a/b?c ü"), "a%2Fb%3Fc%20%C3%BC");
    }

    #[test]
    fn what_the_relay_says_is_told() {
        let ok = b"HTTP/1.1 200 OK\r\n\r\n{\"key_ids\":[\"1f\",\"2e\"]}";
        assert_eq!(read(ok).unwrap(), ["1f", "2e"]);
        let no = b"HTTP/1.1 401 Unauthorized\r\n\r\n{\"error\":{\"message\":\"who?\\u001b\"}}";
        assert_eq!(read(no).unwrap_err().to_string(), "the relay says: who?\\u{1b}");
        for strange in [&b""[..], b"HTTP/1.1 200 OK\r\n\r\nhello", b"HTTP/1.1 200 OK\r\n\r\n{}", b"SSH"] {
            assert!(matches!(read(strange), Err(NotReset::Strange)));
        }
    }
}
