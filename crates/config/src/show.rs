//! The effective configuration as YAML: every default filled in, every secret shown as its label, and of
//! every command its program.

use std::time::Duration;

use relay_core::Price;
use relay_providers::Secret;
use serde_json::{Map, Value, json};

use crate::checked::{
    AdminSource, Auth, Config, Key, KeySource, Limits, Log, Output, Provider, Routing, Server, State,
};
use crate::emit;
use crate::raw::leaf::word_of;
use crate::raw::money::Dollars;
use crate::raw::read::Shown;
use crate::raw::routing::{Order, Pick};
use crate::raw::unit::{size_text, time_text};

/// What `cc-relay config show` prints. With the labels replaced by secrets, and the commands written out, it would load
/// as the same configuration again.
pub fn effective(config: &Config) -> String {
    let mut shown = json!({
        "server": server(&config.server, &config.auth),
        "routing": routing(config),
        "providers": config.providers.iter().map(provider).collect::<Vec<_>>(),
        "queue": {
            "max_wait_ms": millis(config.queue.max_wait),
            "cold_prefix_wait_ms": millis(config.queue.cold_prefix_wait),
            "max_calls": config.queue.max_calls,
            "max_bytes": size_text(config.queue.max_bytes),
            "dollars_per_second": dollars(Dollars(config.queue.second.0)),
        },
        "state": state(&config.state),
        "logging": log(&config.log),
    });
    if !config.prices.is_empty() {
        shown["prices"] = config.prices.iter().map(price).collect();
    }
    emit::document(&shown)
}

fn price((model, price): &(String, Price)) -> Value {
    let Price { input, output, write, read, .. } = *price;
    let shown = |nanodollars| dollars(Dollars::of_a_million(nanodollars));
    json!({
        "model": model,
        "input": shown(input),
        "output": shown(output),
        "cache_write": shown(write),
        "cache_read": shown(read),
    })
}

