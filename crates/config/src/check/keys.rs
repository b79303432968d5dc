//! The keys of a provider: where each secret comes from, and what it may carry.

use relay_providers::{Kind, Offer, Secret};

use crate::checked::{AdminSource, Key, KeySource, Limits};
use crate::problem::{Findings, Spot};
use crate::raw;
use crate::raw::read::Field;
use crate::raw::table::Section;

/// The keys of a provider, and what its first key says about the provider itself.
pub(super) struct Pool {
    pub(super) keys: Vec<Key>,
    pub(super) priority: u32,
    pub(super) weight: u32,
}

/// Where the secret of an entry comes from.
enum Source {
    /// From there.
    Known(KeySource),
    /// From nowhere: the entry stands for the credential of the client, or for none.
    Keyless,
    /// It could not be read; that has been reported.
    Unread,
}

/// A key without a priority is of the middle one, as in the old program.
const PRIORITY: u32 = 1;

pub(super) fn pool(
    raw: &raw::providers::Provider,
    name: Option<&str>,
    kind: Option<Kind>,
    findings: &mut Findings,
) -> Pool {
    let mut keys: Vec<(Key, String)> = Vec::new();
    for (spot, entry) in &raw.keys.items {
        let source = match source_of_all(entry, raw, kind) {
            Some(source) => Source::Known(source),
            None => source(entry, spot, kind, findings),
        };
        let admin = admin(entry, spot, kind, findings);
        match source {
            Source::Known(source) => {
                refuse_twins(&source, spot, &keys, findings);
                keys.push((Key { admin, ..key(entry, source, kind, findings) }, spot.path.clone()));
            }
            Source::Keyless if admin.is_some() => {
                findings
                    .problem(spot, "has an admin key, and no key whose limits it could tell")
                    .hint("write `key`, `key_file` or `key_command` beside it");
            }
            Source::Keyless | Source::Unread => {}
        }
    }
    keys.extend(
        access_key(raw, kind).filter(|(own, _)| keys.iter().all(|(key, _)| key.source != own.source)),
    );
    if raw.keys.items.is_empty() && raw.keys.whole && keys.is_empty() {
        keys.extend(identity(raw, kind));
    }
    let n_written = raw.keys.items.len().max(keys.len());
    let name = name.unwrap_or("?");
    let pooling = raw.pooling.enabled.get().map(|enabled| enabled.0);
    if n_written == 0 && raw.keys.whole {
        if pooling == Some(true) {
            findings
                .problem(&raw.pooling.enabled.spot, format!("the provider `{name}` has no keys to pool"))
                .hint("add `keys`, or remove `pooling.enabled`");
        } else if needs_key(kind) {
            findings
                .problem(raw.spot(), format!("the provider `{name}` has no `keys`"))
                .hint("add `keys` with a `key`, a `key_file` or a `key_command`");
        }
    }
    if pooling == Some(false) && keys.len() > 1 {
        findings
            .notice(&raw.pooling.enabled.spot, "only the first key is used, because pooling is off")
            .hint("remove `enabled: false` to use them all");
        keys.truncate(1);
    }
    let first = raw.keys.items.first().map(|(_, entry)| entry);
    Pool {
        keys: keys.into_iter().map(|(key, _)| key).collect(),
        priority: first.and_then(|entry| entry.priority.get()).map_or(0, |priority| number(priority.0)),
        weight: first.map_or(1, weight),
    }
}

/// An entry that says something of a key and not where its secret comes from is of what the provider is asked with where no
/// key is written.
fn source_of_all(
    entry: &raw::providers::Entry,
    raw: &raw::providers::Provider,
    kind: Option<Kind>,
) -> Option<KeySource> {
    if !(entry.key.is_absent() && entry.key_file.is_absent() && entry.key_command.is_absent()) {
        return None;
    }
    access_key(raw, kind).or_else(|| identity(raw, kind)).map(|(key, _)| key.source)
}

/// The access key of an account of AWS, as a key like any other: both of its parts, with a colon between.
fn access_key(raw: &raw::providers::Provider, kind: Option<Kind>) -> Option<(Key, String)> {
    let (id, secret) = (raw.aws_access_key_id.get()?, raw.aws_secret_access_key.get()?);
    if kind != Some(Kind::Bedrock) || id.secret.is_empty() || secret.secret.is_empty() {
        return None;
    }
    let both = Secret::new(format!("{}:{}", id.secret.expose(), secret.secret.expose()));
    let key = Key { variable: id.variable.clone(), ..alone(KeySource::Value(both)) };
    Some((key, raw.aws_access_key_id.spot.path.clone()))
}

