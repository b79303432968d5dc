//! What the provider saw: a record of every request, and totals of what each caller used.
//!
//! It keeps what tests assert on (bytes, headers in order, who left when) within bounds that the
//! settings give. It refuses to decide anything.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::{cache::Split, limiter::Account, settings::Memory};

/// One request, as it came and as it went.
#[derive(Clone, Debug)]
pub struct Record {
    /// Counts requests from 0.
    pub number: u64,
    /// Counts connections from 0.
    pub connection: u64,
    /// The method.
    pub method: Method,
    /// Path and query, as sent.
    pub path: String,
    /// Names and values in the order in which they came; names in lower case, several values of
    /// one name together. Credentials are there but are not printed.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The bytes of the body; `None` if they were too many to remember or are not there yet.
    pub body: Option<Bytes>,
    /// How many bytes of body there were.
    pub body_length: u64,
    /// The name of the key, if its credential was known.
    pub key: Option<String>,
    /// The id of its organization.
    pub organization: Option<String>,
    /// The id of its workspace.
    pub workspace: Option<String>,
    /// The model asked for.
    pub model: Option<String>,
    /// What was answered; `None` if no head was sent.
    pub status: Option<StatusCode>,
    /// The `request-id` of the answer.
    pub request_id: String,
    /// Tokens used so far.
    pub usage: Usage,
    /// Thinking blocks which the model could not read.
    pub thinking_dropped: usize,
    /// How it ended.
    pub outcome: Outcome,
    /// When it came, since the Unix epoch.
    pub arrived: Duration,
    /// When the head of its answer was ready.
    pub answered: Option<Duration>,
    /// When it ended.
    pub ended: Option<Duration>,
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Not yet.
    Open,
    /// The whole answer was handed over.
    Finished,
    /// The client left before that.
    CancelledByClient,
    /// A script broke it.
    Broken,
}

/// Tokens of one request or of many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Neither read from nor written to the cache.
    pub input: u64,
    /// Written to the cache.
    pub cache_creation: u64,
    /// Read from the cache.
    pub cache_read: u64,
    /// Produced.
    pub output: u64,
}

/// What somebody used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Requests of every kind.
    pub requests: u64,
    /// Answered with a status below 400.
    pub served: u64,
    /// Answered with 429.
    pub rate_limited: u64,
    /// Answered with any other status from 400 up.
    pub failed: u64,
    /// Left by the client before the end of the answer.
    pub cancelled: u64,
    /// Tokens.
    pub usage: Usage,
}

/// All records, and all totals.
#[derive(Debug)]
pub(crate) struct Journal {
    memory: Memory,
    records: VecDeque<Record>,
    next: u64,
    /// Bytes of all bodies in `records`.
    body_bytes: usize,
    /// The oldest record that still may have a body.
    oldest_body: u64,
    keys: HashMap<Account, Totals>,
    /// By place of the organization, and model class.
    classes: HashMap<(usize, String), Totals>,
}

impl Record {
    /// The values of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        value.to_str().ok()
    }

    /// Whether the client left before the end of the answer.
    pub fn cancelled_by_client(&self) -> bool {
        self.outcome == Outcome::CancelledByClient
    }
}

impl Usage {
    /// The input side of a usage.
    pub(crate) fn of_input(split: &Split) -> Self {
        Self { input: split.uncached, cache_creation: split.written(), cache_read: split.read, output: 0 }
    }

    fn add(&mut self, other: Self) {
        self.input += other.input;
        self.cache_creation += other.cache_creation;
        self.cache_read += other.cache_read;
        self.output += other.output;
    }
}

impl Totals {
    fn answered(&mut self, status: StatusCode) {
        match status.as_u16() {
            429 => self.rate_limited += 1,
            400.. => self.failed += 1,
            _ => self.served += 1,
        }
    }
}

impl Journal {
    pub(crate) fn new(memory: Memory) -> Self {
        Self {
            memory,
            records: VecDeque::new(),
            next: 0,
            body_bytes: 0,
            oldest_body: 0,
            keys: HashMap::new(),
            classes: HashMap::new(),
        }
    }

    /// Adds a record and returns its number.
    pub(crate) fn open(&mut self, mut record: Record) -> u64 {
        record.number = self.next;
        self.next += 1;
        self.records.push_back(record);
        while self.records.len() > self.memory.records {
            let forgotten = self.records.pop_front().and_then(|record| record.body);
            self.body_bytes -= forgotten.map_or(0, |body| body.len());
        }
        self.next - 1
    }

