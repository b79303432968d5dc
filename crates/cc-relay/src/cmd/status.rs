//! `cc-relay status`: is the relay of this configuration running? It asks as a client would.

mod pinned;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use relay_config::checked::{Address, Server, Tls};
use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::cli::Invocation;
use crate::find::find;
use crate::report::{self, Exit, Explained, Outcome};

/// Say whether the relay is running
#[derive(clap::Args)]
pub(crate) struct Status {}

/// How long connecting may take, a TLS handshake included, and how long the answer. The old program had no
/// deadline for the answer, and could hang.
const DEADLINE: Duration = Duration::from_secs(5);

/// The most that is read of an answer. That of a relay is some hundred bytes.
const MOST: u64 = 64 << 10;

/// Why the relay is held to be not running.
#[derive(Debug, thiserror::Error)]
pub(super) enum Absent {
    /// The configuration does not say where it is.
    #[error("the system chooses its port (`server.listen` has port 0): its log says which")]
    AnyPort,
    /// Nobody is there, or nobody who speaks TLS with that certificate.
    #[error(transparent)]
    Unreached(#[from] io::Error),
    /// Nobody answered in time.
    #[error("no {0} within {seconds} seconds", seconds = DEADLINE.as_secs())]
    Late(&'static str),
    /// Somebody else is there.
    #[error("what answers is no relay, or one in need: `{0}`")]
    Strange(String),
    /// The certificate of the listener cannot be read, so it is not known whom to trust.
    #[error("cannot read its certificate `{}`", .0.display())]
    Certificate(PathBuf, #[source] rustls::pki_types::pem::Error),
    /// TLS cannot be set up.
    #[error("cannot ask over TLS")]
    Tls(#[source] rustls::Error),
}

/// What is spoken over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// The runtime that waits cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot start")]
pub(super) struct Unstarted(#[source] pub(super) io::Error);

impl Explained for Unstarted {}

impl Status {
    #[expect(clippy::unused_self, reason = "every command of the table is run in the same way")]
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        let found = find(invocation)?;
        let server = &found.config.server;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Unstarted)?;
        let answer = runtime.block_on(ask(server));
        // The resolver may still be at it.
        runtime.shutdown_background();
        let listen = &server.listen;
        match answer {
            Ok(()) => {
                report::tell(format_args!("✓ cc-relay is running at {listen}"));
                Ok(Exit::Done)
            }
            Err(absent) => {
                report::tell(format_args!(
                    "✗ cc-relay is not running at {listen}: {}",
                    relay_telemetry::chain(&absent)
                ));
                Ok(Exit::Failed)
            }
        }
    }
}

/// Asks the relay of this configuration how it is.
async fn ask(server: &Server) -> Result<(), Absent> {
    let stream = reach(server).await?;
    match in_time("answer", healthy(stream, &server.listen)).await {
        Err(Absent::Unreached(error)) if wants_certificate(&error) => Ok(()),
        other => other,
    }
}

/// A connection to the relay of this configuration.
pub(super) async fn reach(server: &Server) -> Result<Box<dyn Stream>, Absent> {
    if server.listen.port == 0 {
        return Err(Absent::AnyPort);
    }
    match &server.tls {
        None => Ok(Box::new(in_time("connection", connect(&server.listen)).await?)),
        Some(tls) => {
            let secured = async { secure(connect(&server.listen).await?, &server.listen, tls).await };
            Ok(Box::new(in_time("TLS connection", secured).await?))
        }
    }
}

/// Does a relay, which has proved to be the one, only answer clients that show a certificate? Then it runs;
/// more it does not tell us. (Over TLS 1.3, which both speak, that alert comes after its own proof.)
fn wants_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)))
}

pub(super) async fn in_time<T>(
    what: &'static str,
    step: impl Future<Output = Result<T, Absent>>,
) -> Result<T, Absent> {
    tokio::time::timeout(DEADLINE, step).await.unwrap_or(Err(Absent::Late(what)))
}

async fn connect(listen: &Address) -> Result<TcpStream, Absent> {
    // One that listens everywhere is here as well.
    let host = match listen.host.as_str() {
        "" | "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    Ok(TcpStream::connect((host, listen.port)).await?)
}

/// Over TLS with the very certificate of the configuration.
async fn secure(stream: TcpStream, listen: &Address, tls: &Tls) -> Result<TlsStream<TcpStream>, Absent> {
    let config = pinned::client(&tls.certificate)?;
    // Sent to the relay only, which may have certificates for several names; no name is checked.
    let name = ServerName::try_from(listen.host.clone())
        .or_else(|_| ServerName::try_from("localhost"))
        .expect("`localhost` is a name");
    Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
}

/// Asks `/health` on a connection.
async fn healthy(mut stream: impl AsyncRead + AsyncWrite + Unpin, listen: &Address) -> Result<(), Absent> {
    let request = format!("GET /health HTTP/1.1\r\nhost: {listen}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    // The first line is enough; a relay ends the connection anyway.
    let line = loop {
        if let Some(end) = answer.iter().position(|byte| *byte == b'\n') {
            break answer.get(..end).unwrap_or_default();
        }
        let n = stream.read(&mut buffer).await?;
        if n == 0 || answer.len() as u64 > MOST {
            break answer.as_slice();
        }
        answer.extend_from_slice(buffer.get(..n).unwrap_or_default());
    };
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some(version), Some("200")) if version.starts_with("HTTP/1.") => Ok(()),
        _ => Err(Absent::Strange(line.trim().chars().take(80).flat_map(char::escape_debug).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen() -> Address {
        Address { host: "127.0.0.1".to_owned(), port: 1 }
    }

    async fn answered(answer: &[u8]) -> Result<(), Absent> {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        theirs.write_all(answer).await.unwrap();
        theirs.shutdown().await.unwrap();
        healthy(ours, &listen()).await
    }

    #[tokio::test]
    async fn a_relay_answers_200() {
        for good in ["HTTP/1.1 200 OK\r\n\r\n{}", "HTTP/1.0 200\r\n"] {
            answered(good.as_bytes()).await.unwrap();
        }
        for bad in
            ["", "HTTP/1.1 503 Service Unavailable\r\n", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1", "220 200 ok\n"]
        {
            assert!(matches!(answered(bad.as_bytes()).await, Err(Absent::Strange(_))), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut() {
        assert!(
            matches!(answered(&vec![b'x'; 1 << 19]).await, Err(Absent::Strange(line)) if line.len() == 80)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn w54_an_answer_that_never_comes_is_waited_for_five_seconds() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 10);
        // It says something now and then, but never ends its line.
        let drip = async move {
            while theirs.write_all(b"H").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let start = tokio::time::Instant::now();
        let address = listen();
        let asked = in_time("answer", healthy(ours, &address));
        let (asked, ()) = tokio::join!(asked, drip);
        assert_eq!(asked.unwrap_err().to_string(), "no answer within 5 seconds");
        assert_eq!(start.elapsed().as_secs(), 5);
    }
}
