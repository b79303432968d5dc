//! What one request sees of the configuration, from its beginning to its end. Swapped whole.

use std::collections::BTreeMap;

use relay_config::Config;
use relay_config::checked::{self, Auth, DebugOptions, Server, UnifiedHeaders};
use relay_core::{Class, Families, Fleet, Key, KeyId, ProviderId};
use relay_providers::{Adapter, Credential, Models, Offer, Secret, Target};
use relay_transport::{Deadlines, Origin, Transport};

use crate::admit::{Pool, is_here, is_subscription};
use crate::asked::Asked;
use crate::keyring::Keyring;
use crate::live::Held;

/// One view of the world.
pub(crate) struct Snapshot {
    pub(crate) server: Server,
    pub(crate) auth: Auth,
    /// Headers that explain a decision are sent.
    pub(crate) explains: bool,
    pub(crate) unified_headers: UnifiedHeaders,
    pub(crate) debug: DebugOptions,
    /// Which models share limits.
    pub(crate) families: Families,
    pub(crate) fleet: Fleet,
    /// In the order of the configuration.
    pub(crate) providers: Vec<Upstream>,
    pub(crate) transport: Transport,
    /// Has any provider a key to use in place of the client's own?
    pub(crate) pool: Pool,
}

/// One provider, ready to be asked.
pub(crate) struct Upstream {
    pub(crate) id: ProviderId,
    pub(crate) name: String,
    pub(crate) adapter: &'static dyn Adapter,
    pub(crate) origin: Origin,
    pub(crate) target: Target,
    pub(crate) deadlines: Deadlines,
    /// The models it is listed with.
    pub(crate) models: Vec<String>,
    keys: BTreeMap<KeyId, Entry>,
    /// It may see the login of a subscription: it is Anthropic's own API, or on this machine.
    is_anthropic: bool,
    /// It is not at the usual address of its kind, so what answers there may be another relay, or this one.
    pub(crate) may_be_a_relay: bool,
    /// How many of its keys are configured and not there: their file or command gives none at the moment.
    absent: usize,
}

/// A key as it is used.
struct Entry {
    label: String,
    /// None for a provider that asks for nothing.
    secret: Option<Secret>,
}

/// A provider that cannot be asked, whatever comes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unusable {
    /// Its address is not one.
    #[error("the base URL of provider `{0}` is not an address")]
    Address(String),
}

impl Snapshot {
    /// The view that follows from a configuration and the secrets as they are now.
    pub(crate) fn build(config: &Config, keyring: &Keyring, transport: Transport) -> Result<Self, Unusable> {
        let mut fleet = config.fleet(&|provider, key| keyring.secret(provider, key));
        let mut providers = Vec::with_capacity(config.providers.len());
        for (index, provider) in config.providers.iter().enumerate() {
            let upstream = Upstream::build(provider, index, keyring)?;
            let listed = fleet.providers.iter_mut().find(|listed| listed.id == upstream.id);
            if let Some((listed, id)) = listed.zip(upstream.keyless()) {
                listed.keys.push(Key::new(id, KEYLESS));
            }
            providers.push(upstream);
        }
        let stocked = providers.iter().any(Upstream::has_keys);
        Ok(Self {
            server: config.server.clone(),
            auth: Auth { clients: keyring.clients(config), ..config.auth.clone() },
            explains: config.routing.debug,
            unified_headers: config.routing.unified_headers,
            debug: config.log.debug,
            families: config.routing.families(),
            fleet,
            providers,
            transport,
            pool: if stocked { Pool::Stocked } else { Pool::Empty },
        })
    }

    /// The provider of that id.
    pub(crate) fn upstream(&self, id: ProviderId) -> Option<&Upstream> {
        self.providers.iter().find(|upstream| upstream.id == id)
    }

    /// The models whose limits one shares that is asked of those. What all of them call by the same name counts by that: two
    /// names that clients know may be one model. Faster answers have limits of their own, where there are any.
    pub(crate) fn class(&self, model: &str, fast: bool, among: &[ProviderId]) -> Class {
        let asked = || self.providers.iter().filter(|upstream| among.contains(&upstream.id));
        let sent = |upstream: &Upstream| {
            let facts = upstream.adapter.facts();
            facts.taken_for(&upstream.target.models.sent(model, facts.knows_long)).to_owned()
        };
        let is_plain = |upstream: &Upstream| {
            upstream.target.models.is_plain() && upstream.adapter.facts().aliases.is_empty()
        };
        let class = if asked().all(is_plain) {
            self.families.class(model)
        } else {
            let mut names = asked().map(sent);
            let first = names.next().filter(|first| names.all(|name| name == *first));
            self.families.class(first.as_deref().unwrap_or(model))
        };
        let is_apart = fast && asked().any(|upstream| upstream.adapter.facts().offers(Offer::FastMode));
        if is_apart { Class::of(&format!("{}/fast", class.as_str())) } else { class }
    }