    pub(crate) fn record(&mut self, number: u64) -> Option<&mut Record> {
        let first = self.records.front()?.number;
        self.records.get_mut(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// Keeps the bytes of a body, if there is room for it at all; older ones make way.
    pub(crate) fn keep_body(&mut self, number: u64, body: &Bytes) {
        let limit = self.memory.body_bytes;
        let Some(record) = self.record(number) else { return };
        record.body_length = body.len() as u64;
        if body.len() > limit {
            return;
        }
        record.body = Some(body.clone());
        self.body_bytes += body.len();
        while self.body_bytes > limit && self.oldest_body < self.next {
            let oldest = self.oldest_body;
            self.oldest_body += 1;
            let forgotten = self.record(oldest).and_then(|record| record.body.take());
            self.body_bytes -= forgotten.map_or(0, |body| body.len());
        }
    }

    pub(crate) fn count_request(&mut self, account: Account) {
        self.keys.entry(account).or_default().requests += 1;
    }

    pub(crate) fn count_call(&mut self, account: Account, class: &str) {
        self.class(account, class).requests += 1;
    }

    pub(crate) fn count_status(&mut self, account: Account, class: Option<&str>, status: StatusCode) {
        self.each(account, class, |totals| totals.answered(status));
    }

    pub(crate) fn count_usage(&mut self, account: Account, class: &str, usage: Usage) {
        self.each(account, Some(class), |totals| totals.usage.add(usage));
    }

    pub(crate) fn count_cancelled(&mut self, account: Account, class: Option<&str>) {
        self.each(account, class, |totals| totals.cancelled += 1);
    }

    pub(crate) fn seen(&self) -> Vec<Record> {
        self.records.iter().cloned().collect()
    }

    pub(crate) fn of_key(&self, account: Account) -> Totals {
        self.keys.get(&account).copied().unwrap_or_default()
    }

    /// The classes an organization used, in the order of their names.
    pub(crate) fn of_classes(&self, organization: usize) -> Vec<(String, Totals)> {
        let mut classes: Vec<_> = self
            .classes
            .iter()
            .filter(|((holder, _), _)| *holder == organization)
            .map(|((_, class), totals)| (class.clone(), *totals))
            .collect();
        classes.sort_by(|one, other| one.0.cmp(&other.0));
        classes
    }

    fn each(&mut self, account: Account, class: Option<&str>, change: impl Fn(&mut Totals)) {
        change(self.keys.entry(account).or_default());
        if let Some(class) = class {
            change(self.class(account, class));
        }
    }

    fn class(&mut self, account: Account, class: &str) -> &mut Totals {
        self.classes.entry((account.organization, class.to_owned())).or_default()
    }
}

/// Headers in the order in which they came, with credentials marked so that they are not printed.
pub(crate) fn in_order(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    headers
        .iter()
        .map(|(name, value)| {
            let mut value = value.clone();
            value.set_sensitive(matches!(name.as_str(), "x-api-key" | "authorization" | "cookie"));
            (name.clone(), value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Method};

    use super::{Journal, Outcome, Record, Usage, in_order};
    use crate::settings::Memory;

    fn record() -> Record {
        Record {
            number: 0,
            connection: 0,
            method: Method::POST,
            path: "/v1/messages".into(),
            headers: Vec::new(),
            body: None,
            body_length: 0,
            key: None,
            organization: None,
            workspace: None,
            model: None,
            status: None,
            request_id: String::new(),
            usage: Usage::default(),
            thinking_dropped: 0,
            outcome: Outcome::Open,
            arrived: Duration::ZERO,
            answered: None,
            ended: None,
        }
    }

    #[test]
    fn the_oldest_records_and_bodies_make_way() {
        let mut journal = Journal::new(Memory { records: 3, body_bytes: 10 });
        for length in [4, 4, 4, 11, 6] {
            let number = journal.open(record());
            journal.keep_body(number, &Bytes::from(vec![b'x'; length]));
        }
        let kept: Vec<_> = journal
            .seen()
            .iter()
            .map(|record| (record.number, record.body.as_ref().map(Bytes::len), record.body_length))
            .collect();
        assert_eq!(kept, [(2, Some(4), 4), (3, None, 11), (4, Some(6), 6)]);
        assert_eq!(journal.body_bytes, 10);
        assert!(journal.record(1).is_none() && journal.record(5).is_none());
    }

    #[test]
    fn credentials_are_kept_but_not_printed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-app", HeaderValue::from_static("cli"));
        headers.insert("x-api-key", HeaderValue::from_static("sk-ant-api03-secret"));
        let kept = in_order(&headers);
        assert_eq!(kept[1].1, "sk-ant-api03-secret");
        assert!(format!("{kept:?}").contains("cli") && !format!("{kept:?}").contains("sk-ant"));
    }
}
