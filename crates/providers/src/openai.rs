//! OpenAI, and everybody who speaks as it does: Chat Completions, at `base_url`.
//! <https://platform.openai.com/docs/api-reference/chat>, read 2026-11

use bytes::Bytes;
use http::StatusCode;
use http::uri::PathAndQuery;
use relay_core::{Extent, Time, Verdict};
use relay_headers::{Headers, Value};
use relay_wire::quota::wait_in_words;
use relay_wire::refusal::{self, ErrorKind, Refusal};

use crate::adapter::{
    Adapter, Ask, Auth, Credential, Facts, Head, Order, Piece, Place, Target, Translator, Unsupported, Upstream,
};
use crate::anthropic;
use crate::cloud::{self, Envelope};
use crate::compatible::{self, MESSAGES};
use crate::dialect::{Habits, Names, chat};

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
        let names = Names::of(body);
        if !call.stream {
            headers.set("content-type", Value::fixed("application/json"));
            return Some(Box::new(chat::Whole::new(call.len, names)));
        }
        headers.set("content-type", Value::fixed("text/event-stream; charset=utf-8"));
        Some(Box::new(chat::Streamed::new(call.len, names)))
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
    if is(&["context_length_exceeded", "exceed_context_size_error"]) || TOO_LONG.iter().any(|it| words.contains(it)) {
        return (ErrorKind::InvalidRequest, too_long(&words));
    }
    (kind, words)
}

/// In which words OpenAI, vLLM and SGLang, xAI, Gemini and Groq say that a prompt is too long.
const TOO_LONG: [&str; 5] = [
    "maximum context length",
    "maximum prompt length",
    "maximum number of tokens allowed",
    "Input tokens exceed",
    "reduce the length of the messages",
];

/// `prompt is too long: 9000 tokens > 8192 maximum`, or that prompt and answer together are, if the words have the numbers.
fn too_long(words: &str) -> String {
    let digits = |c: char| !c.is_ascii_digit();
    let after = |mark: &str| words.split_once(mark)?.1.split(digits).next()?.parse::<u64>().ok();
    let before = |mark: &str| words.split_once(mark)?.0.rsplit(digits).next()?.parse::<u64>().ok();
    let prompt = before(" in the messages").or_else(|| before(" input tokens"));
    let answer = before(" in the completion").or_else(|| after("is too large: "));
    let most = after("maximum context length is ");
    if let (Some(prompt), Some(answer), Some(most)) = (prompt, answer, most)
        && prompt <= most
    {
        return format!(
            "input length and `max_tokens` exceed context limit: {prompt} + {answer} > {most}, decrease input length or `max_tokens` and try again"
        );
    }
    let numbers = words.split(digits).filter_map(|digits| digits.parse().ok());
    let numbers: Vec<u64> = numbers.filter(|number| *number >= 256).collect();
    let (most, has) = (most.or(numbers.iter().min().copied()), prompt.or(numbers.iter().max().copied()));
    match most.zip(has).filter(|(most, has)| most < has) {
        Some((most, has)) => format!("prompt is too long: {has} tokens > {most} maximum"),
        None => format!("prompt is too long: {words}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use relay_core::Quota;

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
            (
                "INVALID_ARGUMENT",
                "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
                ErrorKind::InvalidRequest,
                "prompt is too long: 1100000 tokens > 1048576 maximum",
            ),
            (
                "",
                "This model's maximum prompt length is 131072 but the request contains 150000 tokens.",
                ErrorKind::InvalidRequest,
                "prompt is too long: 150000 tokens > 131072 maximum",
            ),
            (
                "BadRequestError",
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4900 in the messages, 100 in the completion).",
                ErrorKind::InvalidRequest,
                "prompt is too long: 4900 tokens > 4096 maximum",
            ),
            (
                "400",
                "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 15 input tokens (5000 > 4096 - 15).",
                ErrorKind::InvalidRequest,
                "input length and `max_tokens` exceed context limit: 15 + 5000 > 4096, decrease input length or `max_tokens` and try again",
            ),
            ("rate_limit_exceeded", "Rate limit reached", ErrorKind::RateLimit, "Rate limit reached"),
        ];
        for (code, words, kind, expect) in table {
            let refusal = Refusal { code: Some(code.to_owned()), message: Some(words.to_owned()), ..Refusal::default() };
            assert_eq!(says(ErrorKind::RateLimit, &refusal), (kind, expect.to_owned()), "{code}");
        }
        assert_eq!(says(ErrorKind::Api, &Refusal::default()), (ErrorKind::Api, "api error".to_owned()));
    }

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
