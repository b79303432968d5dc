//! A configuration as `core` sees it: ids, labels and shares, and no secret.

use std::borrow::Cow;
use std::collections::BTreeSet;

use relay_core::{Caps, Fleet, KeyId, Ownership, Prices, ProviderId};
use relay_providers::Secret;

use crate::checked::{Config, Key, KeySource, Limits, Provider};
use crate::show::program;

impl Config {
    /// The fleet of this configuration. `secrets` gives the secret that a `key_file` or `key_command` holds
    /// right now, by the index of the provider and of the key; a key without one is left out.
    pub fn fleet(&self, secrets: &dyn Fn(usize, usize) -> Option<Secret>) -> Fleet {
        let providers = self.providers.iter().enumerate();
        let id = |place: usize| self.providers.get(place).map(|provider| ProviderId::of(&provider.name));
        let ownership = if self.routing.model_based {
            let prefixes = self.routing.prefixes.iter();
            Ownership {
                prefixes: prefixes
                    .filter_map(|(prefix, place)| Some((prefix.clone(), id((*place)?)?)))
                    .collect(),
                default: self.routing.default_provider.and_then(id),
            }
        } else {
            Ownership::default()
        };
        Fleet {
            providers: providers
                .map(|(place, provider)| provider.in_fleet(&|key| secrets(place, key)))
                .collect(),
            strategy: self.routing.strategy,
            ownership,
            max_wait: self.queue.max_wait,
            prefix_wait: self.queue.cold_prefix_wait,
            queue_calls: Some(self.queue.max_calls),
            queue_bytes: Some(self.queue.max_bytes),
            prices: Prices::with(self.prices.iter().cloned()),
            second: self.queue.second,
        }
    }

    /// The fleet where no secret is known: each key goes by the name of the variable, the file or the command that has
    /// its secret, and counts as another one than any other.
    pub fn fleet_of_names(&self) -> Fleet {
        let mut fleet = self.fleet(&|_, _| Some(Secret::new("")));
        for (provider, written) in fleet.providers.iter_mut().zip(&self.providers) {
            let mut taken = BTreeSet::new();
            for (key, written) in provider.keys.iter_mut().zip(&written.keys) {
                let name = written.name();
                let numbered = (2_u32..).map(|number| format!("{name} #{number}"));
                let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name));
                key.label = free.unwrap_or(name);
                key.id = KeyId::of(provider.id, key.label.as_bytes());
                taken.insert(key.label.clone());
            }
        }
        fleet
    }
}

impl Provider {
    fn in_fleet(&self, secrets: &dyn Fn(usize) -> Option<Secret>) -> relay_core::Provider {
        let id = ProviderId::of(&self.name);
        let keys = self.keys.iter().enumerate();
        relay_core::Provider {
            id,
            name: self.name.clone(),
            keys: keys.filter_map(|(place, key)| key.in_fleet(id, &|| secrets(place))).collect(),
            strategy: self.pooling,
            priority: self.priority,
            weight: self.weight,
            accounting: self.kind.facts().accounting,
        }
    }
}

impl Key {
    /// Its id at that provider: made from the secret that is written, or from the place it comes from, so
    /// that a key whose file changes stays the same key.
    pub fn id(&self, provider: ProviderId) -> KeyId {
        let identity: Cow<'_, [u8]> = match &self.source {
            KeySource::Value(secret) => Cow::Borrowed(secret.expose().as_bytes()),
            KeySource::File(path) => Cow::Owned([b"file:", path.as_os_str().as_encoded_bytes()].concat()),
            KeySource::Command(command) => Cow::Owned([b"command:", command.as_bytes()].concat()),
            KeySource::Identity(identity) => Cow::Borrowed(identity.as_str().as_bytes()),
        };
        KeyId::of(provider, &identity)
    }

    /// Where its secret comes from, in a word.
    fn name(&self) -> String {
        let name = match &self.source {
            KeySource::Value(secret) => return self.variable.clone().unwrap_or_else(|| secret.label()),
            KeySource::File(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            KeySource::Command(command) => program(command).map(str::to_owned),
            KeySource::Identity(identity) => Some(identity.as_str().to_owned()),
        };
        name.unwrap_or_else(|| "key".to_owned())
    }

    /// What operators call it while it has that secret. Of an identity every hour has another, and it is the same for all
    /// that.
    pub fn label(&self, secret: &Secret) -> String {
        match &self.source {
            KeySource::Identity(identity) => identity.as_str().to_owned(),
            KeySource::Value(_) | KeySource::File(_) | KeySource::Command(_) => secret.label(),
        }
    }

    fn in_fleet(&self, provider: ProviderId, secret: &dyn Fn() -> Option<Secret>) -> Option<relay_core::Key> {
        let label = match &self.source {
            KeySource::Value(secret) => secret.label(),
            KeySource::File(_) | KeySource::Command(_) | KeySource::Identity(_) => self.label(&secret()?),
        };
        let cap = |limit: u64| Some(limit).filter(|limit| *limit > 0);
        let Limits { requests, input, output, tokens, at_once } = self.limits;
        let caps = Caps {
            requests: cap(requests),
            input: cap(input),
            output: cap(output),
            tokens: cap(tokens),
            at_once: Some(at_once).filter(|most| *most > 0),
        };
        Some(relay_core::Key {
            id: self.id(provider),
            label,
            priority: self.priority,
            weight: self.weight,
            caps,
            group: self.limit_group.clone(),
            workspace: self.workspace.clone(),
        })
    }
}
