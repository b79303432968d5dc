//! A key becomes a secret: written in the configuration, read from a file, or printed by a command.
//! It reads and runs; which key is used is not its business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use relay_config::Config;
use relay_config::checked::{Client, KeySource};
use relay_providers::Secret;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::identity::Identities;

/// A command that has not printed a key by then is given up on.
pub(crate) const COMMAND_DEADLINE: Duration = Duration::from_secs(20);

/// The longest line that is read for a key, in bytes.
const LONGEST: u64 = 64 << 10;

/// The place of a key in the configuration: that of its provider, and its own.
pub(crate) type Place = (usize, usize);

/// The secrets as they are now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Keyring {
    secrets: BTreeMap<Place, Secret>,
    /// The clients' keys that come from files, by their place in the configuration.
    clients: BTreeMap<usize, Client>,
}

/// What was found where secrets come from.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    secrets: Vec<(Place, Result<Secret, Absent>)>,
    clients: Vec<(usize, Result<Client, Absent>)>,
}

/// Commands that print keys, while they run. They end when it is dropped.
#[derive(Debug)]
pub(crate) struct Run {
    running: JoinSet<(Place, Result<Secret, Absent>)>,
    printed: Vec<(Place, Result<Secret, Absent>)>,
}

/// A secret that could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Absent {
    /// Its file cannot be read.
    #[error("`{}` cannot be read", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// Its command could not be run, or failed.
    #[error("`key_command` failed: {0}")]
    Command(String),
    /// The cloud, or the machine, does not tell.
    #[error("no credential of {0}: {1}")]
    Identity(&'static str, String),
    /// There was nothing in it.
    #[error("the key is empty")]
    Empty,
    /// What its file is to be is a folder, a pipe or a device.
    #[error("`{}` is {what}, where a file with the key belongs", path.display())]
    NoFile {
        /// Its path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// It is not visible ASCII characters.
    #[error("the key is not of visible ASCII characters, without spaces")]
    NotText,
}

impl Keyring {
    /// The secrets that are written in the configuration.
    pub(crate) fn written(config: &Config) -> Self {
        let written = sources(config).filter_map(|(place, source)| match source {
            // An empty one is of a variable that is empty: it is not there.
            KeySource::Value(secret) => {
                Some((place, secret.clone())).filter(|(_, secret)| !secret.is_empty())
            }
            KeySource::File(_) | KeySource::Command(_) | KeySource::Identity(_) => None,
        });
        Self { secrets: written.collect(), clients: BTreeMap::new() }
    }

    /// The same with what was found. A key whose file is gone is gone; one whose command failed stays as it was.
    pub(crate) fn with(mut self, fetched: &Fetched) -> Self {
        for (place, found) in &fetched.secrets {
            match found {
                Ok(secret) => {
                    self.secrets.insert(*place, secret.clone());
                }
                Err(Absent::Command(_) | Absent::Identity(..)) => {}
                Err(_) => {
                    self.secrets.remove(place);
                }
            }
        }
        for (place, found) in &fetched.clients {
            match found {
                Ok(client) => {
                    self.clients.insert(*place, client.clone());
                }
                Err(_) => {
                    self.clients.remove(place);
                }
            }
        }
        self
    }

    /// Would something that is there be lost by taking this over?
    pub(crate) fn would_lose(&self, fetched: &Fetched) -> bool {
        fetched.secrets.iter().any(|(place, found)| found.is_err() && self.secrets.contains_key(place))
            || fetched.clients.iter().any(|(place, found)| found.is_err() && self.clients.contains_key(place))
    }

    /// Everyone who may ask: those written in the configuration, and those whose keys are in files.
    pub(crate) fn clients(&self, config: &Config) -> Vec<Client> {
        config.auth.clients.iter().chain(self.clients.values()).cloned().collect()
    }

    /// The secret of the key in that place, if it could be had.
    pub(crate) fn secret(&self, provider: usize, key: usize) -> Option<Secret> {
        self.secrets.get(&(provider, key)).cloned()
    }
}

impl Fetched {
    /// What the files hold now.
    pub(crate) async fn files(config: &Config) -> Self {
        let mut fetched = Self::default();
        for (place, source) in sources(config) {
            if let KeySource::File(path) = source {
                fetched.secrets.push((place, from_file(path).await));
            }
        }
        for (place, client) in config.auth.client_files.iter().enumerate() {
            let found = from_file(&client.path).await;
            let found = found.map(|secret| Client { name: client.name.clone(), secret });
            fetched.clients.push((place, found));
        }
        fetched
    }

    /// What could not be had: where it is in the configuration, and why.
    pub(crate) fn absent<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = (String, &'a Absent)> {
        let keys = self
            .secrets
            .iter()
            .filter_map(|(place, found)| Some((name(config, *place), found.as_ref().err()?)));
        let clients = self.clients.iter().filter_map(|(place, found)| {
            let client = config.auth.client_files.get(*place)?;
            Some((format!("auth.clients `{}`", client.name), found.as_ref().err()?))
        });
        keys.chain(clients)
    }
}

impl Run {
    /// Starts them all at once: one that hangs holds up no other for longer than its deadline.
    pub(crate) fn begin(config: &Config, identities: &Arc<Identities>) -> Self {
        let mut running = JoinSet::new();
        for (place, source) in sources(config) {
            match source {
                KeySource::Command(command) => {
                    let command = command.clone();
                    running.spawn(async move { (place, from_command(&command).await) });
                }
                KeySource::Identity(identity) => {
                    let (identities, identity) = (Arc::clone(identities), *identity);
                    running.spawn(async move { (place, identities.secret(place, identity).await) });
                }
                KeySource::Value(_) | KeySource::File(_) => {}
            }
        }
        Self { running, printed: Vec::new() }
    }

    /// What they have printed, when the last has ended. Whoever stops waiting may go on later.
    pub(crate) async fn printed(&mut self) -> Fetched {
        while let Some(ended) = self.running.join_next().await {
            // One that panicked has printed nothing, and that of its key is not known.
            self.printed.extend(ended.ok());
        }
        let mut secrets = std::mem::take(&mut self.printed);
        secrets.sort_by_key(|(place, _)| *place);
        Fetched { secrets, clients: Vec::new() }
    }
}

/// The keys that commands print, as operators call them.
pub(crate) fn printed(config: &Config) -> impl Iterator<Item = String> {
    let commands = sources(config).filter(|(_, source)| source.is_run());
    commands.map(|(place, _)| name(config, place))
}

/// What operators call the key in a place.
pub(crate) fn name(config: &Config, (provider, key): Place) -> String {
    let provider = config.providers.get(provider).map_or("", |provider| &provider.name);
    format!("{provider}.keys[{key}]")
}

/// The files that hold secrets.
pub(crate) fn files(config: &Config) -> Vec<PathBuf> {
    let keys = sources(config).filter_map(|(_, source)| match source {
        KeySource::File(path) => Some(path.clone()),
        KeySource::Value(_) | KeySource::Command(_) | KeySource::Identity(_) => None,
    });
    keys.chain(config.auth.client_files.iter().map(|client| client.path.clone())).collect()
}

/// Where each key comes from.
pub(crate) fn sources(config: &Config) -> impl Iterator<Item = (Place, &KeySource)> {
    config.providers.iter().enumerate().flat_map(|(index, provider)| {
        provider.keys.iter().enumerate().map(move |(place, key)| ((index, place), &key.source))
    })
}

/// The secret that a file holds.
pub(crate) async fn from_file(path: &Path) -> Result<Secret, Absent> {
    let failed = |error| Absent::File(path.to_owned(), error);
    let file = tokio::fs::metadata(path).await.map_err(failed)?;
    // Whoever opens a pipe waits for its other end; and a device may have no end.
    if !file.is_file() {
        let what = if file.is_dir() { "a folder" } else { "a pipe or a device" };
        return Err(Absent::NoFile { path: path.to_owned(), what });
    }
    first_line(tokio::fs::File::open(path).await.map_err(failed)?, failed).await
}

async fn from_command(command: &str) -> Result<Secret, Absent> {
    let failed = |error: std::io::Error| Absent::Command(error.to_string());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A group of its own, so that what the shell has started ends with it.
    let mut child = shell.process_group(0).spawn().map_err(failed)?;
    let _group = Group(child.id());
    let Some(mut output) = child.stdout.take() else { return Err(Absent::Empty) };
    let printed = async {
        let secret = first_line(&mut output, failed).await;
        // Who prints more is listened to until he has ended, or he would end by that nobody does; but not whoever
        // he leaves behind.
        let mut nowhere = tokio::io::sink();
        let mut rest = std::pin::pin!(tokio::io::copy(&mut output, &mut nowhere));
        let status = tokio::select! {
            status = child.wait() => status,
            // All of it has come, or no more of it can be read.
            _ = &mut rest => child.wait().await,
        };
        let status = status.map_err(failed)?;
        if status.success() { secret } else { Err(Absent::Command(status.to_string())) }
    };
    let late = |_| Absent::Command("it took too long".to_owned());
    tokio::time::timeout(COMMAND_DEADLINE, printed).await.map_err(late)?
}

/// The processes of a command. They end when it is dropped.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            // Most often there is nobody left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// The first line, without the space around it: editors and `echo` end files with a newline. No more is read.
async fn first_line(
    source: impl AsyncRead + Unpin,
    failed: impl FnOnce(std::io::Error) -> Absent,
) -> Result<Secret, Absent> {
    let mut line = Vec::new();
    BufReader::new(source.take(LONGEST)).read_until(b'\n', &mut line).await.map_err(failed)?;
    let line = line.trim_ascii();
    if line.is_empty() {
        return Err(Absent::Empty);
    }
    // As `key` is checked: a byte order mark, say, would go upstream with it.
    let printable = line.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(line).ok().filter(|_| printable).map(Secret::new).ok_or(Absent::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_prints_its_key_in_the_first_line() {
        assert_eq!(from_command("printf ' sk-1 \\nmore'").await.unwrap(), Secret::new("sk-1"));
        assert!(matches!(from_command("exit 3").await, Err(Absent::Command(_))));
        assert!(matches!(from_command("true").await, Err(Absent::Empty)));
        // It has the environment of the relay: variables in it are its own to replace.
        let name = from_command("echo \"${CARGO_PKG_NAME:-relay-proxy}\"").await;
        assert_eq!(name.unwrap(), Secret::new("relay-proxy"));
    }

    /// What goes on printing, or leaves something behind, holds nothing up and fills nothing.
    #[tokio::test]
    async fn a_command_is_through_with_its_first_line_and_leaves_nothing_behind() {
        assert_eq!(from_command("yes sk-1 | head -n 100000").await.unwrap(), Secret::new("sk-1"));
        let zeros = from_command("head -c 10000000 /dev/zero").await;
        assert!(matches!(zeros, Err(Absent::NotText)));
        let folder = tempfile::TempDir::new().unwrap();
        let left = folder.path().join("left");
        let command = format!("(sleep 1000; touch {0}) & echo $! > {0}; echo sk-2", left.display());
        assert_eq!(from_command(&command).await.unwrap(), Secret::new("sk-2"));
        let id: i32 = std::fs::read_to_string(&left).unwrap().trim().parse().unwrap();
        let id = Pid::from_raw(id).unwrap();
        // Its new parent may take a moment to bury it.
        let gone = async {
            while rustix::process::test_kill_process(id).is_ok() && !is_dead(id) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(COMMAND_DEADLINE, gone).await.unwrap();
    }

    fn is_dead(id: Pid) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero()));
        status.is_ok_and(|status| status.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
    }

    #[tokio::test]
    async fn only_a_file_with_visible_characters_holds_a_key() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, " sk-1 \r\nmore").unwrap();
        assert_eq!(from_file(&path).await.unwrap(), Secret::new("sk-1"));
        for bad in ["\u{feff}sk-1\n", "sk 1", "sk-\u{fc}"] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(from_file(&path).await, Err(Absent::NotText)), "{bad}");
        }
        for (path, what) in [(folder.path(), "a folder"), (Path::new("/dev/zero"), "a pipe or a device")] {
            let told = from_file(path).await.unwrap_err().to_string();
            let expect = format!("`{}` is {what}, where a file with the key belongs", path.display());
            assert_eq!(told, expect);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_told() {
        assert!(matches!(from_file(Path::new("/nonexistent/key")).await, Err(Absent::File(..))));
    }
}