/// A number of dollars, as it would be written.
fn dollars(dollars: Dollars) -> Value {
    let text = dollars.shown();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn server(server: &Server, auth: &Auth) -> Value {
    let mut shown = json!({
        "listen": server.listen.to_string(),
        "auth": self::auth(auth),
        "max_concurrent": server.max_concurrent.map_or(0, std::num::NonZero::get),
        "max_body_bytes": limit(server.max_body),
        "max_batch_body_bytes": limit(server.max_batch_body),
        "max_file_body_bytes": limit(server.max_file_body),
        "head_after_ms": millis(server.head_after),
        "ping_interval_ms": millis(server.ping_every),
        "drain_timeout_ms": millis(server.drain),
        "enable_http2": server.http2,
    });
    if let Some(tls) = &server.tls {
        shown["tls"] = json!({ "certificate": tls.certificate, "key": tls.key });
        if let Some(client_ca) = &tls.client_ca {
            shown["tls"]["client_ca"] = json!(client_ca);
        }
    }
    shown
}

fn auth(auth: &Auth) -> Value {
    let known =
        auth.clients.iter().map(|client| json!({ "name": client.name, "key": masked(&client.secret) }));
    let files =
        auth.client_files.iter().map(|client| json!({ "name": client.name, "key_file": client.path }));
    json!({
        "clients": known.chain(files).collect::<Vec<_>>(),
        "allow_bearer": auth.any_bearer,
        "open": auth.open,
        "passthrough": auth.passthrough,
        "unknown_key": word_of(auth.unknown_key),
    })
}

fn routing(config: &Config) -> Value {
    let Routing { strategy, model_based, prefixes, default_provider, debug, unified_headers, model_classes } =
        &config.routing;
    let name = |place: Option<usize>| Some(config.providers.get(place?)?.name.as_str());
    let order = Order { strategy: *strategy, model_based: *model_based };
    let mut shown = json!({
        "strategy": word_of(order),
        "debug": debug,
        "unified_headers": word_of(*unified_headers),
    });
    let mapping: Map<String, Value> = prefixes
        .iter()
        .filter_map(|(prefix, place)| Some((prefix.clone(), Value::from(name(*place)?))))
        .collect();
    if !mapping.is_empty() {
        shown["model_mapping"] = Value::Object(mapping);
    }
    let classes: Map<String, Value> =
        model_classes.iter().map(|(start, class)| (start.clone(), Value::from(class.as_str()))).collect();
    if !classes.is_empty() {
        shown["model_classes"] = Value::Object(classes);
    }
    if let Some(default) = name(*default_provider) {
        shown["default_provider"] = Value::from(default);
    }
    shown
}

fn provider(provider: &Provider) -> Value {
    let mapping: Map<String, Value> = provider
        .model_mapping
        .iter()
        .map(|(asked, sent)| (asked.clone(), Value::from(sent.as_str())))
        .collect();
    let mut shown = json!({
        "name": provider.name,
        "type": provider.kind.as_str(),
        "enabled": true,
        "base_url": base_url(&provider.base_url),
        "models": provider.models,
        "model_mapping": mapping,
        "keys": provider.keys.iter().filter_map(key).collect::<Vec<_>>(),
        "pooling": { "strategy": word_of(Pick(provider.pooling)) },
        "priority": provider.priority,
        "weight": provider.weight,
        "timeouts": {
            "connect": time_text(provider.deadlines.connect),
            "first_byte": time_text(provider.deadlines.first_byte),
            "idle": time_text(provider.deadlines.idle),
        },
    });
    for (setting, text) in &provider.account.0 {
        shown[setting.option()] = json!(text);
    }
    shown
}

/// A query may hold a credential: it is shown as a secret is.
fn base_url(url: &http::Uri) -> String {
    let text = url.to_string();
    match text.split_once('?') {
        Some((before, query)) => format!("{before}?{}", masked(&Secret::new(query))),
        None => text,
    }
}

/// What stands for a key where none is written is not written either, unless something else is said of it.
fn key(key: &Key) -> Option<Value> {
    let source = match &key.source {
        KeySource::Identity(_) => None,
        KeySource::Value(secret) => Some(("key", masked(secret))),
        KeySource::File(path) => Some(("key_file", path.display().to_string())),
        KeySource::Command(command) => Some(("key_command", shown_command(command))),
    };
    let says_more = key.limits != Limits::default() || key.limit_group.is_some() || key.workspace.is_some();
    if source.is_none() && !says_more {
        return None;
    }
    let mut shown = json!({});
    if let Some((name, source)) = source {
        shown[name] = Value::from(source);
    }
    let limits = [
        ("rpm_limit", key.limits.requests),
        ("itpm_limit", key.limits.input),
        ("otpm_limit", key.limits.output),
        ("priority", key.priority.into()),
        ("weight", key.weight.into()),
    ];
    for (name, limit) in limits {
        shown[name] = Value::from(limit);
    }
    for (name, limit) in [("tpm_limit", key.limits.tokens), ("concurrency_limit", key.limits.at_once.into())]
    {
        if limit > 0 {
            shown[name] = Value::from(limit);
        }
    }
    for (name, text) in [("limit_group", &key.limit_group), ("workspace", &key.workspace)] {
        if let Some(text) = text {
            shown[name] = Value::from(text.as_str());
        }
    }
    match &key.admin {
        None => {}
        Some(AdminSource::Value(secret)) => shown["limits_admin_key"] = Value::from(masked(secret)),
        Some(AdminSource::File(path)) => shown["limits_admin_key_file"] = json!(path),
    }
    Some(shown)
}

/// A command may hold a credential in any of its words: of more than one the first is shown, if it can be nothing but
/// the name of a program.
pub(crate) fn shown_command(command: &str) -> String {
    const REST: &str = "[redacted]";
    match program(command) {
        None => REST.to_owned(),
        Some(program) if program.len() == command.trim().len() => program.to_owned(),
        Some(program) => format!("{program} {REST}"),
    }
}

/// The first word of a command, unless it is more than a name or a path; a key that was written in place of a command is
/// none either.
pub(crate) fn program(command: &str) -> Option<&str> {
    /// In bytes. Longer ones that are no path are no names of programs.
    const LONGEST: usize = 32;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    let named = |word: &&str| !word.starts_with("sk-") && (word.contains('/') || word.len() <= LONGEST);
    command.split_whitespace().next().filter(|word| word.bytes().all(plain)).filter(named)
}

fn state(state: &State) -> Value {
    let mut shown = json!({ "enabled": state.enabled });
    if let Some(path) = &state.path {
        shown["path"] = json!(path);
    }
    shown
}

fn log(log: &Log) -> Value {
    let output = match &log.output {
        Output::Stdout => "stdout".to_owned(),
        Output::Stderr => "stderr".to_owned(),
        Output::File(path) => path.display().to_string(),
    };
    json!({
        "level": word_of(log.level),
        "format": word_of(log.format),
        "output": output,
        "debug_options": {
            "log_request_body": log.debug.request_body,
            "log_response_headers": log.debug.response_headers,
            "log_tls_metrics": log.debug.tls_metrics,
            "max_body_log_size": log.debug.max_body,
        },
    })
}

fn masked(secret: &Secret) -> String {
    format!("<{}>", secret.label())
}

fn limit(bytes: u64) -> Value {
    if bytes == u64::MAX { json!(0) } else { json!(size_text(bytes)) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
