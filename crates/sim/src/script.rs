//! Faults on demand: what the host tells the provider to do wrong, to whom, and for how long.
//!
//! Scripts wait in a queue; each request is met by the first that matches it. Matching is pure;
//! what a fault does to an answer is in `fault`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::{
    refusal::{Kind, Refusal},
    settings::Pace,
};

/// A fault, whom it meets, and for how long.
#[derive(Clone, Debug)]
pub struct Script {
    /// What happens.
    pub fault: Fault,
    /// The name of the key it is for; `None` for every key, and for none.
    pub key: Option<String>,
    /// How the path must begin; `None` for every path.
    pub path: Option<String>,
    /// Which requests; `None` for both kinds.
    pub answers: Option<Answers>,
    /// How many matching requests pass before it begins.
    pub passing: u64,
    /// How long it lasts after that.
    pub lasting: Lasting,
    /// How long nothing comes, before anything else happens.
    pub delay: Duration,
    /// How fast the answer comes, instead of the usual pace.
    pub pace: Option<Pace>,
    /// Headers which are added to the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// How a client asked for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answers {
    /// `stream: true`
    Streamed,
    /// Everything else.
    Whole,
}

/// How long a script lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lasting {
    /// For so many requests.
    Times(u64),
    /// So long from the moment it was scripted.
    For(Duration),
    /// For ever.
    Ever,
}

/// What happens to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing; for scripts that only delay, pace or add headers.
    Nothing,
    /// It is refused, in the provider's envelope.
    Refuse(Refusal),
    /// It is answered with this status and these bytes, as by something in between.
    Foreign {
        /// The status.
        status: StatusCode,
        /// The `content-type`.
        content_type: &'static str,
        /// The body.
        body: Bytes,
    },
    /// The connection is reset before any header. On a connection that is not TCP it is closed.
    Reset,
    /// The answer goes wrong after so many of its events; an answer that is not streamed counts
    /// as two events, its first and second half.
    Break {
        /// Events that come through.
        after: usize,
        /// What then happens.
        how: Break,
    },
    /// A stream without `event:` lines.
    DataOnly,
    /// The body is compressed with gzip, whatever was asked for.
    Gzip,
    /// The `content-type` is this one.
    ContentType(&'static str),
}

/// How an answer goes wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Break {
    /// No byte comes for so long; `None` for until the client leaves.
    Stall(Option<Duration>),
    /// The connection is reset. On a connection that is not TCP it is closed; on HTTP/2 the stream
    /// is reset.
    Reset,
    /// The connection is closed without the last chunk; on HTTP/2 the stream is reset.
    Close,
    /// The body ends as if it were whole.
    End,
    /// An `event: error` comes, and the body ends.
    Error(Refusal),
    /// The data of the next event is not JSON.
    Garbage,
}

/// What a script looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) path: &'a str,
    pub(crate) answers: Answers,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    waiting: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    script: Script,
    since: Duration,
    matched: u64,
}

impl Script {
    /// This fault, once, for whoever comes next.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            key: None,
            path: None,
            answers: None,
            passing: 0,
            lasting: Lasting::Times(1),
            delay: Duration::ZERO,
            pace: None,
            headers: Vec::new(),
        }
    }

    /// Only for the key of this name.
    pub fn for_key(self, name: &str) -> Self {
        Self { key: Some(name.to_owned()), ..self }
    }

    /// Only for paths that begin so.
    pub fn for_path(self, path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    /// Only for answers of this kind.
    pub fn for_answers(self, answers: Answers) -> Self {
        Self { answers: Some(answers), ..self }
    }

    /// Only after so many matching requests have passed.
    pub fn after(self, passing: u64) -> Self {
        Self { passing, ..self }
    }

    /// For so long, or so often.
    pub fn lasting(self, lasting: Lasting) -> Self {
        Self { lasting, ..self }
    }

    /// With a silence before it.
    pub fn delayed(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// At this pace.
    pub fn paced(self, pace: Pace) -> Self {
        Self { pace: Some(pace), ..self }
    }

    /// With one more header.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Fault {
    /// A refusal with the usual status of its kind.
    pub fn refuse(kind: Kind, message: &str) -> Self {
        Self::Refuse(Refusal::new(kind, message))
    }

    /// 429 for a quota; `retry-after` in whole seconds, or none.
    pub fn rate_limited(retry_after: Option<u32>) -> Self {
        let refusal =
            Refusal::new(Kind::RateLimit, "This request would exceed your organization's rate limit.");
        Self::Refuse(match retry_after {
            Some(seconds) => refusal.with_header(http::header::RETRY_AFTER, seconds.into()),
            None => refusal,
        })
    }

    /// 429 about this request only: no `retry-after`, no rate headers, worth trying again.
    pub fn request_scoped() -> Self {
        let refusal = Refusal::new(Kind::RateLimit, "Error");
        let name = HeaderName::from_static("x-should-retry");
        Self::Refuse(refusal.with_header(name, HeaderValue::from_static("true")))
    }

    /// 429 because a spend cap is reached: no `retry-after`.
    pub fn spend_cap() -> Self {
        let refusal =
            Refusal::new(Kind::RateLimit, "This request would exceed your organization's spend limit.");
        Self::Refuse(Refusal { error_code: Some("enforced_spend_limit_reached"), ..refusal })
    }

    /// 402: the organization is out of credit.
    pub fn out_of_credit() -> Self {
        Self::refuse(Kind::Billing, "Your credit balance is too low to access the Anthropic API.")
    }

    /// 529
    pub fn overloaded() -> Self {
        Self::refuse(Kind::Overloaded, "Overloaded")
    }

    /// 500
    pub fn internal() -> Self {
        Self::refuse(Kind::Api, "Internal server error")
    }

    /// 401, as for a key that was revoked.
    pub fn dead_key() -> Self {
        Self::refuse(Kind::Authentication, "invalid x-api-key")
    }

    /// 403
    pub fn forbidden() -> Self {
        Self::refuse(Kind::Permission, "Your API key does not have permission to use the specified resource")
    }

    /// 413
    pub fn too_large() -> Self {
        Self::refuse(Kind::TooLarge, "Request exceeds the maximum size")
    }

    /// An HTML page, as a proxy or an edge sends it.
    pub fn html(status: StatusCode) -> Self {
        let body = format!(
            "<!doctype html><html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
        );
        Self::Foreign { status, content_type: "text/html; charset=utf-8", body: body.into() }
    }

    /// An `event: error` after so many events; 0 makes it the first.
    pub fn error_event(after: usize, kind: Kind, message: &str) -> Self {
        Self::Break { after, how: Break::Error(Refusal::new(kind, message)) }
    }
}

impl Target<'_> {
    fn is_met_by(&self, script: &Script) -> bool {
        script.key.as_deref().is_none_or(|key| self.key == Some(key))
            && script.path.as_deref().is_none_or(|path| self.path.starts_with(path))
            && script.answers.is_none_or(|answers| answers == self.answers)
    }
}

