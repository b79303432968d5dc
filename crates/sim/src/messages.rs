//! A call for a message, from its bytes to its answer; and its relatives: token counts, and the
//! requests inside a batch.
//!
//! The order is the provider's: which model, whether there is room, whether the request is good.
//! A bad request has spent one request, but no tokens.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header::RETRY_AFTER};
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, compose},
    auth::betas,
    cache::{Split, Visit},
    digest::Digest,
    entry::Entry,
    limiter::{Account, Holder, Meter, Shortage},
    message::Message,
    models::Model,
    output::{Content, Output},
    prefix::{Segment, segments},
    record::Usage,
    refusal::{Kind, Refusal},
    request::{self, Ask, Purpose},
    settings::{Estimate, Pace},
    sim::{Shared, Sim},
    thinking::{Dropped, Reader},
    tokens,
    window::UsedUp,
};

/// The beta which lets a client see what became of its thinking blocks.
const BINDING_BETA: &str = "thinking-binding-controls-2026-08-01";

/// What is said to one call too many of those under way at once.
const CROWDED: &str =
    "Number of concurrent connections has exceeded your rate limit. Please try again later.";

/// Who calls, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) account: Account,
    pub(crate) version: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

/// An answer that is known and has not begun.
#[derive(Debug)]
pub(crate) struct Prepared {
    account: Account,
    model: String,
    class: String,
    stream: bool,
    answer: Answer,
    visit: Visit,
    /// What was charged for the input so far.
    estimate: u64,
    container: Option<Value>,
    extras: Map<String, Value>,
    dropped: usize,
}

/// Admits and checks a call for a message, and composes its answer.
pub(crate) fn prepare(
    sim: &Sim,
    entry: &mut Entry,
    caller: &Caller<'_>,
    (body, bytes): (&Value, &[u8]),
) -> Result<Prepared, Refusal> {
    let shared = sim.shared();
    let model = request::model(&shared.settings.models, body)?;
    entry.note_call(caller.account, &model.id, &model.class);
    if !entry.enter() {
        return Err(Refusal::new(Kind::RateLimit, CROWDED));
    }
    let segments = segments(body);
    let (visit, estimate) = admit(sim, caller.account, model, &segments, bytes)?;
    let good = check(sim, caller, model, body, &segments);
    let (ask, container) = good.inspect_err(|_| {
        let now = sim.now();
        sim.state().limiter.correct(caller.account, &model.class, estimate, 0, now);
    })?;
    let digest = Digest::seeded(shared.settings.seed).with(bytes);
    let answer = compose(body, &ask, &reader(shared, caller.account, model), digest);
    Ok(Prepared {
        account: caller.account,
        model: body["model"].as_str().unwrap_or(&model.id).to_owned(),
        class: model.class.clone(),
        stream: ask.stream,
        answer,
        visit,
        estimate,
        container,
        extras: extras(body, caller.headers, &ask),
        dropped: ask.dropped.len(),
    })
}

/// Answers a token count.
pub(crate) fn count(sim: &Sim, entry: &Entry, caller: &Caller<'_>, body: &Value) -> Result<Output, Refusal> {
    let shared = sim.shared();
    let model = request::model(&shared.settings.models, body)?;
    entry.note_model(&model.id);
    let now = sim.now();
    let admitted = sim.state().limiter.count_tokens(caller.account, now);
    admitted.map_err(|shortage| refuse(&shortage, "token counts", now))?;
    let segments = segments(body);
    let reader = reader(shared, caller.account, model);
    request::check(body, Purpose::Count, caller.version, &segments, &reader)?;
    let total = segments.last().map_or(0, |last| last.tokens);
    Ok(Output::json(json!({"input_tokens": total})))
}

/// Answers a request of a batch as a whole message, or refuses it.
pub(crate) fn answer_in_batch(
    shared: &Shared,
    account: Account,
    version: &str,
    params: &Value,
) -> Result<Value, Refusal> {
    let model = request::model(&shared.settings.models, params)?;
    let segments = segments(params);
    let reader = reader(shared, account, model);
    let ask = request::check(params, Purpose::Message, version, &segments, &reader)?;
    let digest = Digest::seeded(shared.settings.seed).with(params.to_string().as_bytes());
    let answer = compose(params, &ask, &reader, digest);
    let input = Split { uncached: segments.last().map_or(0, |last| last.tokens), ..Split::default() };
    let model = params["model"].as_str().unwrap_or(&model.id);
    let message = Message { answer: &answer, model, input, container: None, extras: Map::new() };
    Ok(message.whole())
}

impl Prepared {
    /// How long the head of the answer takes at this pace: a stream begins with its first event,
    /// a whole message is there after its last.
    pub(crate) fn time_to_head(&self, pace: Pace) -> Duration {
        if self.stream {
            return pace.first_event;
        }
        let events = self.answer.tokens().div_ceil(pace.tokens_per_event.max(1));
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        pace.first_event.saturating_add(pace.between_events.saturating_mul(events))
    }

