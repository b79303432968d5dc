//! Who may ask, and whether that is enough for where the relay listens.

use relay_providers::Secret;

use crate::checked::{Auth, Client, ClientFile, Server};
use crate::problem::{Findings, Spot};
use crate::raw;
use crate::raw::leaf::Hidden;
use crate::raw::read::Field;

/// Those who may ask, as they are collected.
#[derive(Default)]
struct Clients {
    keys: Vec<Client>,
    files: Vec<ClientFile>,
    /// Every name that was given, and its line.
    names: Vec<(String, u32)>,
}

pub(super) fn auth(server: &raw::server::Server, findings: &mut Findings) -> Auth {
    let raw = &server.auth;
    for field in [&raw.api_key, &server.api_key, &raw.bearer_secret] {
        refuse_emptied(field, findings);
    }
    let mut clients = Clients::default();
    if let Some((spot, secret)) = api_key(server, findings) {
        clients.add("default", secret, spot, findings);
    }
    if written(&raw.api_key).or(written(&server.api_key)).is_none() {
        for field in [&raw.api_key, &server.api_key] {
            tell_empty(field, "nobody is asked for it", "a key", findings);
        }
    }
    let bearer = raw.allow_bearer.value.0 || raw.allow_subscription.value.0;
    let bearer_secret = written(&raw.bearer_secret);
    if bearer {
        tell_empty(&raw.bearer_secret, "any bearer opens the relay", "a secret", findings);
    }
    match (bearer, bearer_secret) {
        // One secret for both is one client: every key is accepted as a bearer too.
        (true, Some(secret)) if clients.keys.iter().any(|client| client.secret == *secret) => {}
        (true, Some(secret)) => clients.add("bearer", secret, &raw.bearer_secret.spot, findings),
        (false, Some(_)) => findings
            .notice(&raw.bearer_secret.spot, "is not accepted, because bearers are not")
            .hint("set `allow_bearer: true`"),
        (_, None) => {}
    }
    for (spot, client) in &raw.clients.items {
        clients.named(client, spot, findings);
    }
    let auth = Auth {
        clients: clients.keys,
        client_files: clients.files,
        any_bearer: bearer && bearer_secret.is_none() && !raw.bearer_secret.is_bad(),
        open: raw.open.value.0,
        passthrough: raw.passthrough.value.0,
        unknown_key: raw.unknown_key.value.0,
    };
    if auth.open && auth.asks() && !auth.any_bearer {
        findings
            .notice(&raw.open.spot, "has no effect, because a credential is asked for")
            .hint("remove it, or remove the client keys");
    }
    auth
}

/// A relay that others can reach must ask for a credential, unless it is said to be open.
pub(super) fn guard(raw: &raw::server::Server, server: &Server, auth: &Auth, findings: &mut Findings) {
    let certified = server.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let unread = raw.auth.api_key.is_bad() || raw.api_key.is_bad() || !raw.auth.clients.whole;
    if server.listen.is_loopback() || auth.open || certified || unread || raw.auth.open.bad || raw.listen.bad
    {
        return;
    }
    let instead = "listen on 127.0.0.1, or set `server.auth.open: true` if that is meant";
    if auth.any_bearer {
        findings
            .problem(&raw.auth.bearer_secret.spot, "any bearer would open a relay that others can reach")
            .hint(format!("set `server.auth.bearer_secret`, {instead}"));
    } else if !auth.asks() {
        findings
            .problem(&raw.listen.spot, "others than this machine could use the relay without any credential")
            .hint(format!("set `server.auth.api_key`, {instead}"));
    }
}

