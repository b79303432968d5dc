//! The relay's own pages: what models and providers there are, and whether it lives.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use relay_core::Unready;
use relay_headers::Response;
use serde_json::{Value, json};

use crate::admit::Standing;
use crate::clock::seconds_up;
use crate::escape::unescaped;
use crate::exchange::Exchange;
use crate::outgoing::{self, Outgoing};
use crate::reject::{Denied, Reject};
use crate::relay::Relay;
use crate::snapshot::{Snapshot, Upstream};
use crate::surface::Surface;

/// Anthropic's own default and bound of `limit`.
const LIMIT: usize = 20;
const MOST: usize = 1000;

/// A page that anyone may see.
pub(crate) fn public(relay: &Relay, surface: Surface<'_>, exchange: &Arc<Exchange>) -> Response<Outgoing> {
    let ready = surface != Surface::Ready || !*relay.draining.borrow();
    let body: &'static [u8] = match (surface, ready) {
        (Surface::Hello, _) => b"",
        (_, true) => b"{\"status\":\"ok\"}",
        (_, false) => b"{\"status\":\"draining\"}",
    };
    let mut response = outgoing::page(Bytes::from_static(body), exchange);
    if !ready {
        response.status = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// A page for clients; none if the request is for a provider.
pub(crate) fn page(
    relay: &Relay,
    snapshot: &Snapshot,
    standing: Standing,
    surface: Surface<'_>,
    query: Option<&str>,
    exchange: &Arc<Exchange>,
) -> Result<Option<Response<Outgoing>>, Reject> {
    if surface.is_listing() && standing == Standing::Unread {
        return Err(Reject::Denied(Denied::Bearer));
    }
    let page = match surface {
        Surface::Models => models(snapshot, query.unwrap_or_default())?,
        Surface::Model(id) => model(snapshot, id).ok_or(Reject::NoSuchModel)?,
        Surface::Providers => providers(relay, snapshot),
        Surface::Reset { provider, key } => {
            reset(relay, snapshot, &decoded(provider), key).ok_or(Reject::NoSuchKey)?
        }
        _ => return Ok(None),
    };
    Ok(Some(outgoing::page(page.to_string().into(), exchange)))
}

/// Every model once, in the order of the configuration.
fn listed(snapshot: &Snapshot) -> Vec<&str> {
    let mut listed: Vec<&str> = Vec::new();
    for model in snapshot.providers.iter().flat_map(|upstream| &upstream.models) {
        if !listed.contains(&model.as_str()) {
            listed.push(model);
        }
    }
    listed
}

/// Anthropic's shape, with its pagination: `limit`, `after_id`, `before_id`.
fn models(snapshot: &Snapshot, query: &str) -> Result<Value, Reject> {
    let all = listed(snapshot);
    let wanted = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
    };
    let limit = wanted("limit").as_deref().map_or(Ok(LIMIT), how_many)?;
    let place = |id: String| all.iter().position(|model| *model == id);
    let (from, to) = match (wanted("after_id").and_then(place), wanted("before_id").and_then(place)) {
        (Some(after), _) => (after + 1, (after + 1 + limit).min(all.len())),
        (None, Some(before)) => (before.saturating_sub(limit), before),
        (None, None) => (0, limit.min(all.len())),
    };
    let page = &all[from..to];
    let more =
        if wanted("before_id").is_some() && wanted("after_id").is_none() { from > 0 } else { to < all.len() };
    Ok(json!({
        "data": page.iter().map(|id| entry(id)).collect::<Vec<_>>(),
        "has_more": more,
        "first_id": page.first(),
        "last_id": page.last(),
    }))
}

/// How many are wanted, or why that is no number of them.
fn how_many(text: &str) -> Result<usize, Reject> {
    match text.parse::<i64>() {
        Ok(..1) => Err(Reject::Limit("Input should be greater than or equal to 1")),
        Ok(limit) => {
            let limit = usize::try_from(limit).ok().filter(|limit| *limit <= MOST);
            limit.ok_or(Reject::Limit("Input should be less than or equal to 1000"))
        }
        Err(_) => Err(Reject::Limit("Input should be a valid integer, unable to parse string as an integer")),
    }
}

fn model(snapshot: &Snapshot, id: &str) -> Option<Value> {
    let id = decoded(id);
    listed(snapshot).contains(&id.as_str()).then(|| entry(&id))
}

fn entry(id: &str) -> Value {
    // The API allows the epoch where a release date is not known.
    json!({"type": "model", "id": id, "display_name": display_name(id), "created_at": "1970-01-01T00:00:00Z"})
}

