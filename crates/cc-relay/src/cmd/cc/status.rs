//! `cc-relay config cc status`: what is set in Claude Code's settings, by whom, and where it leads.

use std::fmt;
use std::path::Path;

use relay_config::checked::Address;

use crate::cc::change::{is_blank, same, text};
use crate::cc::document::Document;
use crate::cc::files::{Files, Read};
use crate::cc::{AUTH_TOKEN, BASE_URL, CLOUDS, PLACEHOLDER, VARIABLES};
use crate::cli::Invocation;
use crate::find::find;
use crate::report::{self, Exit, Outcome};

/// Say what Claude Code is set to, and by whom; fails unless it comes to the relay
#[derive(clap::Args)]
pub(crate) struct Status {}

/// It goes to a cloud, or where it always goes.
const AWAY: &str = "Claude Code does not come to the relay";

/// Where Claude Code goes, in words.
enum Verdict {
    /// To the relay.
    Here(String),
    /// Not there.
    Elsewhere(String),
    /// To that address. Whether it is the relay's is not known, for its configuration does not load.
    Unknown(String),
}

impl Verdict {
    /// Whoever asks by the status alone wants to know whether it comes to the relay.
    const fn exit(&self) -> Exit {
        match self {
            Self::Here(_) => Exit::Done,
            Self::Elsewhere(_) | Self::Unknown(_) => Exit::Failed,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(words) => write!(f, "✓ {words}"),
            Self::Elsewhere(words) => write!(f, "✗ {words}"),
            Self::Unknown(url) => write!(
                f,
                "? the configuration of the relay does not load, so whether {url} is its address is unknown"
            ),
        }
    }
}

impl Status {
    #[expect(clippy::unused_self, reason = "every command of the table is run in the same way")]
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        let files = Files::of(&invocation.environment)?;
        let read = files.read()?;
        let Some(document) = &read.document else {
            report::tell(format_args!("✗ there is no {}", files.settings.display()));
            return Ok(Exit::Failed);
        };
        report::tell(files.settings.display());
        for name in VARIABLES {
            report::tell(format_args!("  {name} {}", standing(document, &read, name)));
        }
        let before = files.before()?;
        for (path, document) in before.iter().rev() {
            tell_before(path, document);
        }
        let mut documents: Vec<_> = before.iter().map(|(_, document)| document).collect();
        documents.push(document);
        let clouds = clouds(&documents);
        for cloud in &clouds {
            report::tell(format_args!("  {cloud} is set: Claude Code talks to that cloud, not to the relay"));
        }
        let verdict = match clouds.as_slice() {
            [] => verdict(&documents, invocation),
            _ => Verdict::Elsewhere(AWAY.to_owned()),
        };
        report::tell(&verdict);
        Ok(verdict.exit())
    }
}

/// What settings say that go before those of the user, as far as it has to do with where Claude Code goes.
fn tell_before(path: &Path, document: &Document) {
    let set: Vec<_> =
        VARIABLES.into_iter().filter_map(|name| Some((name, document.variable(name)?))).collect();
    let clouds = CLOUDS.into_iter().any(|name| document.variable(name).is_some());
    if set.is_empty() && !clouds {
        return;
    }
    report::tell(format_args!("{}, which goes before it in this folder", path.display()));
    for (name, value) in set {
        report::tell(format_args!("  {name} is {}", shown(name, value)));
    }
}

/// The value of a variable in settings of which the first that has it counts.
fn counting<'d>(documents: &[&'d Document], name: &str) -> Option<&'d str> {
    documents.iter().find_map(|document| document.variable(name))
}

/// The variables in the settings by which Claude Code goes to a cloud instead.
pub(crate) fn clouds(documents: &[&Document]) -> Vec<&'static str> {
    let is_on = |name: &&str| {
        counting(documents, name)
            .is_some_and(|value| !is_blank(value) && !matches!(value, "\"0\"" | "\"false\""))
    };
    CLOUDS.into_iter().filter(is_on).collect()
}

/// A value as it may be shown: a token is a secret, unless it is the one that opens nothing.
fn shown<'v>(name: &str, value: &'v str) -> &'v str {
    if name == AUTH_TOKEN && !same(value, &text(PLACEHOLDER)) { "a token" } else { value }
}

/// What a variable is, and who set it.
fn standing(document: &Document, read: &Read, name: &str) -> String {
    let Some(value) = document.variable(name) else { return "is not set".to_owned() };
    let shown = shown(name, value);
    let entry = read.record.as_ref().and_then(|record| record.entry(name));
    let by = match entry {
        Some(entry) if same(&entry.set, value) && entry.replaced.is_some() => {
            "set by cc-relay, which keeps yours"
        }
        Some(entry) if same(&entry.set, value) => "set by cc-relay",
        Some(_) => "changed since cc-relay set it",
        None if same(value, &text(PLACEHOLDER)) => "the placeholder of cc-relay",
        None => "your own",
    };
    format!("is {shown} ({by})")
}

/// Does Claude Code come to the relay of this configuration?
fn verdict(documents: &[&Document], invocation: &Invocation) -> Verdict {
    let url = counting(documents, BASE_URL).and_then(|value| serde_json::from_str::<String>(value).ok());
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return Verdict::Elsewhere(AWAY.to_owned());
    };
    let Ok(found) = find(invocation) else { return Verdict::Unknown(url) };
    let listen = &found.config.server.listen;
    if leads_to(&url, listen) {
        Verdict::Here(format!("Claude Code comes to this relay ({listen})"))
    } else {
        Verdict::Elsewhere(format!("Claude Code goes elsewhere: this relay listens on {listen}"))
    }
}

/// Does a URL lead to a relay that listens there, as seen from this machine?
fn leads_to(url: &str, listen: &Address) -> bool {
    let url = url.parse::<http::Uri>().ok();
    url.as_ref().and_then(Address::of).is_some_and(|address| address.leads_to(listen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_the_relay_if_port_and_machine_agree() {
        let table = [
            ("http://127.0.0.1:8787", "127.0.0.1", true),
            ("http://localhost:8787/", "127.0.0.1", true),
            ("http://[::1]:8787", "", true),
            ("http://127.0.0.1:8787", "0.0.0.0", true),
            ("http://127.0.0.1:8788", "127.0.0.1", false),
            ("http://127.0.0.1", "127.0.0.1", false),
            ("https://Relay.example.com:8787", "relay.example.com", true),
            ("https://relay.example.com", "relay.example.com", false),
            ("http://10.0.0.1:8787", "127.0.0.1", false),
            ("http://127.0.0.1:8787", "10.0.0.1", false),
            ("nonsense", "127.0.0.1", false),
        ];
        for (url, host, expect) in table {
            let listen = Address { host: host.to_owned(), port: 8787 };
            assert_eq!(leads_to(url, &listen), expect, "{url} {host}");
        }
    }
}