    /// The answer begins: the input is charged as what it is, and the cache is what it will be.
    pub(crate) fn begin(self, sim: &Sim, entry: &Entry, pace: Pace) -> Output {
        let split = self.visit.split;
        let now = sim.now();
        let mut state = sim.state();
        state.limiter.correct(self.account, &self.class, self.estimate, split.limited(), now);
        state.cache.begin(&self.visit, now);
        drop(state);
        entry.note_input(Usage::of_input(&split), self.dropped);
        let message = Message {
            answer: &self.answer,
            model: &self.model,
            input: split,
            container: self.container,
            extras: self.extras,
        };
        if self.stream {
            let content = Content::Events(message.events(pace.tokens_per_event));
            Output { content, ..Output::nothing() }
        } else {
            Output { tokens: self.answer.tokens(), ..Output::json(message.whole()) }
        }
    }
}

fn reader<'a>(shared: &'a Shared, account: Account, model: &'a Model) -> Reader<'a> {
    let organization = &shared.settings.organizations[account.organization].id;
    Reader { seal: shared.seal, model, organization }
}

/// Takes a request and its estimated input, or says until when there is no room.
fn admit(
    sim: &Sim,
    account: Account,
    model: &Model,
    segments: &[Segment],
    bytes: &[u8],
) -> Result<(Visit, u64), Refusal> {
    let now = sim.now();
    let mut state = sim.state();
    let workspace = (account.organization, account.workspace);
    let visit = state.cache.visit(workspace, segments, model.min_cached, now);
    let estimate = match sim.settings().estimate {
        Estimate::Exact => visit.split.limited(),
        Estimate::BodyLength => tokens::of_bytes(bytes.len() as u64).saturating_sub(visit.split.read),
    };
    let open = state.limiter.open(account, &model.class, now);
    open.map_err(|UsedUp { until }| used_up(until, now))?;
    let admitted = state.limiter.admit(account, &model.class, estimate, now);
    admitted.map_err(|shortage| refuse(&shortage, &model.class, now))?;
    Ok((visit, estimate))
}

/// Whether the request is good, and which container it is for.
fn check(
    sim: &Sim,
    caller: &Caller<'_>,
    model: &Model,
    body: &Value,
    segments: &[Segment],
) -> Result<(Ask, Option<Value>), Refusal> {
    let reader = reader(sim.shared(), caller.account, model);
    let ask = request::check(body, Purpose::Message, caller.version, segments, &reader)?;
    let new_id = sim.next_id("container_");
    let now = sim.now();
    let mut state = sim.state();
    let owner = caller.account.organization;
    state.files.check_named(owner, body)?;
    let container = state.containers.enter(owner, body, new_id, now)?;
    Ok((ask, container))
}

/// Fields of an answer which only some requests ask for.
fn extras(body: &Value, headers: &HeaderMap, ask: &Ask) -> Map<String, Value> {
    let mut extras = Map::new();
    if body.get("context_management").is_some_and(|management| !management.is_null()) {
        extras.insert("context_management".to_owned(), json!({"applied_edits": []}));
    }
    if !ask.dropped.is_empty() && betas(headers).any(|beta| beta == BINDING_BETA) {
        let dropped = ask.dropped.iter().map(Dropped::describe).collect();
        extras.insert("input_transformations".to_owned(), dropped);
    }
    extras
}

/// A 429 with a `retry-after` that is true: whole seconds, rounded up.
fn refuse(shortage: &Shortage, class: &str, now: Duration) -> Refusal {
    let unit = match shortage.meter {
        Meter::Requests => "requests",
        Meter::Input => "input tokens",
        Meter::Output => "output tokens",
    };
    let holder = match shortage.holder {
        Holder::Organization => "organization",
        Holder::Workspace => "workspace",
    };
    let refusal = Refusal::new(
        Kind::RateLimit,
        format!(
            "This request would exceed your {holder}'s rate limit of {} {unit} per minute for {class}. The headers of this response show the current usage; reduce the request or try again later.",
            grouped(shortage.per_minute)
        ),
    );
    match shortage.until {
        Some(until) => refusal.with_header(RETRY_AFTER, seconds(until.saturating_sub(now)).into()),
        None => refusal,
    }
}

/// A 429 for a window that is used up, with the two headers beside those of windows that captures of it have.
fn used_up(until: Duration, now: Duration) -> Refusal {
    let words = "This request would exceed your account's rate limit. Please try again later.";
    Refusal::new(Kind::RateLimit, words)
        .with_header(RETRY_AFTER, seconds(until.saturating_sub(now)).into())
        .with_header(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("true"))
}

/// Whole seconds, rounded up, and at least one.
fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// A number with commas between thousands, as the provider prints limits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn limits_are_printed_with_commas() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (2_000_000, "2,000,000")] {
            assert_eq!(grouped(number), text);
        }
    }
}
