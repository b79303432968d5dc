//! Reads and checks a request for a message or a token count, as strictly as the provider does.
//!
//! It knows the top-level fields that have rules; every other field passes, since the provider
//! has many which are not known here. What the conversation itself must look like is in
//! `conversation`; what thinking blocks must look like is in `thinking`.

use http::HeaderMap;
use serde_json::Value;

use crate::{
    auth::betas,
    conversation,
    models::{Model, ThinkingMode, find},
    prefix::{Segment, Ttl},
    refusal::Refusal,
    thinking::{self, Dropped, Reader},
};

/// The version of October 2026, which refuses sampling parameters.
const STRICT_VERSION: &str = "2026-10-21";
const VERSIONS: [&str; 2] = ["2023-06-01", STRICT_VERSION];

/// Breakpoints a request may have.
const MAX_BREAKPOINTS: usize = 4;

/// The least `budget_tokens`.
const MIN_BUDGET: u64 = 1024;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    Message,
    Count,
}

/// A request that was found good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ask {
    pub(crate) stream: bool,
    pub(crate) max_tokens: u64,
    /// Whether to think, and what of it to show.
    pub(crate) thinking: Option<Display>,
    pub(crate) stop_sequences: Vec<String>,
    /// The schema which the text must satisfy, if there is one.
    pub(crate) schema: Option<Value>,
    /// Thinking blocks which the model cannot read.
    pub(crate) dropped: Vec<Dropped>,
}

/// `thinking.display`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Display {
    Shown,
    Omitted,
}

/// Checks `anthropic-version` and `anthropic-beta`; returns the version.
pub(crate) fn check_headers<'a>(headers: &'a HeaderMap, denied_betas: &[String]) -> Result<&'a str, Refusal> {
    let mut versions = headers.get_all("anthropic-version").iter();
    let version = versions.next().ok_or_else(|| Refusal::invalid("anthropic-version: header is required"))?;
    if versions.next().is_some() {
        return Err(Refusal::invalid("anthropic-version: header was given more than once"));
    }
    let version = version.to_str().unwrap_or_default();
    if !VERSIONS.contains(&version) {
        return Err(Refusal::invalid(format!("anthropic-version: \"{version}\" is not a valid version")));
    }
    let denied = |beta: &&str| denied_betas.iter().any(|denied| denied == beta);
    let unexpected: Vec<String> = betas(headers).filter(denied).map(|beta| format!("`{beta}`")).collect();
    if unexpected.is_empty() {
        return Ok(version);
    }
    let list = unexpected.join(", ");
    Err(Refusal::invalid(format!("Unexpected value(s) {list} for the `anthropic-beta` header")))
}

/// The body as JSON.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::invalid(format!("The request body is not valid JSON: {error}")))?;
    if body.is_object() { Ok(body) } else { Err(Refusal::invalid("Input should be a valid dictionary")) }
}

/// The model that is asked.
pub(crate) fn model<'a>(models: &'a [Model], body: &Value) -> Result<&'a Model, Refusal> {
    let name = match body.get("model") {
        None => return Err(Refusal::invalid("model: Field required")),
        Some(Value::String(name)) => name,
        Some(_) => return Err(Refusal::invalid("model: Input should be a valid string")),
    };
    find(models, name).ok_or_else(|| Refusal::not_found(format!("model: {name}")))
}

