//! The relay itself, as a program: the binary that users run, with a configuration file. Knows how to
//! start it and where it listens; refuses to know what it does.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::program::scrubbed;

/// A start takes milliseconds; this is for a machine that does much else.
const START: Duration = Duration::from_secs(30);

/// The word by which a relay says that it is ready, and where.
const READY: &str = "listening";

/// A running relay. It ends when it is dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    _child: Child,
    _reader: JoinSet<()>,
}

impl Relay {
    /// Starts the binary with this configuration and waits until it listens.
    pub(crate) async fn start(configuration: &str, home: &Path) -> Self {
        let file = home.join("config.yaml");
        std::fs::write(&file, configuration).expect("a fresh folder can be written to");
        let mut command = scrubbed(env!("CARGO_BIN_EXE_cc-relay"), home);
        command.arg("serve").arg("--config").arg(&file).stdout(Stdio::null());
        let mut child = command.spawn().expect("the relay starts");
        let stderr = child.stderr.take().expect("standard error is piped");
        let mut lines = BufReader::new(stderr).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let address = timeout(START, ready(&mut lines, &log)).await;
        let address = address.ok().flatten().unwrap_or_else(|| {
            panic!("the relay did not say where it listens:\n{}", text(&log));
        });
        let mut reader = JoinSet::new();
        let kept = Arc::clone(&log);
        reader.spawn(async move { while read(&mut lines, &kept).await.is_some() {} });
        Self { address, log, _child: child, _reader: reader }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that it has logged.
    pub(crate) fn log(&self) -> String {
        text(&self.log)
    }
}

/// Reads on to the line that says where it listens.
async fn ready(lines: &mut Lines<BufReader<ChildStderr>>, log: &Mutex<String>) -> Option<SocketAddr> {
    loop {
        let line = read(lines, log).await?;
        if line.contains(READY) {
            return address_in(&line);
        }
    }
}

async fn read(lines: &mut Lines<BufReader<ChildStderr>>, log: &Mutex<String>) -> Option<String> {
    let line = lines.next_line().await.ok()??;
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.push_str(&line);
    log.push('\n');
    Some(line)
}

/// The first address on loopback that a line names.
fn address_in(line: &str) -> Option<SocketAddr> {
    const HOST: &str = "127.0.0.1:";
    let rest = &line[line.find(HOST)? + HOST.len()..];
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    format!("{HOST}{digits}").parse().ok()
}

fn text(log: &Mutex<String>) -> String {
    log.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
