//! What each provider is sent for each request: where it goes, its headers, and what is changed in its bytes.

use std::fmt::Write as _;
use std::path::PathBuf;

use relay_headers::Header;
use relay_providers::{Kind as Provider, Upstream};
use relay_wire::scan::{Kind, Value};

use crate::stage::{Asked, fixtures};

/// Longer texts are told by their length.
const LONGEST: usize = 200;

#[test]
fn every_request_is_written_for_every_provider_as_it_must_be() {
    let fixtures = fixtures();
    let mut settings = insta::Settings::clone_current();
    settings
        .set_snapshot_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/requests"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for kind in Provider::all() {
            let told: Vec<_> = fixtures.iter().map(|asked| told(asked, kind)).collect();
            insta::assert_snapshot!(kind.as_str(), told.join("\n"));
        }
    });
}

/// The heads of all requests to one provider are the same but for what this one changes.
fn told(asked: &Asked, kind: Provider) -> String {
    let mut told = format!("== {} ({} bytes)\n", asked.name, asked.body.len());
    match asked.sent_to(kind, &[("claude-haiku-4-5", "small")]) {
        Ok(upstream) => {
            let _ = writeln!(told, "POST {}", upstream.path);
            heads(&mut told, asked, &upstream);
            edits(&mut told, asked, &upstream, kind);
        }
        Err(unsupported) => {
            let _ = writeln!(told, "is not carried: {unsupported}");
        }
    }
    told
}

fn heads(told: &mut String, asked: &Asked, upstream: &Upstream) {
    for header in &asked.headers {
        if !upstream.headers.iter().any(|sent| is_same(sent, header)) {
            let _ = writeln!(told, "- {}: {}", header.lowercase(), header.text().unwrap_or("?"));
        }
    }
    for header in &upstream.headers {
        if !asked.headers.iter().any(|came| is_same(came, header)) {
            let secret = if header.is_secret() { " (secret)" } else { "" };
            let _ = writeln!(told, "+ {}: {}{secret}", header.lowercase(), header.text().unwrap_or("?"));
        }
    }
}

fn is_same(one: Header<'_>, other: Header<'_>) -> bool {
    (one.name(), one.value()) == (other.name(), other.value())
}

/// A body that is written anew: each field, each message and each tool in a line.
fn written(told: &mut String, body: &[u8]) {
    let text = |value: Value<'_>| String::from_utf8_lossy(value.text()).into_owned();
    for member in Value::read(body).expect("it is JSON").members() {
        let member = member.expect("it is an object");
        let name = text(member.key);
        if member.value.kind() != Kind::Array {
            let _ = writeln!(told, "  {name}: {}", text(member.value));
            continue;
        }
        for element in member.value.elements() {
            let _ = writeln!(told, "  {name}[]: {}", text(element.expect("it is a list")));
        }
    }
}

fn edits(told: &mut String, asked: &Asked, upstream: &Upstream, kind: Provider) {
    let Some(edits) = &upstream.edits else { return told.push_str("  the body as it came\n") };
    if kind.facts().translated {
        return written(told, &edits.apply().to_bytes());
    }
    let shown = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= LONGEST => text.to_owned(),
        _ => format!("{} bytes", bytes.len()),
    };
    for (span, text) in edits.changes() {
        for (sign, bytes) in [('-', &asked.body[span.clone()]), ('+', &text)] {
            if !bytes.is_empty() {
                let _ = writeln!(told, "  {sign} {}: {}", span.start, shown(bytes));
            }
        }
    }
    let edited = edits.apply();
    let _ = writeln!(told, "  {} bytes are sent", edited.len());
}
