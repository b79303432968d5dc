//! Batches of messages, each owned by one organization: for everybody else they do not exist.
//!
//! It knows when a batch has ended and what is said about it; the answers themselves are composed
//! when the results are read, by whoever is passed in.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{clock::rfc3339, output::Output, page::Page, refusal::Refusal};

/// How long the results of a batch are promised.
const LIFE: Duration = Duration::from_hours(24);

/// Every batch that was made.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    batches: Vec<Batch>,
}

/// Where a batch is looked at from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) now: Duration,
    /// Scheme and authority of `results_url`.
    pub(crate) url: &'a str,
}

#[derive(Clone, Debug)]
struct Batch {
    id: String,
    owner: usize,
    created: Duration,
    ends: Duration,
    /// When it was cancelled, if it was before its end.
    cancelled: Option<Duration>,
    requests: Vec<(String, Value)>,
    /// How many of them will fail.
    failing: usize,
}

/// `processing_status`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Progress {
    Running,
    Canceling,
    Ended,
}

impl Batches {
    /// Makes a batch which takes `duration`. `judge` says whether the parameters of a request are good.
    pub(crate) fn create(
        &mut self,
        (id, owner): (String, usize),
        body: &Value,
        duration: Duration,
        view: View<'_>,
        judge: impl Fn(&Value) -> Result<Value, Refusal>,
    ) -> Result<Output, Refusal> {
        let requests = requests(body)?;
        let failing = requests.iter().filter(|(_, params)| judge(params).is_err()).count();
        let (created, ends) = (view.now, view.now + duration);
        let batch = Batch { id, owner, created, ends, cancelled: None, requests, failing };
        // A batch is never born ended, however short it is.
        let described = batch.describe(view, Progress::Running);
        self.batches.push(batch);
        Ok(Output::json(described))
    }

    pub(crate) fn get(&self, owner: usize, id: &str, view: View<'_>) -> Result<Output, Refusal> {
        let batch = self.find(owner, id)?;
        Ok(Output::json(batch.describe(view, batch.progress(view.now))))
    }

    /// The owner's batches, newest first.
    pub(crate) fn list(&self, owner: usize, query: Option<&str>, view: View<'_>) -> Result<Output, Refusal> {
        let own = self.batches.iter().rev().filter(|batch| batch.owner == owner);
        let rows: Vec<Value> = own.map(|batch| batch.describe(view, batch.progress(view.now))).collect();
        Ok(Output::json(Page::read(query)?.cut(&rows)?))
    }

    /// Ends a batch early. What had ended before stays as it is.
    pub(crate) fn cancel(&mut self, owner: usize, id: &str, view: View<'_>) -> Result<Output, Refusal> {
        self.find(owner, id)?;
        let batch = self.batches.iter_mut().find(|batch| batch.id == id).expect("it was found just now");
        if batch.progress(view.now) == Progress::Ended {
            return Ok(Output::json(batch.describe(view, Progress::Ended)));
        }
        batch.cancelled = Some(view.now);
        Ok(Output::json(batch.describe(view, Progress::Canceling)))
    }

    /// One line of JSON for every request. `answer` composes what a request is answered.
    pub(crate) fn results(
        &self,
        owner: usize,
        id: &str,
        now: Duration,
        answer: impl Fn(&Value) -> Result<Value, Refusal>,
    ) -> Result<Output, Refusal> {
        let batch = self.find(owner, id)?;
        if batch.progress(now) != Progress::Ended {
            return Err(Refusal::not_found(format!("Batch {id} has no available results.")));
        }
        let mut lines = String::new();
        for (custom_id, params) in &batch.requests {
            let result = match (batch.cancelled, answer(params)) {
                (Some(_), _) => json!({"type": "canceled"}),
                (None, Ok(message)) => json!({"type": "succeeded", "message": message}),
                (None, Err(refusal)) => json!({"type": "errored", "error": refusal.body(None)}),
            };
            lines.push_str(&json!({"custom_id": custom_id, "result": result}).to_string());
            lines.push('\n');
        }
        Ok(Output::bytes("application/x-jsonl", Bytes::from(lines)))
    }

    fn find(&self, owner: usize, id: &str) -> Result<&Batch, Refusal> {
        let batch = self.batches.iter().find(|batch| batch.id == id && batch.owner == owner);
        batch.ok_or_else(|| Refusal::not_found(format!("Batch {id} was not found")))
    }
}

impl Batch {
    fn progress(&self, now: Duration) -> Progress {
        if self.cancelled.is_some() || now >= self.ends { Progress::Ended } else { Progress::Running }
    }

    fn describe(&self, view: View<'_>, progress: Progress) -> Value {
        let all = self.requests.len();
        let ended = progress == Progress::Ended;
        let counts = |processing: usize, succeeded: usize, errored: usize, canceled: usize| {
            json!({
                "processing": processing, "succeeded": succeeded, "errored": errored,
                "canceled": canceled, "expired": 0,
            })
        };
        let request_counts = match (ended, self.cancelled) {
            (false, _) => counts(all, 0, 0, 0),
            (true, Some(_)) => counts(0, 0, 0, all),
            (true, None) => counts(0, all - self.failing, self.failing, 0),
        };
        let status = match progress {
            Progress::Running => "in_progress",
            Progress::Canceling => "canceling",
            Progress::Ended => "ended",
        };
        let results_url = format!("{}/v1/messages/batches/{}/results", view.url, self.id);
        json!({
            "id": self.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": request_counts,
            "ended_at": ended.then(|| rfc3339(self.cancelled.unwrap_or(self.ends))),
            "created_at": rfc3339(self.created),
            "expires_at": rfc3339(self.created + LIFE),
            "archived_at": null,
            "cancel_initiated_at": self.cancelled.map(rfc3339),
            "results_url": ended.then_some(results_url),
        })
    }
}

