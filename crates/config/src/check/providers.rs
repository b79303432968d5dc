//! The providers: which of them can be served, and everything a served one needs.

use std::time::Duration;

use http::Uri;
use relay_providers::{Account, Kind, Place, Setting};

use crate::check::keys;
use crate::checked::{Address, Deadlines, Provider};
use crate::problem::{Findings, Spot};
use crate::raw;
use crate::raw::Root;
use crate::raw::leaf::{Text, choices};
use crate::raw::read::Field;
use crate::raw::table::Section;

/// The providers after all checks.
pub(super) struct Accounts {
    /// Those that are enabled and can be served.
    pub(super) served: Vec<Provider>,
    /// Every name that is configured, and its place among those served.
    pub(super) names: Vec<(String, Option<usize>)>,
    /// No provider has a name that could not be read.
    pub(super) all_named: bool,
}

/// What providers need to know of the listener.
struct Listener<'a> {
    listen: &'a Address,
    /// `server.timeout_ms`: the default of the first-byte deadline.
    timeout: Option<Duration>,
}

pub(super) fn providers(root: &Root, listen: &Address, findings: &mut Findings) -> Accounts {
    let timeout = root.server.timeout_ms.get().map(|timeout| timeout.0).filter(|timeout| !timeout.is_zero());
    let listener = Listener { listen, timeout };
    let list = &root.providers;
    let mut accounts = Accounts { served: Vec::new(), names: Vec::new(), all_named: list.whole };
    let mut lines: Vec<u32> = Vec::new();
    for (spot, account) in &list.items {
        let raw = &account.0;
        let name = name(raw, spot, &accounts, &lines, findings);
        let provider = provider(raw, name.as_deref(), &listener, findings);
        accounts.all_named &= !raw.name.is_bad();
        if let Some(name) = name {
            accounts.names.push((name, provider.as_ref().map(|_| accounts.served.len())));
            lines.push(raw.name.spot.line);
        }
        accounts.served.extend(provider);
    }
    let hidden = findings.problems.iter().any(|problem| problem.path.starts_with("providers"));
    if accounts.served.is_empty() && !hidden {
        none_served(root, findings);
    }
    accounts
}

/// Why there is nobody to ask.
fn none_served(root: &Root, findings: &mut Findings) {
    let spot = &root.providers.spot;
    if root.providers.items.is_empty() {
        findings
            .problem(spot, "no provider is configured")
            .hint("`cc-relay config init` writes a configuration to begin with");
    } else {
        findings.problem(spot, "no provider is enabled").hint("write `enabled: true` in one of them");
    }
}

/// The name of a provider, if it is fit to be one.
fn name(
    raw: &raw::providers::Provider,
    spot: &Spot,
    accounts: &Accounts,
    lines: &[u32],
    findings: &mut Findings,
) -> Option<String> {
    let Some(name) = raw.name.get() else {
        if raw.name.is_absent() {
            findings.problem(spot, "has no `name`").hint("names stand in logs and headers, and are unique");
        }
        return None;
    };
    if name.text.is_empty() {
        findings.problem(&raw.name.spot, "is empty");
        return None;
    }
    if name.text.chars().any(char::is_control) {
        findings.problem(&raw.name.spot, name.is_not("a name: it holds a control character"));
        return None;
    }
    let same = accounts.names.iter().position(|(known, _)| *known == name.text);
    if let Some(line) = same.and_then(|place| lines.get(place)) {
        let what = match &name.variable {
            Some(variable) => format!("environment variable `{variable}` names the provider of line {line}"),
            None => format!("a provider named `{}` stands on line {line} already", name.text),
        };
        findings.problem(&raw.name.spot, what).hint("names of providers are unique");
        return None;
    }
    Some(name.text.clone())
}