/// The one unnamed key, from its present place or its old one.
fn api_key<'a>(server: &'a raw::server::Server, findings: &mut Findings) -> Option<(&'a Spot, &'a Secret)> {
    let (present, old) = (&server.auth.api_key, &server.api_key);
    match (written(present), written(old)) {
        (Some(secret), other) => {
            if other.is_some_and(|other| other != secret) {
                findings
                    .notice(&old.spot, "is not accepted, because `server.auth.api_key` is set")
                    .hint("remove it, or make it one of `server.auth.clients`");
            }
            Some((&present.spot, secret))
        }
        (None, Some(secret)) => Some((&old.spot, secret)),
        (None, None) => None,
    }
}

/// A secret from a variable that is empty would open the door that it was to lock.
fn refuse_emptied(field: &Field<Hidden>, findings: &mut Findings) {
    let emptied = field.get().filter(|hidden| hidden.secret.is_empty() && !hidden.defaulted);
    if let Some(variable) = emptied.and_then(|hidden| hidden.variable.as_deref()) {
        findings
            .problem(
                &field.spot,
                format!("environment variable `{variable}` is empty: nobody would be asked for it"),
            )
            .hint(format!("set it, or write `${{{variable}:-}}` if that is meant"));
    }
}

/// One that is written as an empty text means what it meant to the old program: nothing is asked for.
fn tell_empty(field: &Field<Hidden>, so: &str, wanted: &str, findings: &mut Findings) {
    if field.get().is_some_and(|hidden| hidden.secret.is_empty() && hidden.variable.is_none()) {
        findings
            .notice(&field.spot, format!("is empty: {so}"))
            .hint(format!("write {wanted}, or remove it if that is meant"));
    }
}

/// A secret that is more than an empty text.
fn written(field: &Field<Hidden>) -> Option<&Secret> {
    field.get().map(|hidden| &hidden.secret).filter(|secret| !secret.is_empty())
}

impl Clients {
    fn named(&mut self, raw: &raw::auth::Client, spot: &Spot, findings: &mut Findings) {
        let name = match raw.name.get() {
            Some(name) if name.text.is_empty() => {
                findings.problem(&raw.name.spot, "is empty");
                return;
            }
            Some(name) => name.text.as_str(),
            None => {
                if raw.name.is_absent() {
                    findings.problem(spot, "has no `name`");
                }
                return;
            }
        };
        // Whatever is to be said of its key, and of everyone's: two of one name are told beside it.
        self.take_name(name, spot, findings);
        match (written(&raw.key), raw.key_file.get()) {
            (Some(_), Some(_)) => {
                findings.problem(&raw.key_file.spot, "stands beside `key`").hint("keep one of them");
            }
            (Some(secret), None) => self.take_key(name, secret, spot, findings),
            (None, Some(path)) => {
                self.files.push(ClientFile { name: name.to_owned(), path: path.0.clone() });
            }
            (None, None) if raw.key.is_bad() || raw.key_file.is_bad() => {}
            (None, None) => findings
                .problem(spot, format!("the client `{name}` has no key"))
                .hint("write `key` or `key_file`"),
        }
    }

    fn add(&mut self, name: &str, secret: &Secret, spot: &Spot, findings: &mut Findings) {
        self.take_name(name, spot, findings);
        self.take_key(name, secret, spot, findings);
    }

    fn take_name(&mut self, name: &str, spot: &Spot, findings: &mut Findings) {
        match self.names.iter().find(|(known, _)| known == name) {
            Some((_, line)) => {
                let what = format!("a client named `{name}` stands on line {line} already");
                findings.problem(spot, what).hint("names of clients are unique");
            }
            None => self.names.push((name.to_owned(), spot.line)),
        }
    }

    fn take_key(&mut self, name: &str, secret: &Secret, spot: &Spot, findings: &mut Findings) {
        match self.keys.iter().find(|client| client.secret == *secret) {
            Some(same) => {
                let what = format!("the client `{name}` has the same key as `{}`", same.name);
                findings.problem(spot, what).hint("give every client a key of its own");
            }
            None => self.keys.push(Client { name: name.to_owned(), secret: secret.clone() }),
        }
    }
}
