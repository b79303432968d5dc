//! What is compared, and how each is started. Knows the programs and their configurations;
//! refuses to know what is measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::bench::measure::Usage;
use crate::bench::nginx;
use crate::bench::process::{Ending, Running, free_port, local};
use crate::bench::upstream::Reply;
use crate::failure::Failure;
use crate::workshop::{Workshop, write};

/// The key with which the clients of the bench come to the relay.
pub(crate) const CLIENT_KEY: &str = "bench-client";

/// One way from the client to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contestant {
    /// No proxy at all.
    Direct,
    Nginx,
    /// hyper with its customary client, see [`crate::bench::bare`].
    Bare,
    Relay,
}

/// The ways that take part, and the provider at their end.
pub(crate) struct Contestants {
    entries: Vec<(Contestant, Entry)>,
    /// Dropped last: nobody shall miss it.
    _upstream: Running,
}

/// Where a contestant is reached, and what it uses.
pub(crate) struct Entry {
    json: SocketAddr,
    streams: SocketAddr,
    process: Option<Running>,
}

impl Contestant {
    pub(crate) const ALL: [Self; 4] = [Self::Direct, Self::Nginx, Self::Bare, Self::Relay];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Bare => "bare",
            Self::Relay => "relay",
        }
    }

    /// Reads names with commas between them.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, Failure> {
        let find = |name: &str| {
            let found = Self::ALL.into_iter().find(|contestant| contestant.name() == name);
            found.ok_or_else(|| Failure::Usage { problem: format!("there is no contestant `{name}`") })
        };
        text.split(',').map(find).collect()
    }
}

impl Contestants {
    pub(crate) async fn start(workshop: &Workshop, wanted: &[Contestant]) -> Result<Self, Failure> {
        let folder = workshop.target.join("bench");
        std::fs::create_dir_all(&folder).map_err(Failure::file("create", &folder))?;
        let (upstream, port) = start_upstream(&folder).await?;
        let mut entries = Vec::new();
        for &contestant in wanted {
            let entry = match contestant {
                Contestant::Direct => Entry { json: local(port), streams: local(port), process: None },
                Contestant::Nginx => start_nginx(workshop, &folder, port).await?,
                Contestant::Bare => start_bare(&folder, port).await?,
                Contestant::Relay => {
                    let (process, address) =
                        start_relay(&workshop.target.join("release/cc-relay"), &folder, port).await?;
                    Entry { json: address, streams: address, process: Some(process) }
                }
            };
            entries.push((contestant, entry));
        }
        Ok(Self { entries, _upstream: upstream })
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (Contestant, &Entry)> {
        self.entries.iter().map(|(contestant, entry)| (*contestant, entry))
    }
}

impl Entry {
    pub(crate) fn address(&self, reply: Reply) -> SocketAddr {
        if reply.is_stream() { self.streams } else { self.json }
    }

    /// What it has used so far; nothing where there is no proxy.
    pub(crate) fn usage(&self) -> Result<Option<Usage>, Failure> {
        self.process.as_ref().map(Running::usage).transpose()
    }
}

/// Starts this program once more, as a provider.
pub(crate) async fn start_upstream(folder: &Path) -> Result<(Running, u16), Failure> {
    let (port, log) = (free_port()?, folder.join("upstream.log"));
    let words = ["bench-upstream", &port.to_string()];
    let mut process = Running::start(&own_program()?, &words, &log, Ending::Kill)?;
    process.listens(local(port), &log).await?;
    Ok((process, port))
}

/// Starts a relay before a provider on this port, and says where it listens.
pub(crate) async fn start_relay(
    program: &Path,
    folder: &Path,
    upstream: u16,
) -> Result<(Running, SocketAddr), Failure> {
    start_configured(program, &[], folder, |port| relay_configuration(port, upstream)).await
}

/// Starts a relay with the configuration for the port on which it shall listen, and says where that is. `words` are more
/// that it is started with.
pub(crate) async fn start_configured(
    program: &Path,
    words: &[&str],
    folder: &Path,
    configuration: impl FnOnce(u16) -> String,
) -> Result<(Running, SocketAddr), Failure> {
    let (port, log, file) = (free_port()?, folder.join("relay.log"), folder.join("relay.yaml"));
    write(&file, &configuration(port))?;
    let file = file.to_string_lossy();
    let words = [&["serve", "--config", &file], words].concat();
    let mut process = Running::start(program, &words, &log, Ending::Kill)?;
    process.listens(local(port), &log).await?;
    Ok((process, local(port)))
}

async fn start_bare(folder: &Path, upstream: u16) -> Result<Entry, Failure> {
    let (port, log) = (free_port()?, folder.join("bare.log"));
    let words = ["bench-bare", &port.to_string(), &local(upstream).to_string()];
    let mut process = Running::start(&own_program()?, &words, &log, Ending::Kill)?;
    process.listens(local(port), &log).await?;
    Ok(Entry { json: local(port), streams: local(port), process: Some(process) })
}

async fn start_nginx(workshop: &Workshop, folder: &Path, upstream: u16) -> Result<Entry, Failure> {
    // Debian puts it where only the path of root leads.
    let program = workshop.find_program("nginx").or_else(|| {
        let path = PathBuf::from("/usr/sbin/nginx");
        path.is_file().then_some(path)
    });
    let program = program.ok_or_else(|| Failure::Missing {
        what: vec!["nginx"],
        hint: "on Debian: apt-get install nginx-light; or leave it out: --only direct,bare,relay".to_owned(),
    })?;
    let folder = folder.join("nginx");
    let (json, streams, log) = (free_port()?, free_port()?, folder.join("nginx.log"));
    let file = folder.join("nginx.conf");
    write(&file, &nginx::configuration(&folder, upstream, json, streams))?;
    let file = file.to_string_lossy();
    let mut process = Running::start(&program, &["-c", &file], &log, Ending::Terminate)?;
    process.listens(local(json), &log).await?;
    process.listens(local(streams), &log).await?;
    Ok(Entry { json: local(json), streams: local(streams), process: Some(process) })
}

/// One provider with one key, no limits, and a log line for each request.
fn relay_configuration(port: u16, upstream: u16) -> String {
    format!(
        "\
server:
  listen: 127.0.0.1:{port}
  auth:
    api_key: {CLIENT_KEY}
providers:
  - name: bench
    type: anthropic
    enabled: true
    base_url: http://127.0.0.1:{upstream}
    keys:
      - key: bench-provider-key
logging:
  level: info
  format: json
"
    )
}

fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(Failure::connection("looking for this very program"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contestants_are_named() {
        assert_eq!(Contestant::parse_list("relay,direct").unwrap(), [Contestant::Relay, Contestant::Direct]);
        let error = Contestant::parse_list("direct,apache").unwrap_err();
        assert_eq!(error.to_string(), "there is no contestant `apache`");
    }
}