/// A provider that can be served; none if it is not enabled, not servable, or has no type.
fn provider(
    raw: &raw::providers::Provider,
    name: Option<&str>,
    listener: &Listener<'_>,
    findings: &mut Findings,
) -> Option<Provider> {
    let kind = raw.r#type.get().map(|kind| kind.0);
    if raw.r#type.is_absent() {
        findings.problem(raw.spot(), "has no `type`").hint(choices::<Kind>());
    }
    let enabled = raw.enabled.value.0;
    if !raw.enabled.given {
        findings
            .notice(raw.spot(), "is not used, because it does not say `enabled: true`")
            .hint("write `enabled: true`, or `enabled: false` if that is meant");
    }
    if let Some(kind) = kind {
        cloud_fields(raw, kind, enabled, findings);
    }
    if !enabled {
        return None;
    }
    // Whatever its type is to be, the rest of it must be right as well, and is told in the same breath.
    let base_url = base_url(raw, kind, listener, findings);
    let pool = keys::pool(raw, name, kind, findings);
    let model_mapping = mapping(raw, findings);
    let kind = kind?;
    Some(Provider {
        name: name.unwrap_or_default().to_owned(),
        kind,
        account: account(raw, kind),
        base_url,
        models: models(raw, kind),
        model_mapping,
        keys: pool.keys,
        pooling: raw.pooling.strategy.value.0.0,
        priority: raw.priority.get().map_or(pool.priority, |priority| keys::number(priority.0)),
        weight: raw.weight.get().map_or(pool.weight, |weight| keys::number(weight.0).max(1)),
        deadlines: deadlines(raw, kind, listener),
    })
}

/// The option that says what an account at a cloud is told apart by.
fn setting_of(raw: &raw::providers::Provider, setting: Setting) -> &Field<Text> {
    match setting {
        Setting::AwsRegion => &raw.aws_region,
        Setting::AzureResource => &raw.azure_resource_name,
        Setting::GcpProject => &raw.gcp_project_id,
        Setting::GcpRegion => &raw.gcp_region,
    }
}

/// Its account at a cloud, as far as it is told.
fn account(raw: &raw::providers::Provider, kind: Kind) -> Account {
    let told = kind.facts().place.needs().iter().filter_map(|setting| {
        let text = setting_of(raw, *setting).get()?;
        Some((*setting, text.text.clone()))
    });
    Account(told.collect())
}

/// What the types of clouds need. Of a disabled provider only a notice is made of it.
fn cloud_fields(raw: &raw::providers::Provider, kind: Kind, enabled: bool, findings: &mut Findings) {
    for setting in kind.facts().place.needs() {
        let field = setting_of(raw, *setting);
        let missing = field.is_absent() || field.get().is_some_and(|text| text.text.is_empty());
        let what = format!("has no `{}`, which type `{}` needs", setting.option(), kind.as_str());
        if missing && enabled {
            findings.problem(raw.spot(), what);
        } else if missing {
            findings.notice(raw.spot(), what);
        }
    }
    let (id, secret) = (&raw.aws_access_key_id, &raw.aws_secret_access_key);
    if enabled && kind == Kind::Bedrock && id.is_absent() != secret.is_absent() {
        let lonely = if id.is_absent() { secret } else { id };
        findings
            .problem(&lonely.spot, "stands alone")
            .hint("`aws_access_key_id` and `aws_secret_access_key` are set together, or neither is");
    }
}

fn models(raw: &raw::providers::Provider, kind: Kind) -> Vec<String> {
    if raw.models.items.is_empty() {
        kind.facts().models.iter().map(|model| (*model).to_owned()).collect()
    } else {
        raw.models.items.iter().map(|(_, model)| model.text.clone()).collect()
    }
}

fn mapping(raw: &raw::providers::Provider, findings: &mut Findings) -> Vec<(String, String)> {
    let mut mapping = Vec::new();
    for (spot, asked, sent) in &raw.model_mapping.entries {
        if sent.text.is_empty() {
            findings.problem(spot, "is empty").hint("write the model that is sent instead, or remove it");
        }
        mapping.push((asked.clone(), sent.text.clone()));
    }
    mapping
}

fn deadlines(raw: &raw::providers::Provider, kind: Kind, listener: &Listener<'_>) -> Deadlines {
    let written = raw.timeouts.first_byte.get().map(|time| time.0);
    Deadlines {
        connect: raw.timeouts.connect.value.0,
        first_byte: written.or(listener.timeout).unwrap_or(kind.facts().first_byte),
        idle: raw.timeouts.idle.value.0,
    }
}

