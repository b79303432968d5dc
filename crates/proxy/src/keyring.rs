//! A key becomes a secret: written in the configuration, read from a file, or printed by a command.
//! It reads and runs; which key is used is not its business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use relay_config::Config;
use relay_config::checked::{Client, KeySource};
use relay_providers::Secret;
use tokio::process::Command;

/// A command that has not printed a key by then is given up on.
const COMMAND_DEADLINE: Duration = Duration::from_secs(20);

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

/// A secret that could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Absent {
    /// Its file cannot be read.
    #[error("`key_file` cannot be read")]
    File(#[source] std::io::Error),
    /// Its command could not be run, or failed.
    #[error("`key_command` failed: {0}")]
    Command(String),
    /// There was nothing in it.
    #[error("the key is empty")]
    Empty,
    /// It is not text.
    #[error("the key is not text")]
    NotText,
}

impl Keyring {
    /// The secrets that are written in the configuration.
    pub(crate) fn written(config: &Config) -> Self {
        let written = sources(config).filter_map(|(place, source)| match source {
            KeySource::Value(secret) => Some((place, secret.clone())),
            KeySource::File(_) | KeySource::Command(_) => None,
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
                Err(Absent::Command(_)) => {}
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

    /// What the commands print now, all at once: one that hangs holds up no other for longer than its deadline.
    pub(crate) async fn commands(config: &Config) -> Self {
        let mut running = tokio::task::JoinSet::new();
        for (place, source) in sources(config) {
            if let KeySource::Command(command) = source {
                let command = command.clone();
                running.spawn(async move { (place, from_command(&command).await) });
            }
        }
        let mut secrets = running.join_all().await;
        secrets.sort_by_key(|(place, _)| *place);
        Self { secrets, clients: Vec::new() }
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

/// What operators call the key in a place.
pub(crate) fn name(config: &Config, (provider, key): Place) -> String {
    let provider = config.providers.get(provider).map_or("", |provider| &provider.name);
    format!("{provider}.keys[{key}]")
}

/// The files that hold secrets.
pub(crate) fn files(config: &Config) -> Vec<PathBuf> {
    let keys = sources(config).filter_map(|(_, source)| match source {
        KeySource::File(path) => Some(path.clone()),
        KeySource::Value(_) | KeySource::Command(_) => None,
    });
    keys.chain(config.auth.client_files.iter().map(|client| client.path.clone())).collect()
}

/// Where each key comes from.
pub(crate) fn sources(config: &Config) -> impl Iterator<Item = (Place, &KeySource)> {
    config.providers.iter().enumerate().flat_map(|(index, provider)| {
        provider.keys.iter().enumerate().map(move |(place, key)| ((index, place), &key.source))
    })
}

async fn from_file(path: &Path) -> Result<Secret, Absent> {
    let text = tokio::fs::read_to_string(path).await.map_err(Absent::File)?;
    first_line(&text)
}

async fn from_command(command: &str) -> Result<Secret, Absent> {
    let failed = |error: std::io::Error| Absent::Command(error.to_string());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let ran = tokio::time::timeout(COMMAND_DEADLINE, shell.output()).await;
    let output = ran.map_err(|_| Absent::Command("it took too long".to_owned()))?.map_err(failed)?;
    if !output.status.success() {
        return Err(Absent::Command(output.status.to_string()));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| Absent::NotText)?;
    first_line(&text)
}

/// The first line, without the space around it: editors and `echo` end files with a newline.
fn first_line(text: &str) -> Result<Secret, Absent> {
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() { Err(Absent::Empty) } else { Ok(Secret::new(line)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_prints_its_key_in_the_first_line() {
        assert_eq!(from_command("printf ' sk-1 \\nmore'").await.unwrap(), Secret::new("sk-1"));
        assert!(matches!(from_command("exit 3").await, Err(Absent::Command(_))));
        assert!(matches!(from_command("true").await, Err(Absent::Empty)));
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_told() {
        assert!(matches!(from_file(Path::new("/nonexistent/key")).await, Err(Absent::File(_))));
    }
}