    /// The first key, in the order of the configuration, of those who offer that.
    pub(crate) fn first_key(&self, offer: Offer) -> Option<KeyId> {
        let able = self.able(Some(offer), None);
        let providers = self.fleet.providers.iter().filter(|provider| able.contains(&provider.id));
        providers.flat_map(|provider| &provider.keys).map(|key| key.id).next()
    }

    /// Is there somebody who could carry it, were his key there?
    pub(crate) fn waits_for_a_key(&self, offer: Option<Offer>) -> bool {
        let offers = |upstream: &Upstream| offer.is_none_or(|offer| upstream.adapter.facts().offers(offer));
        self.providers.iter().any(|upstream| upstream.absent > 0 && offers(upstream))
    }

    /// Those that can carry a call: they offer what it wants, and take such a credential.
    pub(crate) fn able(&self, offer: Option<Offer>, own: Option<&Credential>) -> Vec<ProviderId> {
        let able = |upstream: &&Upstream| {
            let facts = upstream.adapter.facts();
            let served = match own {
                None => !upstream.keys.is_empty(),
                Some(own) if is_subscription(own) && !upstream.is_anthropic => false,
                Some(_) => facts.offers(Offer::OwnCredential),
            };
            served && offer.is_none_or(|offer| facts.offers(offer))
        };
        self.providers.iter().filter(able).map(|upstream| upstream.id).collect()
    }
}

/// What stands for the key of a provider that asks for none.
const KEYLESS: &str = "none";

/// Is a host Anthropic's, or this machine, where whatever listens is the user's own? Anything else that speaks as
/// Anthropic does is somebody who could use the login of a client for himself.
fn is_anthropic(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    is_here(host) || name == "anthropic.com" || name.ends_with(".anthropic.com")
}

impl Upstream {
    fn build(provider: &checked::Provider, index: usize, keyring: &Keyring) -> Result<Self, Unusable> {
        let adapter = provider.kind.adapter();
        let facts = adapter.facts();
        let origin =
            Origin::from_uri(&provider.base_url).map_err(|_| Unusable::Address(provider.name.clone()))?;
        let id = ProviderId::of(&provider.name);
        let mut keys = BTreeMap::new();
        for place in 0..provider.keys.len() {
            if let Some(secret) = keyring.secret(index, place) {
                let key = &provider.keys[place];
                keys.insert(key.id(id), Entry { label: key.label(&secret), secret: Some(secret) });
            }
        }
        if provider.keys.is_empty() && !facts.auth.is_needed {
            let entry = Entry { label: KEYLESS.to_owned(), secret: None };
            keys.insert(KeyId::of(id, KEYLESS.as_bytes()), entry);
        }
        let checked::Deadlines { connect, first_byte, idle } = provider.deadlines;
        Ok(Self {
            id,
            name: provider.name.clone(),
            adapter,
            origin,
            target: Target {
                base: provider.base_url.clone(),
                models: Models::new(provider.model_mapping.clone()),
                account: provider.account.clone(),
            },
            deadlines: Deadlines { connect, first_byte, idle },
            models: provider.models.clone(),
            is_anthropic: provider.base_url.host().is_some_and(is_anthropic),
            may_be_a_relay: facts
                .place
                .url(&provider.account)
                .is_none_or(|usual| provider.base_url != *usual),
            absent: provider.keys.len().saturating_sub(keys.len()),
            keys,
        })
    }

    /// Is it asked with keys of its own, be they there at the moment or not? A key that is missing does not turn
    /// it into one that is asked with the client's.
    fn has_keys(&self) -> bool {
        self.absent > 0 || !self.keys.is_empty()
    }

    /// The id of what stands for its key, if it asks for none.
    fn keyless(&self) -> Option<KeyId> {
        self.keys.iter().find(|(_, entry)| entry.secret.is_none()).map(|(id, _)| *id)
    }

    /// What authorises an attempt. None if its key is no longer there.
    pub(crate) fn credential(&self, asked: &Asked, held: &Held) -> Option<Credential> {
        match held.key() {
            None => asked.own_credential().cloned(),
            Some(key) => {
                let entry = self.keys.get(&key)?;
                Some(entry.secret.clone().map_or(Credential::None, Credential::Key))
            }
        }
    }

    /// What operators call a key; `own` for the client's. `newest` is how things stand now: the key may have been renewed
    /// while the call waited.
    pub(crate) fn label<'a>(&'a self, newest: &'a Snapshot, held: &Held) -> &'a str {
        let Some(key) = held.key() else { return "own" };
        let renewed = newest.upstream(self.id).and_then(|renewed| renewed.keys.get(&key));
        renewed.or_else(|| self.keys.get(&key)).map_or("", |entry| entry.label.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_anthropic_and_this_machine_may_see_the_login_of_a_subscription() {
        for host in
            ["api.anthropic.com", "API.Anthropic.com", "anthropic.com", "127.0.0.1", "[::1]", "a.localhost"]
        {
            assert!(is_anthropic(host), "{host}");
        }
        for host in [
            "api.z.ai",
            "anthropic.com.evil.example",
            "notanthropic.com",
            "10.0.0.1",
            "localhost.evil.example",
        ] {
            assert!(!is_anthropic(host), "{host}");
        }
    }
}