/// Where a provider is, without a trailing slash. The address itself is never printed: it may hold a secret.
/// Where one is of which nothing is known, be it its type or its place, is not to be judged.
fn base_url(
    raw: &raw::providers::Provider,
    kind: Option<Kind>,
    listener: &Listener<'_>,
    findings: &mut Findings,
) -> Uri {
    let field = &raw.base_url;
    let written = field.get().filter(|text| !text.text.is_empty());
    let nowhere = kind.filter(|kind| matches!(kind.facts().place, Place::Anywhere));
    if let Some(kind) = nowhere.filter(|_| written.is_none() && !field.is_bad()) {
        findings
            .problem(raw.spot(), format!("has no `base_url`, which type `{}` needs", kind.as_str()))
            .hint("write where it is: `https://` or `http://`, a host, and perhaps a port and a path");
    }
    let usual =
        kind.and_then(|kind| kind.facts().place.url(&account(raw, kind))).map(|url| Text::from(&*url));
    let Some(text) = written.or(usual.as_ref()) else { return Uri::default() };
    match parse_url(&text.text) {
        Ok(url) => {
            look_at_path(url.path(), kind, field, findings);
            look_at_url(&url, field, listener, findings);
            url
        }
        Err(hint) => {
            findings.problem(&field.spot, text.is_not("the URL of a provider")).hint(hint);
            Uri::default()
        }
    }
}

fn parse_url(text: &str) -> Result<Uri, &'static str> {
    const SHAPE: &str = "write `https://` or `http://`, a host, and perhaps a port and a path";
    if text.contains('#') {
        return Err("remove what begins with `#`");
    }
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let path = path.trim_end_matches('/');
    let trimmed = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let url: Uri = trimmed.parse().map_err(|_| SHAPE)?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return Err(SHAPE);
    }
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    if authority.contains('@') {
        return Err("remove the user and password before `@`; a credential belongs in `keys`");
    }
    // `Uri` takes any digits for a port, and then says that there is none.
    if url.host() != Some(authority) && url.port_u16().is_none() {
        return Err("the port is a number from 0 to 65535");
    }
    Ok(url)
}

/// Paths of Anthropic's have their version; those of others stand behind one.
fn look_at_path(path: &str, kind: Option<Kind>, field: &Field<Text>, findings: &mut Findings) {
    const CHAT: &str = "/chat/completions";
    let translated = kind.is_some_and(|kind| kind.facts().translated);
    let (what, hint) = match path.trim_end_matches('/') {
        path if path.ends_with("/v1") && !translated => {
            ("ends in `/v1`, and every path begins with `/v1` already", "remove `/v1` from the end")
        }
        path if path.ends_with(CHAT) && translated => {
            ("ends in `/chat/completions`, which is put behind it", "remove `/chat/completions` from the end")
        }
        "" if translated => (
            "has no path, and most servers of this type want `/v1`",
            "write `/v1` behind it, unless there is none",
        ),
        _ => return,
    };
    findings.notice(&field.spot, what).hint(hint);
}

fn look_at_url(url: &Uri, field: &Field<Text>, listener: &Listener<'_>, findings: &mut Findings) {
    if Address::of(url).is_some_and(|address| address.leads_to(listener.listen)) {
        findings
            .problem(&field.spot, "leads back to this relay")
            .hint("write the URL of the provider itself; clients are pointed at the relay");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_and_a_host_and_no_user() {
        let table = [
            ("https://api.anthropic.com", Some("https://api.anthropic.com/")),
            ("https://api.z.ai/api/anthropic/", Some("https://api.z.ai/api/anthropic")),
            ("http://localhost:11434", Some("http://localhost:11434/")),
            ("http://[::1]:1/", Some("http://[::1]:1/")),
            ("https://a.example/b/?c=d", Some("https://a.example/b?c=d")),
            ("", None),
            ("api.anthropic.com", None),
            ("ftp://a.example", None),
            ("https://", None),
            ("https:///path", None),
            ("https://user:password@a.example", None),
            ("https://a.example/#there", None),
            ("https://a b.example", None),
            ("https://a.example:99999", None),
        ];
        for (text, expect) in table {
            let parsed = parse_url(text).ok().map(|url| url.to_string());
            assert_eq!(parsed.as_deref(), expect, "{text}");
        }
    }
}
