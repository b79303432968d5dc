//! `cc-relay config cc init`: sets what makes Claude Code talk to the relay.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::num::{NonZeroU16, NonZeroU64};
use std::path::{Path, PathBuf};

use relay_config::checked::Address;

use crate::cc::change::{self, Change, Own, OwnToken, Step, Token, Wish};
use crate::cc::document::Document;
use crate::cc::files::Files;
use crate::cc::{AUTH_TOKEN, CONTEXT_TOKENS, MODEL_DISCOVERY, PLACEHOLDER, USUAL_URL};
use crate::cli::Invocation;
use crate::cmd::cc::status::clouds;
use crate::find::find;
use crate::report::{self, Exit, Explained, Outcome};

/// Point Claude Code at the relay
#[derive(clap::Args)]
pub(crate) struct Init {
    /// Where the relay is [default: where the configuration lets it listen, else port 8787 of this machine]
    #[arg(long, value_name = "URL", value_parser = url)]
    proxy_url: Option<String>,

    /// The client key that the relay asks for [default: a placeholder that opens nothing]
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<String>,

    /// The same from the first line of a file, or of standard input if it is `-`: no list of processes shows it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "subscription"])]
    key_file: Option<PathBuf>,

    /// Leave the credential alone: Claude Code goes on with the login of your subscription
    #[arg(long, conflicts_with = "key")]
    subscription: bool,

    /// Let Claude Code ask the relay which models there are
    #[arg(long)]
    model_discovery: bool,

    /// The context of models that Claude Code does not know, in tokens
    #[arg(long, value_name = "N", value_parser = tokens)]
    context_tokens: Option<NonZeroU64>,

    /// Replace a token of your own; `config cc remove` puts it back
    #[arg(long)]
    force: bool,
}

impl Explained for OwnToken {
    fn hint(&self) -> Option<String> {
        Some(
            "`--force` replaces it until `cc-relay config cc remove`; `--subscription` leaves it, and sets the \
             address only"
                .to_owned(),
        )
    }
}

/// A key that cannot be had.
#[derive(Debug, thiserror::Error)]
enum NoKey {
    #[error("cannot read a key from `{0}`")]
    Unreadable(String, #[source] io::Error),
    #[error("the first line of `{0}` is no key: it {1}")]
    Unfit(String, &'static str),
}

impl Explained for NoKey {}

/// Where the relay is, is not known before it starts.
#[derive(Debug, thiserror::Error)]
#[error("`server.listen` leaves the port to the system, which chooses another one with each start")]
struct Unsettled;

impl Explained for Unsettled {
    fn hint(&self) -> Option<String> {
        Some(
            "give it a port, or say with `--proxy-url URL` where the relay is now: its log says so"
                .to_owned(),
        )
    }
}

impl Init {
    pub(crate) fn run(mut self, invocation: &Invocation) -> Outcome {
        if let Some(file) = self.key_file.take() {
            self.key = Some(first_line(&file)?);
        }
        let files = Files::of(&invocation.environment)?;
        let wish = self.wish(invocation)?;
        files.make_folder()?;
        let _lock = files.lock();
        let read = files.read()?;
        let change = change::init(read.document.as_ref(), read.record.as_ref(), &wish)?;
        let settings = change.settings.as_deref();
        if settings.map(str::as_bytes) != read.bytes.as_deref() || change.record != read.record {
            // In this order, so that whatever stops it half way can be taken back.
            files.keep_copy(&read)?;
            files.write_record(change.record.as_ref())?;
            files.write_settings(&read, settings)?;
        }
        self.tell(&files, &change, &wish);
        Ok(Exit::Done)
    }

    fn wish(&self, invocation: &Invocation) -> Result<Wish, Unsettled> {
        let token = || Token::Set(self.key.clone().unwrap_or_else(|| PLACEHOLDER.to_owned()));
        let discovery = self.model_discovery.then(|| (MODEL_DISCOVERY, "1".to_owned()));
        let context = self.context_tokens.map(|tokens| (CONTEXT_TOKENS, tokens.to_string()));
        Ok(Wish {
            base_url: self.proxy_url.clone().map_or_else(|| configured_url(invocation), Ok)?,
            token: if self.subscription { Token::Leave } else { token() },
            more: discovery.into_iter().chain(context).collect(),
            own: if self.force { Own::Replace } else { Own::Keep },
        })
    }

    fn tell(&self, files: &Files, change: &Change, wish: &Wish) {
        report::tell(files.settings.display());
        for (name, step) in &change.steps {
            let value = self.shown(name, wish);
            match step {
                Step::Kept => report::tell(format_args!("  {name} was {value} already")),
                Step::Set => report::tell(format_args!("  {name} is {value}")),
                Step::Replaced => {
                    report::tell(format_args!(
                        "  {name} is {value}; yours is kept in {}",
                        files.record.display()
                    ));
                }
                Step::Removed => report::tell(format_args!("  {name} was taken out")),
                Step::Restored => report::tell(format_args!("  {name} is your own again")),
                Step::Left => report::tell(format_args!("  {name} is yours, and left as it is")),
                Step::Gone => {}
            }
        }
        report::tell("start a new `claude` for it; `cc-relay config cc remove` takes it back");
        let document = change.settings.as_deref().and_then(|text| Document::read(text.as_bytes()).ok());
        let Some(document) = document else { return };
        for cloud in clouds(&[&document]) {
            report::tell(format_args!(
                "warning: `env.{cloud}` is set: Claude Code talks to that cloud, not to the relay"
            ));
        }
        if document.variable(MODEL_DISCOVERY).is_none() {
            report::tell("also: --model-discovery       the models of the relay in `/model`");
        }
        if document.variable(CONTEXT_TOKENS).is_none() {
            report::tell(
                "also: --context-tokens N      the context of models that Claude Code does not know",
            );
        }
    }

    /// A value as it may be shown: a key is one only the relay and its client know.
    fn shown(&self, name: &str, wish: &Wish) -> String {
        match name {
            AUTH_TOKEN if self.key.is_some() => "your key".to_owned(),
            AUTH_TOKEN => format!("`{PLACEHOLDER}`"),
            _ => {
                let more = wish.more.iter().find(|(other, _)| *other == name);
                format!("`{}`", more.map_or(&wish.base_url, |(_, value)| value))
            }
        }
    }
}

/// Where the relay of the configuration is, as seen from this machine; the usual place if there is none, or it does
/// not load.
fn configured_url(invocation: &Invocation) -> Result<String, Unsettled> {
    let found = find(invocation).ok().filter(|found| found.file.is_some());
    let Some(server) = found.map(|found| found.config.server) else { return Ok(USUAL_URL.to_owned()) };
    let scheme = if server.tls.is_some() { "https" } else { "http" };
    let Address { host, port } = &server.listen;
    if *port == 0 {
        return Err(Unsettled);
    }
    Ok(match host.as_str() {
        _ if server.listen.is_everywhere() => format!("{scheme}://127.0.0.1:{port}"),
        host if host.contains(':') => format!("{scheme}://[{host}]:{port}"),
        host => format!("{scheme}://{host}:{port}"),
    })
}

/// An address that Claude Code can put a path behind.
fn url(text: &str) -> Result<String, String> {
    const SHAPE: &str = "must be an address like `http://127.0.0.1:8787`";
    // The parser of addresses lets these stand in a path, where others would not understand them.
    let strange = |byte: u8| !byte.is_ascii_graphic() || b"\"<>\\^`{|}#".contains(&byte);
    if text.bytes().any(strange) {
        return Err(SHAPE.to_owned());
    }
    let uri: http::Uri = text.parse().map_err(|_| SHAPE.to_owned())?;
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.host().is_some_and(|host| !host.is_empty());
    if !scheme || !host || uri.query().is_some() {
        return Err(SHAPE.to_owned());
    }
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    if authority.contains('@') {
        return Err("must not hold a user name or a password".to_owned());
    }
    if !has_port_or_none(authority) {
        return Err("must have a port from 1 to 65535, or none, as in `http://127.0.0.1:8787`".to_owned());
    }
    let path = uri.path().trim_end_matches('/');
    if let Some(before) = path.strip_suffix("/v1/messages").or_else(|| path.strip_suffix("/v1")) {
        let scheme = uri.scheme_str().unwrap_or_default();
        return Err(format!(
            "Claude Code puts `/v1/messages` behind it: write `{scheme}://{authority}{before}`"
        ));
    }
    Ok(text.to_owned())
}

/// What follows the host, and the brackets around one of IPv6, is a port that one can connect to, or nothing.
fn has_port_or_none(authority: &str) -> bool {
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, after)| after);
    let port = after_host.split_once(':').map(|(_, port)| port);
    port.is_none_or(|port| port.parse::<NonZeroU16>().is_ok())
}

