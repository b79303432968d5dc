//! OpenAI, and everybody who speaks as it does: Chat Completions, at `base_url`.
//! <https://platform.openai.com/docs/api-reference/chat>, read 2026-11

use bytes::Bytes;
use http::StatusCode;
use http::uri::PathAndQuery;
use relay_core::{Extent, Time, Verdict};
use relay_headers::{Headers, Value};
use relay_wire::quota::wait_in_words;
use relay_wire::refusal::{self, ErrorKind};

use crate::adapter::{
    Adapter, Ask, Auth, Credential, Facts, Head, Order, Piece, Place, Target, Translator, Unsupported, Upstream,
};
use crate::anthropic;
use crate::cloud::Envelope;
use crate::compatible::{self, MESSAGES};
use crate::dialect::{Habits, chat, says};

pub(crate) struct OpenAi;

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

    fn judge(&self, head: &Head<'_>, piece: Piece<'_>, now: Time) -> Verdict {
        let Piece::Body(body) = piece else { return anthropic::judge(head, piece, now) };
        let said = refusal::read(body);
        let words = said.message.as_deref().unwrap_or_default();
        match head.status.as_u16() {
            // Google's, of a key that is none.
            400 if words.starts_with("API key not valid") => Verdict::KeyBad(Extent::Key),
            429 => {
                let mut quota = head.quota.clone();
                quota.retry_after = quota.retry_after.or_else(|| wait_in_words(words));
                anthropic::judge(&Head { quota: &quota, ..*head }, piece, now)
            }
            _ => anthropic::judge(head, piece, now),
        }
    }

    fn reply(&self, ask: &Ask<'_>, status: StatusCode, headers: &mut Headers) -> Option<Box<dyn Translator>> {
        let id = headers.get("x-request-id").map(<[u8]>::to_vec);
        if let Some(Ok(id)) = id.as_deref().map(Value::new) {
            headers.set("request-id", id);
        }
        let (call, body) = ask.call?;
        if !status.is_success() {
            headers.set("content-type", Value::fixed("application/json"));
            return Some(Box::new(Envelope::read_by(ErrorKind::from_status(status), says)));
        }
        let asked = chat::Asked::of(body);
        if !call.stream {
            headers.set("content-type", Value::fixed("application/json"));
            return Some(Box::new(chat::Whole::new(asked)));
        }
        headers.set("content-type", Value::fixed("text/event-stream; charset=utf-8"));
        Some(Box::new(chat::Streamed::new(asked)))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use relay_core::Quota;

    use super::*;

    /// A key that Google does not know was asked again and again, and how long to wait was guessed.
    #[test]
    fn what_others_say_in_words_is_understood() {
        let (now, quota) = (Time::from_epoch(Duration::from_secs(1_000)), Quota::default());
        let later = |seconds| now + Duration::from_secs(seconds);
        for (status, words, expect) in [
            (400, "API key not valid. Please pass a valid API key.", Verdict::KeyBad(Extent::Key)),
            (400, "Invalid value", Verdict::Refused),
            (429, "You exceeded your current quota. Please retry in 17s.", Verdict::Spent { until: later(17) }),
            (429, "Rate limit reached. Please try again in 2s.", Verdict::Throttled { until: later(2) }),
        ] {
            let status = StatusCode::from_u16(status).expect("it is one");
            let body = refusal::write(ErrorKind::from_status(status), words, None);
            let judged = OpenAi.judge(&Head { status, quota: &quota }, Piece::Body(&body), now);
            assert_eq!(judged, expect, "{words}");
        }
    }
}