/// The requests of a batch: a custom id, which nobody else has, and parameters.
fn requests(body: &Value) -> Result<Vec<(String, Value)>, Refusal> {
    let requests = match body.get("requests") {
        None => return Err(Refusal::invalid("requests: Field required")),
        Some(Value::Array(requests)) if !requests.is_empty() => requests,
        Some(Value::Array(_)) => {
            return Err(Refusal::invalid(
                "requests: List should have at least 1 item after validation, not 0",
            ));
        }
        Some(_) => return Err(Refusal::invalid("requests: Input should be a valid list")),
    };
    let mut ids = HashSet::new();
    let read = |(place, request): (usize, &Value)| {
        let missing = |field| Refusal::invalid(format!("requests.{place}.{field}: Field required"));
        let id = request.get("custom_id").and_then(Value::as_str).ok_or_else(|| missing("custom_id"))?;
        let params =
            request.get("params").filter(|params| params.is_object()).ok_or_else(|| missing("params"))?;
        if !ids.insert(id.to_owned()) {
            return Err(Refusal::invalid(format!(
                "requests.{place}.custom_id: `{id}` must be unique in a batch"
            )));
        }
        Ok((id.to_owned(), params.clone()))
    };
    requests.iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{Batches, View};
    use crate::{
        output::{Content, Output},
        refusal::Refusal,
    };

    const URL: &str = "http://sim";

    fn at(seconds: u64) -> View<'static> {
        View { now: Duration::from_secs(1_795_000_000 + seconds), url: URL }
    }

    fn judge(params: &Value) -> Result<Value, Refusal> {
        if params["good"] == json!(true) { Ok(json!("answer")) } else { Err(Refusal::invalid("bad")) }
    }

    fn value(output: Result<Output, Refusal>) -> Value {
        match output.expect("it is not refused").content {
            Content::Json(value) => value,
            Content::Bytes { bytes, .. } => {
                let text = std::str::from_utf8(&bytes).expect("text");
                text.lines().map(|line| serde_json::from_str::<Value>(line).expect("json")).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn made(batches: &mut Batches, id: &str) -> Value {
        let body = json!({"requests": [
            {"custom_id": "a", "params": {"good": true}},
            {"custom_id": "b", "params": {}},
        ]});
        value(batches.create((id.into(), 0), &body, Duration::from_secs(10), at(0), judge))
    }

    #[test]
    fn a_batch_is_in_progress_then_ends_and_has_results() {
        let mut batches = Batches::default();
        assert_eq!(made(&mut batches, "m1")["processing_status"], "in_progress");
        let early = value(batches.get(0, "m1", at(9)));
        assert_eq!(
            (&early["request_counts"]["processing"], &early["results_url"]),
            (&json!(2), &Value::Null)
        );
        assert!(batches.results(0, "m1", at(9).now, judge).is_err());
        let late = value(batches.get(0, "m1", at(10)));
        assert_eq!(late["processing_status"], "ended");
        assert_eq!(late["results_url"], "http://sim/v1/messages/batches/m1/results");
        assert_eq!(
            (&late["request_counts"]["succeeded"], &late["request_counts"]["errored"]),
            (&json!(1), &json!(1))
        );
        let results = value(batches.results(0, "m1", at(10).now, judge));
        assert_eq!(
            results[0],
            json!({"custom_id": "a", "result": {"type": "succeeded", "message": "answer"}})
        );
        assert_eq!(results[1]["result"]["error"]["error"]["type"], "invalid_request_error");
    }

    #[test]
    fn a_cancelled_batch_ends_without_answers() {
        let mut batches = Batches::default();
        made(&mut batches, "m1");
        assert_eq!(value(batches.cancel(0, "m1", at(3)))["processing_status"], "canceling");
        let ended = value(batches.get(0, "m1", at(4)));
        assert_eq!(
            (&ended["processing_status"], &ended["request_counts"]["canceled"]),
            (&json!("ended"), &json!(2))
        );
        assert_eq!(value(batches.results(0, "m1", at(4).now, judge))[0]["result"]["type"], "canceled");
    }

    #[test]
    fn another_organization_finds_nothing() {
        let mut batches = Batches::default();
        made(&mut batches, "m1");
        for refused in [
            batches.get(1, "m1", at(0)),
            batches.cancel(1, "m1", at(0)),
            batches.results(1, "m1", at(99).now, judge),
            batches.get(0, "m2", at(0)),
        ] {
            assert_eq!(refused.expect_err("it is not theirs").status, 404);
        }
        assert_eq!(value(batches.list(1, None, at(0)))["data"], json!([]));
        assert_eq!(value(batches.list(0, None, at(0)))["data"][0]["id"], "m1");
    }

    #[test]
    fn bad_batches_are_refused() {
        let mut batches = Batches::default();
        let mut refused = |body: Value| {
            let made = batches.create(("m".into(), 0), &body, Duration::ZERO, at(0), judge);
            made.expect_err("it is bad").message
        };
        assert_eq!(refused(json!({})), "requests: Field required");
        assert!(refused(json!({"requests": []})).starts_with("requests: List should have at least 1 item"));
        assert_eq!(refused(json!({"requests": [{"params": {}}]})), "requests.0.custom_id: Field required");
        assert_eq!(refused(json!({"requests": [{"custom_id": "a"}]})), "requests.0.params: Field required");
        let twice = json!({"requests": [{"custom_id": "a", "params": {}}, {"custom_id": "a", "params": {}}]});
        assert_eq!(refused(twice), "requests.1.custom_id: `a` must be unique in a batch");
    }
}
