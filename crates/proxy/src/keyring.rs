//! A key becomes a secret: written in the configuration, read from a file, or printed by a command.
//! It reads and runs; which key is used is not its business.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use relay_config::Config;
use relay_config::checked::{Client, KeySource};
use relay_providers::Secret;
use tokio::process::Command;

/// A command that has not printed a key by then is given up on.
const COMMAND_DEADLINE: Duration = Duration::from_secs(20);

/// The secrets as they are now, by the place of their provider and of themselves in the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Keyring {
    secrets: BTreeMap<(usize, usize), Secret>,
    /// The clients' keys that come from files.
    clients: Vec<Client>,
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

/// Which secrets are fetched anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Renew {
    /// All of them.
    All,
    /// Those from files.
    Files,
    /// Those that commands print.
    Commands,
}

impl Keyring {
    /// Fetches secrets anew; those that are not asked for stay as they were. What could not be had is
    /// absent, and told.
    pub(crate) async fn renewed(&self, config: &Config, renew: Renew) -> (Self, Vec<(String, Absent)>) {
        let mut secrets = BTreeMap::new();
        let mut absent = Vec::new();
        for (index, provider) in config.providers.iter().enumerate() {
            for (place, key) in provider.keys.iter().enumerate() {
                let fetched = match (&key.source, renew) {
                    (KeySource::Value(secret), _) => Ok(secret.clone()),
                    (KeySource::File(path), Renew::All | Renew::Files) => from_file(path).await,
                    (KeySource::Command(command), Renew::All | Renew::Commands) => {
                        from_command(command).await
                    }
                    _ => match self.secret(index, place) {
                        Some(secret) => Ok(secret),
                        None => continue,
                    },
                };
                match fetched {
                    Ok(secret) => {
                        secrets.insert((index, place), secret);
                    }
                    Err(error) => absent.push((format!("{}.keys[{place}]", provider.name), error)),
                }
            }
        }
        let clients = match renew {
            Renew::All | Renew::Files => clients(config, &mut absent).await,
            Renew::Commands => self.clients.clone(),
        };
        (Self { secrets, clients }, absent)
    }

    /// Everyone who may ask: those written in the configuration, and those whose keys are in files.
    pub(crate) fn clients(&self, config: &Config) -> Vec<Client> {
        config.auth.clients.iter().chain(&self.clients).cloned().collect()
    }

    /// The secret of the key in that place, if it could be had.
    pub(crate) fn secret(&self, provider: usize, key: usize) -> Option<Secret> {
        self.secrets.get(&(provider, key)).cloned()
    }
}

async fn clients(config: &Config, absent: &mut Vec<(String, Absent)>) -> Vec<Client> {
    let mut clients = Vec::new();
    for client in &config.auth.client_files {
        match from_file(&client.path).await {
            Ok(secret) => clients.push(Client { name: client.name.clone(), secret }),
            Err(error) => absent.push((format!("auth.clients `{}`", client.name), error)),
        }
    }
    clients
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
