//! Requests as Claude Code makes them, and providers as they are configured.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use relay_core::Time;
use relay_headers::{Headers, Value};
use relay_providers::{
    Account, Ask, Credential, Kind, Models, Order, Secret, Setting, Target, Unsupported, Upstream,
};
use relay_wire::call::Call;

/// A secret that is found wherever it stands.
pub(crate) const SECRET: &str = "sk-of-the-relay-5f1c";

/// 2026-11-20 12:00:00.
const NOW: Time = Time::from_epoch(Duration::from_hours(498_660));

/// What a client asks.
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) path: PathAndQuery,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
    pub(crate) call: Call,
}

impl Asked {
    pub(crate) fn new(name: &str, body: Bytes) -> Self {
        let path = if name.starts_with("count_tokens") {
            "/v1/messages/count_tokens?beta=true"
        } else {
            "/v1/messages?beta=true"
        };
        let mut headers = Headers::default();
        for (name, value) in HEADERS {
            headers.add(name, Value::fixed(value));
        }
        let call = Call::read(&body).expect("fixtures are objects");
        Self { name: name.to_owned(), path: PathAndQuery::from_static(path), headers, body, call }
    }

    fn ask(&self) -> Ask<'_> {
        Ask { path: &self.path, headers: &self.headers, call: Some((&self.call, &self.body)) }
    }

    /// What a provider of that kind is sent, with that credential.
    pub(crate) fn sent_with(
        &self,
        kind: Kind,
        models: &[(&str, &str)],
        credential: &Credential,
    ) -> Result<Upstream, Unsupported> {
        let target = target(kind, models);
        kind.adapter().prepare(&Order { ask: self.ask(), target: &target, credential, now: NOW })
    }

    /// The same with a key of ours.
    pub(crate) fn sent_to(&self, kind: Kind, models: &[(&str, &str)]) -> Result<Upstream, Unsupported> {
        let credential = Credential::Key(Secret::new(SECRET));
        self.sent_with(kind, models, &credential)
    }
}

/// As Claude Code 2.1 sends them to a base URL of one's own (wire notes), and one that nobody has heard of.
const HEADERS: [(&str, &str); 12] = [
    ("accept", "application/json"),
    ("authorization", "Bearer sk-of-the-client"),
    ("content-type", "application/json"),
    ("user-agent", "claude-cli/2.1.329 (external, sdk-cli)"),
    ("x-claude-code-session-id", "0b3fd7a1-52cc-4b27-95f5-3d0b6a8f3b10"),
    ("x-stainless-lang", "js"),
    ("anthropic-beta", "claude-code-20250219,context-management-2025-06-27,dangerous-tool-use-2026-09-03"),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("anthropic-version", "2023-06-01"),
    ("x-app", "cli"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("x-of-tomorrow", "kept"),
];

/// All that stand in `fixtures/requests`, by name.
pub(crate) fn fixtures() -> Vec<Asked> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/requests");
    let files = fs::read_dir(folder).expect("it is there").map(|file| file.expect("it can be listed").path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    assert!(files.len() >= 16, "{files:?}");
    let named = files.into_iter().map(|file| {
        let name = file.file_stem().expect("it has one").to_string_lossy().into_owned();
        Asked::new(&name, fs::read(file).expect("it can be read").into())
    });
    named.collect()
}

/// Where one is, and what it calls models.
fn target(kind: Kind, models: &[(&str, &str)]) -> Target {
    let account = Account(
        [
            (Setting::AwsRegion, "eu-central-1"),
            (Setting::AzureResource, "my-resource"),
            (Setting::GcpProject, "my-project"),
            (Setting::GcpRegion, "europe-west1"),
        ]
        .map(|(setting, text)| (setting, text.to_owned()))
        .into(),
    );
    let base = kind.facts().place.url(&account).unwrap_or_else(|| "https://models.example/api".to_owned());
    Target {
        base: base.parse().expect("it is a URL"),
        models: Models::new(
            models.iter().map(|(asked, sent)| ((*asked).to_owned(), (*sent).to_owned())).collect(),
        ),
        account,
    }
}