impl Scripts {
    pub(crate) fn add(&mut self, script: Script, now: Duration) {
        self.waiting.push(Running { script, since: now, matched: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The script which meets this request, if one does. Scripts that are over are forgotten.
    pub(crate) fn take(&mut self, target: Target<'_>, now: Duration) -> Option<Script> {
        self.waiting.retain(|running| !running.is_over(now));
        self.waiting.iter_mut().filter(|running| target.is_met_by(&running.script)).find_map(|running| {
            running.matched += 1;
            (running.matched > running.script.passing).then(|| running.script.clone())
        })
    }
}

impl Running {
    fn is_over(&self, now: Duration) -> bool {
        match self.script.lasting {
            Lasting::Times(times) => self.matched >= self.script.passing.saturating_add(times),
            Lasting::For(duration) => now >= self.since.saturating_add(duration),
            Lasting::Ever => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answers, Fault, Lasting, Script, Scripts, Target};

    const START: Duration = Duration::from_secs(1_795_000_000);

    fn target(key: &'static str) -> Target<'static> {
        Target { key: Some(key), path: "/v1/messages", answers: Answers::Streamed }
    }

    fn met(scripts: &mut Scripts, target: Target<'_>, times: usize) -> Vec<Option<Fault>> {
        (0..times).map(|_| scripts.take(target, START).map(|script| script.fault)).collect()
    }

    #[test]
    fn a_script_meets_the_nth_request_and_then_is_over() {
        let mut scripts = Scripts::default();
        scripts.add(Script::new(Fault::Reset).after(1).lasting(Lasting::Times(2)), START);
        assert_eq!(
            met(&mut scripts, target("a"), 5),
            [None, Some(Fault::Reset), Some(Fault::Reset), None, None]
        );
    }

    #[test]
    fn scripts_in_a_queue_come_one_after_the_other() {
        let mut scripts = Scripts::default();
        scripts.add(Script::new(Fault::overloaded()), START);
        scripts.add(Script::new(Fault::internal()), START);
        assert_eq!(
            met(&mut scripts, target("a"), 3),
            [Some(Fault::overloaded()), Some(Fault::internal()), None]
        );
    }

    #[test]
    fn only_what_matches_is_met_and_counted() {
        let mut scripts = Scripts::default();
        let script = Script::new(Fault::dead_key()).for_key("a").for_path("/v1/messages");
        scripts.add(script.for_answers(Answers::Streamed).lasting(Lasting::Ever), START);
        let others = [
            target("b"),
            Target { key: None, ..target("a") },
            Target { path: "/v1/models", ..target("a") },
            Target { answers: Answers::Whole, ..target("a") },
        ];
        for other in others {
            assert_eq!(met(&mut scripts, other, 1), [None], "{other:?}");
        }
        assert_eq!(met(&mut scripts, target("a"), 2), [Some(Fault::dead_key()), Some(Fault::dead_key())]);
    }

    #[test]
    fn a_fault_may_last_for_a_time() {
        let mut scripts = Scripts::default();
        scripts.add(Script::new(Fault::overloaded()).lasting(Lasting::For(Duration::from_secs(5))), START);
        let at = |seconds| START + Duration::from_secs(seconds);
        assert!(scripts.take(target("a"), at(0)).is_some());
        assert!(scripts.take(target("a"), at(4)).is_some());
        assert!(scripts.take(target("a"), at(5)).is_none());
    }
}