/// Everything else about a request. `segments` are those of its prompt.
pub(crate) fn check(
    body: &Value,
    purpose: Purpose,
    version: &str,
    segments: &[Segment],
    reader: &Reader<'_>,
) -> Result<Ask, Refusal> {
    let model = reader.model;
    let max_tokens = match purpose {
        Purpose::Message => max_tokens(body, model)?,
        Purpose::Count => 0,
    };
    let stream = optional_bool(body, "stream")?;
    if version == STRICT_VERSION {
        for field in ["temperature", "top_p", "top_k"] {
            if body.get(field).is_some() {
                return Err(Refusal::invalid(format!("{field}: Extra inputs are not permitted")));
            }
        }
    }
    let thinking = thinking_of(body, model, purpose, max_tokens)?;
    conversation::check(body)?;
    check_breakpoints(segments)?;
    let dropped = thinking::check(body, reader)?;
    if purpose == Purpose::Message {
        check_window(segments, model, max_tokens)?;
    }
    let stops = body.get("stop_sequences").and_then(Value::as_array).into_iter().flatten();
    let stop_sequences =
        stops.filter_map(Value::as_str).filter(|stop| !stop.is_empty()).map(str::to_owned).collect();
    let schema =
        body.pointer("/output_config/format/schema").or_else(|| body.pointer("/output_format/schema"));
    Ok(Ask { stream, max_tokens, thinking, stop_sequences, schema: schema.cloned(), dropped })
}

fn max_tokens(body: &Value, model: &Model) -> Result<u64, Refusal> {
    let field = body.get("max_tokens").ok_or_else(|| Refusal::invalid("max_tokens: Field required"))?;
    let number =
        field.as_i64().ok_or_else(|| Refusal::invalid("max_tokens: Input should be a valid integer"))?;
    let tokens = u64::try_from(number)
        .ok()
        .filter(|tokens| *tokens > 0)
        .ok_or_else(|| Refusal::invalid("max_tokens: Input should be greater than or equal to 1"))?;
    if tokens > model.max_tokens {
        return Err(Refusal::invalid(format!(
            "max_tokens: {tokens} > {}, which is the maximum allowed number of output tokens for {}",
            model.max_tokens, model.id
        )));
    }
    Ok(tokens)
}

fn optional_bool(body: &Value, field: &str) -> Result<bool, Refusal> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(Refusal::invalid(format!("{field}: Input should be a valid boolean"))),
    }
}

fn thinking_of(
    body: &Value,
    model: &Model,
    purpose: Purpose,
    max_tokens: u64,
) -> Result<Option<Display>, Refusal> {
    let Some(thinking) = body.get("thinking").filter(|thinking| !thinking.is_null()) else { return Ok(None) };
    let kind = thinking.get("type").and_then(Value::as_str).unwrap_or_default();
    let mode = ThinkingMode::named(kind).ok_or_else(|| {
        Refusal::invalid(format!(
            "thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'"
        ))
    })?;
    if !model.thinking.contains(&mode) {
        let message = format!("thinking.type.{kind}: `{kind}` thinking is not supported on {}", model.id);
        return Err(Refusal::invalid(message));
    }
    if mode == ThinkingMode::Disabled {
        return Ok(None);
    }
    if mode == ThinkingMode::Enabled {
        let budget = thinking.get("budget_tokens").and_then(Value::as_u64);
        let budget =
            budget.ok_or_else(|| Refusal::invalid("thinking.enabled.budget_tokens: Field required"))?;
        if budget < MIN_BUDGET {
            return Err(Refusal::invalid(format!(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to {MIN_BUDGET}"
            )));
        }
        if purpose == Purpose::Message && budget >= max_tokens {
            return Err(Refusal::invalid("`max_tokens` must be greater than `thinking.budget_tokens`"));
        }
    }
    let omitted = thinking.get("display").and_then(Value::as_str) == Some("omitted");
    Ok(Some(if omitted { Display::Omitted } else { Display::Shown }))
}

fn check_breakpoints(segments: &[Segment]) -> Result<(), Refusal> {
    let ttls: Vec<Ttl> = segments.iter().filter_map(|segment| segment.breakpoint).collect();
    if ttls.len() > MAX_BREAKPOINTS {
        return Err(Refusal::invalid(format!(
            "A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {}.",
            ttls.len()
        )));
    }
    if ttls.windows(2).any(|pair| pair == [Ttl::FiveMinutes, Ttl::OneHour]) {
        return Err(Refusal::invalid(
            "cache_control: a block with ttl='1h' must not come after a block with ttl='5m'; blocks are read in the order `tools`, `system`, `messages`",
        ));
    }
    Ok(())
}

