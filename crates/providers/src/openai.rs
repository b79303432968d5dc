//! OpenAI, and everybody who speaks as it does: Chat Completions, at `base_url`.
//! <https://platform.openai.com/docs/api-reference/chat>, read 2026-11

use bytes::Bytes;
use http::StatusCode;
use http::uri::PathAndQuery;
use relay_headers::{Headers, Value};
use relay_wire::refusal::{ErrorKind, Refusal};

use crate::adapter::{
    Adapter, Ask, Auth, Credential, Facts, Order, Place, Target, Translator, Unsupported, Upstream,
};
use crate::cloud::{self, Envelope};
use crate::compatible::{self, MESSAGES};
use crate::dialect::{Habits, chat};

pub(crate) struct OpenAi;

/// Bytes of a body that make a token, most likely, in tenths: nobody counts the prompt of a stream before its end.
const TENTHS_OF_BYTES: u64 = 35;

impl Adapter for OpenAi {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("https://api.openai.com/v1"),
            owner: "openai",
            first_byte: crate::SLOW_FIRST_BYTE,
            translated: true,
            auth: Auth::OPTIONAL_BEARER,
            errs_late: true,
            ..Facts::USUAL
        }
    }

    fn prepare(&self, order: &Order<'_>) -> Result<Upstream, Unsupported> {
        let Order { ask, target, credential, .. } = *order;
        let Some((call, body)) = ask.call.filter(|_| ask.path.path() == MESSAGES) else {
            return Err(Unsupported::Path);
        };
        let asked = call.model.as_deref().unwrap_or_default();
        let model = target.models.sent(asked, self.facts().knows_long);
        let host = target.base.host().unwrap_or_default();
        let edits = chat::request(body, &model, call, &Habits::of(host, &model))?;
        Ok(Upstream { path: path(target)?, headers: headers(&ask, host, credential)?, edits: Some(edits) })
    }

    fn reply(&self, ask: &Ask<'_>, status: StatusCode, headers: &mut Headers) -> Option<Box<dyn Translator>> {
        let id = headers.get("x-request-id").map(<[u8]>::to_vec);
        if let Some(Ok(id)) = id.as_deref().map(Value::new) {
            headers.set("request-id", id);
        }
        let (call, _) = ask.call?;
        if !status.is_success() {
            headers.set("content-type", Value::fixed("application/json"));
            return Some(Box::new(Envelope::read_by(ErrorKind::from_status(status), says)));
        }
        let streams = headers.text("content-type").is_some_and(|form| form.starts_with("text/event-stream"));
        if streams {
            headers.set("content-type", Value::fixed("text/event-stream; charset=utf-8"));
            return Some(Box::new(chat::Stream::new(call.len as u64 * 10 / TENTHS_OF_BYTES)));
        }
        headers.set("content-type", Value::fixed("application/json"));
        Some(Box::new(chat::Whole::default()))
    }
}

/// Its base has a version in it, most often.
fn path(target: &Target) -> Result<PathAndQuery, Unsupported> {
    let query = target.base.query().map_or_else(String::new, |query| format!("?{query}"));
    let path = format!("{}/chat/completions{query}", target.base.path().trim_end_matches('/'));
    PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|_| Unsupported::Path)
}

/// What a client says to Anthropic beside its body means nothing here.
fn headers(ask: &Ask<'_>, host: &str, credential: &Credential) -> Result<Headers, Unsupported> {
    let mut headers = Headers::default();
    for name in ["user-agent", "x-request-id"] {
        if let Some(value) = ask.headers.get(name).and_then(|value| Value::new(value).ok()) {
            headers.set(name, value);
        }
    }
    headers.set("content-type", Value::fixed("application/json"));
    headers.set("accept", Value::fixed("application/json, text/event-stream"));
    // A compressed stream cannot be watched.
    headers.set("accept-encoding", Value::fixed("identity"));
    let Credential::Key(key) = credential else { return Ok(headers) };
    if host.ends_with(".azure.com") && !key.expose().starts_with("eyJ") {
        // Azure has keys of its own beside tokens.
        let key = Value::new(key.expose().as_bytes()).map_err(|_| Unsupported::Credential)?;
        headers.set_secret("api-key", key);
    } else {
        compatible::bearer(&mut headers, key)?;
    }
    Ok(headers)
}

/// What an error is at Anthropic, and in which words. Clients make a prompt shorter if they are told in the words that they
/// know that it is too long.
pub(crate) fn says(kind: ErrorKind, refusal: &Refusal) -> (ErrorKind, String) {
    let words = refusal.message.clone().unwrap_or_else(|| cloud::plain(kind));
    let told = [refusal.code.as_deref(), refusal.kind.as_deref()];
    let is = |names: &[&str]| told.iter().flatten().any(|told| names.contains(told));
    if is(&["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"]) {
        return (ErrorKind::Billing, words);
    }
    if is(&["context_length_exceeded", "exceed_context_size_error"]) || words.contains("maximum context length") {
        return (ErrorKind::InvalidRequest, too_long(&words));
    }
    (kind, words)
}

/// `prompt is too long: 9000 tokens > 8192 maximum`, if the words have the two numbers.
fn too_long(words: &str) -> String {
    let numbers: Vec<u64> = words
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .filter(|number| *number >= 256)
        .collect();
    let (most, has) = (numbers.iter().min(), numbers.iter().max());
    match most.zip(has).filter(|(most, has)| most < has) {
        Some((most, has)) => format!("prompt is too long: {has} tokens > {most} maximum"),
        None => format!("prompt is too long: {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_clients_know() {
        let table = [
            ("insufficient_quota", "You exceeded your current quota", ErrorKind::Billing, "You exceeded your current quota"),
            (
                "context_length_exceeded",
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
                ErrorKind::InvalidRequest,
                "prompt is too long: 9000 tokens > 8192 maximum",
            ),
            (
                "400",
                "This model's maximum context length is 4096 tokens. Please reduce the length.",
                ErrorKind::InvalidRequest,
                "prompt is too long: This model's maximum context length is 4096 tokens. Please reduce the length.",
            ),
            ("rate_limit_exceeded", "Rate limit reached", ErrorKind::RateLimit, "Rate limit reached"),
        ];
        for (code, words, kind, expect) in table {
            let refusal = Refusal { code: Some(code.to_owned()), message: Some(words.to_owned()), ..Refusal::default() };
            assert_eq!(says(ErrorKind::RateLimit, &refusal), (kind, expect.to_owned()), "{code}");
        }
        assert_eq!(says(ErrorKind::Api, &Refusal::default()), (ErrorKind::Api, "api error".to_owned()));
    }
}
