//! A configuration, as it is planned with. No secret is needed for that: one that is not there is no hindrance.

use std::path::Path;

use relay_config::checked::Provider;
use relay_config::{Config, Sketch};
use relay_core::{Key, KeyId};
use relay_plan::{Assumed, Estate, Unsaid};
use relay_providers::{Account, Kind};

use crate::environment::Environment;
use crate::find::{Found, locate};
use crate::report::Failure;

/// A configuration with the organizations that it most likely has behind it.
pub(super) struct Planned {
    /// What it is called.
    pub(super) name: String,
    pub(super) estate: Estate,
    /// What is to be said of it.
    pub(super) notes: Vec<String>,
}

/// What stands for the key of a provider that has none.
const NO_KEY: &str = "no key";

impl Planned {
    pub(super) fn find(
        named: Option<&Path>,
        environment: &Environment,
        assumed: &Assumed,
    ) -> Result<Self, Failure> {
        let (found, unset) = sketch(named, environment)?;
        let mut notes = Vec::new();
        if !unset.is_empty() {
            notes.push(format!("not set, and not needed for a plan: {}", unset.join(", ")));
        }
        let config = &found.config;
        let mut fleet = config.fleet_of_names();
        for provider in fleet.providers.iter_mut().filter(|provider| provider.keys.is_empty()) {
            provider.keys.push(Key::new(KeyId::of(provider.id, b""), NO_KEY));
            notes.push(format!("{} has no keys; it is planned as if it had one", provider.name));
        }
        let unsaid = |provider: &relay_core::Provider| unsaid(config, &provider.name);
        let mut estate = Estate::of(fleet, assumed, &unsaid);
        estate.head_after = config.server.head_after;
        estate.families = config.routing.families();
        Ok(Self { name: found.name(), estate, notes })
    }
}

/// Finds a configuration, and which variables are not set that were to hold secrets.
fn sketch(named: Option<&Path>, environment: &Environment) -> Result<(Found, Vec<String>), Failure> {
    let lookup = |name: &str| environment.text(name);
    let Some(written) = locate(named, environment)? else {
        return Ok((Found::of(None, Config::without_file(&lookup)?), Vec::new()));
    };
    let sketch = relay_config::sketch(&written.text, written.format, &lookup);
    let Sketch { loaded, unset } = sketch.map_err(|problems| written.problems(problems))?;
    Ok((Found::of(Some(written.file), loaded), unset))
}

/// Only of Anthropic itself is known what it gives to everybody.
fn unsaid(config: &Config, name: &str) -> Unsaid {
    let provider = config.providers.iter().find(|provider| provider.name == name);
    let own = Kind::Anthropic.facts().place.url(&Account::default());
    let own = own.as_deref().and_then(|own| own.strip_prefix("https://"));
    let official = |it: &Provider| it.kind == Kind::Anthropic && it.base_url.host() == own;
    if provider.is_some_and(official) { Unsaid::StartTier } else { Unsaid::Unlimited }
}