/// A number of tokens.
fn tokens(text: &str) -> Result<NonZeroU64, &'static str> {
    text.parse().map_err(|_| "must be a number of tokens of at least 1, in digits only, like `200000`")
}

/// The key in the first line of a file, or of standard input.
fn first_line(file: &Path) -> Result<String, NoKey> {
    /// Longer than any key, in bytes.
    const LONGEST: u64 = 64 << 10;
    let name = || file.display().to_string();
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file).map_err(|error| NoKey::Unreadable(name(), error))?)
    };
    let mut line = String::new();
    let read = BufReader::new(source.take(LONGEST)).read_line(&mut line);
    read.map_err(|error| NoKey::Unreadable(name(), error))?;
    key(line.trim()).map_err(|why| NoKey::Unfit(name(), why))
}

/// A key that can be sent in a header.
fn key(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be of visible ASCII characters, without spaces");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_nothing_secret() {
        for good in ["http://127.0.0.1:8787", "https://relay.example.com", "http://[::1]:1/base", "http://a/"]
        {
            assert_eq!(url(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "127.0.0.1:8787",
            "relay",
            "ftp://a",
            "http://",
            "http://a?b",
            "http://u:p@a",
            "http://a b",
            "/x",
            "http://h:99999",
            "http://h:0",
            "http://h:",
            "http://[::1]:99999",
            "http://h/\"x",
            "http://h/a b",
            "http://h/#x",
            "http://h/ü",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_that_has_the_path_of_messages_already_is_told_what_to_write() {
        for (text, expect) in [
            ("https://h/v1/messages", "https://h"),
            ("https://h/v1/messages/", "https://h"),
            ("https://h/base/v1", "https://h/base"),
            ("http://[::1]:1/v1/", "http://[::1]:1"),
        ] {
            let why = format!("Claude Code puts `/v1/messages` behind it: write `{expect}`");
            assert_eq!(url(text), Err(why), "{text}");
        }
        assert!(url("https://v1/messages").is_ok() && url("https://h/v1/relay").is_ok());
    }

    #[test]
    fn a_context_of_no_tokens_is_none() {
        assert_eq!(tokens("7"), Ok(NonZeroU64::MIN.saturating_add(6)));
        for bad in ["0", "", "-1", "200k", "200 000", "1e5"] {
            assert!(tokens(bad).unwrap_err().contains("at least 1"), "{bad}");
        }
    }

    #[test]
    fn a_key_fits_into_a_header() {
        assert_eq!(key("sk-relay_1").as_deref(), Ok("sk-relay_1"));
        for bad in ["", "a b", "a\n", "ü"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