fn check_window(segments: &[Segment], model: &Model, max_tokens: u64) -> Result<(), Refusal> {
    let (prompt, window) = (segments.last().map_or(0, |last| last.tokens), model.max_input_tokens);
    if prompt > window {
        return Err(Refusal::invalid(format!("prompt is too long: {prompt} tokens > {window} maximum")));
    }
    if prompt + max_tokens > window {
        return Err(Refusal::invalid(format!(
            "input length and `max_tokens` exceed context limit: {prompt} + {max_tokens} > {window}, decrease input length or `max_tokens` and try again"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use serde_json::{Value, json};

    use super::{Ask, Display, Purpose, check, check_headers, model, parse};
    use crate::{
        models::known_models, prefix::segments, refusal::Refusal, signature::Seal, thinking::Reader,
    };

    fn judge(body: &Value, purpose: Purpose, version: &str) -> Result<Ask, Refusal> {
        let models = known_models();
        let model = model(&models, body)?;
        let reader = Reader { seal: Seal::new(0), model, organization: "acme" };
        check(body, purpose, version, &segments(body), &reader)
    }

    /// A good request with some fields replaced (`null` removes one).
    fn with(fields: &Value) -> Value {
        let mut body = json!({
            "model": "claude-opus-5-5",
            "max_tokens": 1024,
            "messages": [{"role": "user", "content": "hello"}],
        });
        for (name, value) in fields.as_object().expect("an object") {
            body[name] = value.clone();
            if value.is_null() {
                body.as_object_mut().expect("an object").remove(name);
            }
        }
        body
    }

    fn message(fields: &Value) -> String {
        judge(&with(fields), Purpose::Message, "2023-06-01")
            .map_or_else(|refusal| refusal.message, |_| "good".into())
    }

    #[test]
    fn fields_are_judged_as_the_provider_judges_them() {
        let haiku = "claude-haiku-4-5";
        let cases = [
            (json!({}), "good"),
            (json!({"brand_new_field": [1]}), "good"),
            (json!({"model": null}), "model: Field required"),
            (json!({"model": 5}), "model: Input should be a valid string"),
            (json!({"model": "claude-none"}), "model: claude-none"),
            (json!({"max_tokens": null}), "max_tokens: Field required"),
            (json!({"max_tokens": "many"}), "max_tokens: Input should be a valid integer"),
            (json!({"max_tokens": 0}), "max_tokens: Input should be greater than or equal to 1"),
            (json!({"max_tokens": -5}), "max_tokens: Input should be greater than or equal to 1"),
            (
                json!({"max_tokens": 128_001}),
                "max_tokens: 128001 > 128000, which is the maximum allowed number of output tokens for claude-opus-5-5",
            ),
            (json!({"stream": "yes"}), "stream: Input should be a valid boolean"),
            (json!({"messages": null}), "messages: Field required"),
            (json!({"temperature": 0.5}), "good"),
            (json!({"thinking": {"type": "adaptive", "display": "omitted"}}), "good"),
            (
                json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
                "thinking.type.enabled: `enabled` thinking is not supported on claude-opus-5-5",
            ),
            (
                json!({"thinking": {"type": "disabled"}}),
                "thinking.type.disabled: `disabled` thinking is not supported on claude-opus-5-5",
            ),
            (
                json!({"model": haiku, "thinking": {"type": "adaptive"}}),
                "thinking.type.adaptive: `adaptive` thinking is not supported on claude-haiku-4-5",
            ),
            (
                json!({"model": haiku, "thinking": {"type": "enabled"}}),
                "thinking.enabled.budget_tokens: Field required",
            ),
            (
                json!({"model": haiku, "thinking": {"type": "enabled", "budget_tokens": 9}}),
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
            ),
            (
                json!({"model": haiku, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
                "`max_tokens` must be greater than `thinking.budget_tokens`",
            ),
            (
                json!({"model": haiku, "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
                "good",
            ),
        ];
        for (fields, expected) in cases {
            assert_eq!(message(&fields), expected, "{fields}");
        }
    }

    #[test]
    fn a_prompt_must_fit_into_the_window() {
        let prompt = "x".repeat(710_000);
        let too_long = message(&json!({"model": "claude-haiku-4-5", "system": prompt}));
        assert!(too_long.starts_with("prompt is too long: 2028"), "{too_long}");
        assert!(too_long.ends_with(" tokens > 200000 maximum"), "{too_long}");
        let too_much =
            message(&json!({"model": "claude-haiku-4-5", "system": prompt[..690_000], "max_tokens": 64_000}));
        assert!(too_much.starts_with("input length and `max_tokens` exceed context limit: 19"), "{too_much}");
    }

    #[test]
    fn breakpoints_are_counted_and_ordered() {
        let block = |ttl: &str| json!({"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": ttl}});
        assert_eq!(message(&json!({"system": [block("1h"), block("1h"), block("5m"), block("5m")]})), "good");
        let five =
            message(&json!({"system": [block("5m"), block("5m"), block("5m"), block("5m"), block("5m")]}));
        assert_eq!(five, "A maximum of 4 blocks with cache_control may be provided. Found 5.");
        assert!(message(&json!({"system": [block("5m"), block("1h")]})).contains("ttl='1h'"));
    }

    #[test]
    fn the_version_of_october_refuses_sampling_parameters() {
        let body = with(&json!({"top_k": 5}));
        assert!(judge(&body, Purpose::Message, "2023-06-01").is_ok());
        let refusal = judge(&body, Purpose::Message, "2026-10-21").expect_err("it is refused");
        assert_eq!(refusal.message, "top_k: Extra inputs are not permitted");
    }

    #[test]
    fn counting_needs_no_max_tokens() {
        let body = with(&json!({"max_tokens": null}));
        assert!(judge(&body, Purpose::Count, "2023-06-01").is_ok());
    }

    #[test]
    fn what_is_asked_is_read() {
        let fields = json!({
            "stream": true,
            "thinking": {"type": "adaptive"},
            "stop_sequences": ["END", ""],
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        });
        let ask = judge(&with(&fields), Purpose::Message, "2023-06-01").expect("it is good");
        assert_eq!(
            ask,
            Ask {
                stream: true,
                max_tokens: 1024,
                thinking: Some(Display::Shown),
                stop_sequences: vec!["END".into()],
                schema: Some(json!({"type": "object"})),
                dropped: Vec::new(),
            }
        );
    }

    #[test]
    fn headers_are_judged() {
        let verdict = |headers: &[(&'static str, &'static str)]| {
            let pairs = headers
                .iter()
                .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let mut map = HeaderMap::new();
            for (name, value) in pairs {
                map.append(name, value);
            }
            check_headers(&map, &["old-beta".to_owned()])
                .map(str::to_owned)
                .map_err(|refusal| refusal.message)
        };
        let version = ("anthropic-version", "2023-06-01");
        let no = |message: &str| Err(message.to_owned());
        assert_eq!(verdict(&[version]), Ok("2023-06-01".to_owned()));
        assert_eq!(verdict(&[]), no("anthropic-version: header is required"));
        assert_eq!(verdict(&[version, version]), no("anthropic-version: header was given more than once"));
        assert_eq!(
            verdict(&[("anthropic-version", "1")]),
            no("anthropic-version: \"1\" is not a valid version")
        );
        assert_eq!(
            verdict(&[version, ("anthropic-beta", "never-heard-of, also-new")]),
            Ok("2023-06-01".to_owned())
        );
        assert_eq!(
            verdict(&[version, ("anthropic-beta", "a,old-beta"), ("anthropic-beta", "b")]),
            no("Unexpected value(s) `old-beta` for the `anthropic-beta` header")
        );
    }

    #[test]
    fn only_json_objects_are_bodies() {
        assert!(
            parse(b"{\"model\"")
                .is_err_and(|refusal| refusal.message.starts_with("The request body is not valid JSON"))
        );
        assert!(parse(b"[]").is_err_and(|refusal| refusal.message == "Input should be a valid dictionary"));
        assert_eq!(parse(b"{}"), Ok(json!({})));
    }
}