/// What stands for a key where none is written, and nothing is wrong with what is.
fn identity(raw: &raw::providers::Provider, kind: Option<Kind>) -> Option<(Key, String)> {
    let identity = kind?.facts().identity?;
    let half = raw.aws_access_key_id.is_bad() || raw.aws_secret_access_key.is_bad();
    (!half).then(|| (alone(KeySource::Identity(identity)), raw.spot().path.clone()))
}

/// A key of which nothing else is said.
const fn alone(source: KeySource) -> Key {
    let (variable, limit_group, workspace, admin) = (None, None, None, None);
    let limits = Limits { requests: 0, input: 0, output: 0, tokens: 0, at_once: 0 };
    Key { source, variable, limits, priority: PRIORITY, weight: 1, limit_group, workspace, admin }
}

/// Can it not be asked without a key? Of one whose type could not be read, that is not known.
fn needs_key(kind: Option<Kind>) -> bool {
    let facts = kind.map(Kind::facts);
    facts.is_some_and(|facts| facts.auth.is_needed && !facts.offers(Offer::OwnCredential))
}

/// A number whose range the table has checked.
pub(super) fn number(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn weight(entry: &raw::providers::Entry) -> u32 {
    entry.weight.get().map_or(1, |weight| number(weight.0).max(1))
}

/// Exactly one of `key`, `key_file` and `key_command`; none where no key is needed.
fn source(entry: &raw::providers::Entry, spot: &Spot, kind: Option<Kind>, findings: &mut Findings) -> Source {
    let key = entry.key.get().filter(|hidden| !hidden.secret.is_empty());
    let command = entry.key_command.get().filter(|command| !command.0.trim().is_empty());
    let given = [
        ("key", key.map(|hidden| KeySource::Value(hidden.secret.clone()))),
        ("key_file", entry.key_file.get().map(|path| KeySource::File(path.0.clone()))),
        ("key_command", command.map(|command| KeySource::Command(command.0.clone()))),
    ];
    let names: Vec<_> = given.iter().filter(|(_, source)| source.is_some()).map(|(name, _)| *name).collect();
    if let [first, second, ..] = names[..] {
        findings.problem(spot, format!("has both `{first}` and `{second}`")).hint("keep one of them");
        return Source::Unread;
    }
    if let Some(source) = given.into_iter().find_map(|(_, source)| source) {
        return Source::Known(source);
    }
    if entry.key.is_bad() || entry.key_file.is_bad() || entry.key_command.is_bad() {
        return Source::Unread;
    }
    // Whether it needs one is not known as long as its type is not.
    kind.map_or(Source::Unread, |kind| without_source(entry, spot, kind, findings))
}

/// An entry that names no secret.
fn without_source(entry: &raw::providers::Entry, spot: &Spot, kind: Kind, findings: &mut Findings) -> Source {
    let variable = entry.key.get().and_then(|hidden| hidden.variable.as_deref());
    if needs_key(Some(kind)) {
        match variable {
            Some(variable) => findings
                .problem(&entry.key.spot, format!("environment variable `{variable}` is empty"))
                .hint("a provider of this type needs a key"),
            None => findings
                .problem(spot, format!("a key of type `{}` is missing its secret", kind.as_str()))
                .hint("write `key`, `key_file` or `key_command`"),
        }
        return Source::Unread;
    }
    if let Some(hidden) = entry.key.get().filter(|hidden| !hidden.defaulted) {
        let (whose, hint) = match variable {
            Some(variable) => (
                format!("environment variable `{variable}` "),
                format!("set it, or write `${{{variable}:-}}` if the client's own credential is meant"),
            ),
            None => (
                String::new(),
                "write the key, or remove the entry if the client's own credential is meant".to_owned(),
            ),
        };
        findings.notice(&entry.key.spot, format!("{whose}is empty: this key is left out")).hint(hint);
        // It stands for a key that is not there, and not for the credential of whoever asks.
        return Source::Known(KeySource::Value(hidden.secret.clone()));
    }
    if entry.key.is_absent() && kind.facts().offers(Offer::OwnCredential) {
        findings
            .notice(spot, "names no secret, so it is no key; without any, each client's own credential goes to the provider")
            .hint("write `key`, `key_file` or `key_command`, or `keys: []` if that is meant");
    }
    Source::Keyless
}

/// The same secret twice would be one key with two limits.
fn refuse_twins(source: &KeySource, spot: &Spot, keys: &[(Key, String)], findings: &mut Findings) {
    if matches!(source, KeySource::Value(secret) if secret.is_empty()) {
        return;
    }
    let Some((_, twin)) = keys.iter().find(|(key, _)| key.source == *source) else { return };
    let what = match source {
        KeySource::Value(secret) => format!("is the same key as `{twin}` (<{}>)", secret.label()),
        KeySource::File(_) | KeySource::Command(_) | KeySource::Identity(_) => {
            format!("has the same source as `{twin}`")
        }
    };
    findings.problem(spot, what).hint("remove one of them");
}

fn key(entry: &raw::providers::Entry, source: KeySource, kind: Option<Kind>, findings: &mut Findings) -> Key {
    let text = |field: &Field<raw::leaf::Text>| {
        field.get().map(|text| text.text.clone()).filter(|text| !text.is_empty())
    };
    let variable = matches!(source, KeySource::Value(_)).then(|| entry.key.get()?.variable.clone()).flatten();
    Key {
        source,
        variable,
        limits: limits(entry, kind, findings),
        priority: entry.priority.get().map_or(PRIORITY, |priority| number(priority.0)),
        weight: weight(entry),
        limit_group: text(&entry.limit_group),
        workspace: text(&entry.workspace),
        admin: None,
    }
}

/// At most one of `limits_admin_key` and `limits_admin_key_file`, and only where there is something to ask with it.
fn admin(
    entry: &raw::providers::Entry,
    spot: &Spot,
    kind: Option<Kind>,
    findings: &mut Findings,
) -> Option<AdminSource> {
    let (value, file) = (entry.limits_admin_key.get(), entry.limits_admin_key_file.get());
    let (option, at) = match (value, file) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            findings
                .problem(spot, "has both `limits_admin_key` and `limits_admin_key_file`")
                .hint("keep one of them");
            return None;
        }
        (Some(_), None) => ("limits_admin_key", &entry.limits_admin_key.spot),
        (None, Some(_)) => ("limits_admin_key_file", &entry.limits_admin_key_file.spot),
    };
    if let Some(kind) = kind.filter(|kind| *kind != Kind::Anthropic) {
        let what = format!("a provider of type `{}` does not tell its limits", kind.as_str());
        findings.problem(at, what).hint(format!("remove `{option}`, or set `rpm_limit` and its like"));
        return None;
    }
    match (value, file) {
        // An empty variable is no mistake: without the key, limits are learned from answers as they are anyhow.
        (Some(hidden), _) => {
            Some(hidden.secret.clone()).filter(|secret| !secret.is_empty()).map(AdminSource::Value)
        }
        (None, file) => file.map(|path| AdminSource::File(path.0.clone())),
    }
}

/// The limits of a key. Where a provider has no limit of both kinds of tokens together, `tpm_limit` is an old option, and
/// counts only where neither of its successors is set: half of it for input, half for output, and never so little that it
/// would mean no limit.
fn limits(entry: &raw::providers::Entry, kind: Option<Kind>, findings: &mut Findings) -> Limits {
    let given = Limits {
        requests: entry.rpm_limit.value.0,
        input: entry.itpm_limit.value.0,
        output: entry.otpm_limit.value.0,
        tokens: 0,
        at_once: number(entry.concurrency_limit.value.0),
    };
    let Some(together) = entry.tpm_limit.get().map(|limit| limit.0) else { return given };
    if kind.is_some_and(|kind| kind.facts().accounting.reserves.is_some()) {
        return Limits { tokens: together, ..given };
    }
    let what = "is an old option: half of it counts for input, half for output, unless they have limits of their own";
    findings.notice(&entry.tpm_limit.spot, what).hint("set `itpm_limit` and `otpm_limit` instead");
    if given.input > 0 || given.output > 0 || together == 0 {
        return given;
    }
    Limits { input: together.div_ceil(2), output: (together / 2).max(1), ..given }
}