/// `claude-opus-5-5` is shown as `Claude Opus 5.5`; names of other shapes as they are.
fn display_name(id: &str) -> String {
    let Some(rest) = id.strip_prefix("claude-") else { return id.to_owned() };
    let mut name = "Claude".to_owned();
    let mut number = false;
    for part in rest.split('-') {
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        if digits && part.len() > 2 {
            // The date of a snapshot.
            let _ = write!(name, " ({part})");
            continue;
        }
        name.push(if digits && number { '.' } else { ' ' });
        number = digits;
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

/// The old program's shape, with what is known of each key beside it.
fn providers(relay: &Relay, snapshot: &Snapshot) -> Value {
    let report = relay.live.report();
    let now = relay.live.now();
    let data = snapshot.providers.iter().map(|upstream| {
        let known = report.providers.iter().find(|known| known.id == upstream.id);
        let keys = known.into_iter().flat_map(|known| &known.keys).map(|key| {
            let held: Vec<Value> =
                key.held.iter().map(|(class, what)| held(class.as_ref(), *what, now)).collect();
            json!({
                "key_id": key.label,
                "in_flight": key.in_flight,
                "served": key.totals.served,
                "input_tokens": key.totals.usage.input,
                "output_tokens": key.totals.usage.output,
                "cache_write_tokens": key.totals.usage.cache_write,
                "cache_read_tokens": key.totals.usage.cache_read,
                "organization": key.organization,
                "workspace": key.workspace,
                "held": held,
                "limits": key.limits.iter().map(limit).collect::<Vec<_>>(),
                "concurrency": key.calls.iter().map(calls).collect::<Vec<_>>(),
                "windows": key.windows.iter().map(|it| window(it, now)).collect::<Vec<_>>(),
            })
        });
        json!({
            "name": upstream.name,
            "type": upstream.adapter.facts().owner,
            "base_url": bare_url(upstream),
            "models": upstream.models,
            "active": true,
            // Keys of one organization share its limits, however many they are.
            "real_limits": known.map(|known| known.holders),
            "keys": keys.collect::<Vec<_>>(),
        })
    });
    json!({"object": "list", "data": data.collect::<Vec<_>>()})
}

/// Forgets what is held against one key of a provider, or against all of them: they are asked again at once.
fn reset(relay: &Relay, snapshot: &Snapshot, provider: &str, key: Option<&str>) -> Option<Value> {
    let upstream = snapshot.providers.iter().find(|upstream| upstream.name == provider)?;
    let listed = snapshot.fleet.provider(upstream.id)?;
    let meant = |label: &str| key.is_none_or(|key| key == label);
    let keys: Vec<_> = listed.keys.iter().filter(|key| meant(&key.label)).collect();
    if keys.is_empty() && key.is_some() {
        return None;
    }
    for key in &keys {
        relay.live.reset(key.id);
    }
    let labels: Vec<_> = keys.iter().map(|key| key.label.as_str()).collect();
    Some(json!({"object": "reset", "provider": upstream.name, "key_ids": labels}))
}

fn held(class: Option<&relay_core::Class>, what: Unready, now: relay_core::Time) -> Value {
    let (why, until) = match what {
        Unready::Cooling(until) => ("cooling", until),
        Unready::UsedUp(_, until) => ("window used up", until),
        Unready::Barred(relay_core::Reason::Unaccepted, until) => ("not accepted", until),
        Unready::Barred(relay_core::Reason::OutOfMoney, until) => ("out of money", until),
    };
    let mut held = json!({"why": why, "model_class": class.map(relay_core::Class::as_str), "seconds": until.since(now).as_secs()});
    if let Unready::UsedUp(window, _) = what {
        held["window"] = json!(window.as_str());
    }
    held
}

/// One window of a plan. Keys of one organization show the same ones.
fn window(window: &relay_core::WindowReport, now: relay_core::Time) -> Value {
    let status = window.status.map(|status| match status {
        relay_core::UnifiedStatus::Allowed => "allowed",
        relay_core::UnifiedStatus::Warning => "allowed_warning",
        relay_core::UnifiedStatus::Rejected => "rejected",
    });
    json!({
        "window": window.name.as_str(),
        "model_class": window.class.as_ref().map(relay_core::Class::as_str),
        "status": status,
        "used": window.used.map(|share| f64::from(share.0) / 1e6),
        "resets_in_seconds": window.reset.map(|reset| reset.since(now).as_secs()),
    })
}

/// One limit. Keys of one organization show the same ones, for they share them; what their operator caps is each one's own.
fn limit(limit: &relay_core::LimitReport) -> Value {
    let counted = match limit.counted {
        relay_core::Counted::Requests => "requests",
        relay_core::Counted::Input => "uncached_input_tokens",
        relay_core::Counted::Output => "output_tokens",
        relay_core::Counted::Tokens => "tokens",
    };
    json!({
        "holder": holder(limit.holder),
        "model_class": limit.class.as_ref().map(relay_core::Class::as_str),
        "counted": counted,
        "per_minute": limit.per_minute,
        "available": limit.available,
        "owed": limit.owed,
        "owes_for_seconds": seconds_up(limit.owes_for),
        "burst_seconds": limit.burst.as_secs(),
    })
}

/// How many calls may be under way at once, and how many are.
fn calls(calls: &relay_core::CallsReport) -> Value {
    json!({
        "holder": holder(calls.holder),
        "model_class": calls.class.as_ref().map(relay_core::Class::as_str),
        "limit": calls.most,
        "in_use": calls.open,
    })
}

/// Whose a limit is.
const fn holder(holder: Option<relay_core::Holder>) -> &'static str {
    match holder {
        Some(relay_core::Holder::Organization) => "organization",
        Some(relay_core::Holder::Workspace) => "workspace",
        None => "key",
    }
}

/// Scheme, host, port and path: neither who nor with what.
fn bare_url(upstream: &Upstream) -> String {
    let base = &upstream.target.base;
    let authority = base.authority().map_or("", http::uri::Authority::as_str);
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{}://{host}{}", base.scheme_str().unwrap_or("http"), base.path().trim_end_matches('/'))
}

/// What an id in a path or a query stands for.
fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&unescaped(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_names_that_people_read() {
        let table = [
            ("claude-opus-5-5", "Claude Opus 5.5"),
            ("claude-haiku-4-5", "Claude Haiku 4.5"),
            ("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5 (20250929)"),
            ("claude-opus-5", "Claude Opus 5"),
            ("glm-5.3", "glm-5.3"),
        ];
        for (id, name) in table {
            assert_eq!(display_name(id), name);
        }
    }

    #[test]
    fn ids_are_percent_decoded() {
        assert_eq!(decoded("a%2Fb%20c"), "a/b c");
        assert_eq!(decoded("50%"), "50%");
        assert_eq!(decoded("%zz"), "%zz");
    }
}
