//! The open record of one request. It follows the request into the body of its answer, charges
//! what is produced there, and notices when it is dropped before its end: the client has left.

use bytes::Bytes;
use http::{StatusCode, request::Parts};

use crate::{
    limiter::Account,
    record::{Outcome, Record, Usage, in_order},
    serve::Line,
    sim::Sim,
};

/// A request that has not ended yet.
#[derive(Debug)]
pub(crate) struct Entry {
    sim: Sim,
    number: u64,
    request_id: String,
    account: Option<Account>,
    class: Option<String>,
    /// It is one of those calls that an organization may have under way.
    entered: bool,
    ended: bool,
}

impl Entry {
    /// Opens the record of a request. The account is whose credential was sent, good or not.
    pub(crate) fn open(sim: &Sim, line: &Line, parts: &Parts, account: Option<Account>) -> Self {
        let request_id = sim.next_id("req_");
        let settings = sim.settings();
        let organization = account.map(|account| &settings.organizations[account.organization]);
        let workspace =
            organization.zip(account).map(|(holder, account)| &holder.workspaces[account.workspace]);
        let key = workspace.zip(account).map(|(part, account)| &part.keys[account.key]);
        let record = Record {
            number: 0,
            connection: line.number(),
            method: parts.method.clone(),
            path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: in_order(&parts.headers),
            body: None,
            body_length: 0,
            key: key.map(|key| key.name.clone()),
            organization: organization.map(|organization| organization.id.clone()),
            workspace: workspace.map(|workspace| workspace.id.clone()),
            model: None,
            status: None,
            request_id: request_id.clone(),
            usage: Usage::default(),
            thinking_dropped: 0,
            outcome: Outcome::Open,
            arrived: sim.now(),
            answered: None,
            ended: None,
        };
        let mut state = sim.state();
        let number = state.journal.open(record);
        if let Some(account) = account {
            state.journal.count_request(account);
        }
        drop(state);
        Self { sim: sim.clone(), number, request_id, account, class: None, entered: false, ended: false }
    }

    /// The `request-id` of the answer.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Whose credential was sent.
    pub(crate) fn account(&self) -> Option<Account> {
        self.account
    }

    /// The model class that was asked for, once that is known.
    pub(crate) fn class(&self) -> Option<&str> {
        self.class.as_deref()
    }

    /// The body is there.
    pub(crate) fn note_body(&self, body: &Bytes) {
        self.sim.state().journal.keep_body(self.number, body);
    }

    /// It turned out which model is asked.
    pub(crate) fn note_call(&mut self, account: Account, model: &str, class: &str) {
        self.class = Some(class.to_owned());
        let mut state = self.sim.state();
        state.journal.count_call(account, class);
        if let Some(record) = state.journal.record(self.number) {
            record.model = Some(model.to_owned());
        }
    }

    /// Which model is named where no limits of its class count.
    pub(crate) fn note_model(&self, model: &str) {
        if let Some(record) = self.sim.state().journal.record(self.number) {
            record.model = Some(model.to_owned());
        }
    }

    /// It begins, if not too many calls are under way already.
    pub(crate) fn enter(&mut self) -> bool {
        if let (Some(account), Some(class)) = (self.account, &self.class) {
            let now = self.sim.now();
            self.entered = self.sim.state().limiter.enter(account, class, now);
        }
        self.entered
    }

    /// The head of the answer is ready.
    pub(crate) fn note_head(&self, status: StatusCode) {
        let now = self.sim.now();
        let mut state = self.sim.state();
        if let Some(record) = state.journal.record(self.number) {
            record.status = Some(status);
            record.answered = Some(now);
        }
        if let Some(account) = self.account {
            state.journal.count_status(account, self.class.as_deref(), status);
        }
    }

    /// The answer has begun, and the input is what it is.
    pub(crate) fn note_input(&self, input: Usage, thinking_dropped: usize) {
        let mut state = self.sim.state();
        if let Some(record) = state.journal.record(self.number) {
            record.usage = input;
            record.thinking_dropped = thinking_dropped;
        }
        if let (Some(account), Some(class)) = (self.account, &self.class) {
            state.journal.count_usage(account, class, input);
        }
    }

    /// So many more tokens were produced.
    pub(crate) fn produce(&self, tokens: u64) {
        let (Some(account), Some(class), 1..) = (self.account, &self.class, tokens) else { return };
        let now = self.sim.now();
        let mut state = self.sim.state();
        state.limiter.produce(account, class, tokens, now);
        state.journal.count_usage(account, class, Usage { output: tokens, ..Usage::default() });
        if let Some(record) = state.journal.record(self.number) {
            record.usage.output += tokens;
        }
    }

    /// It ended, and how.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let now = self.sim.now();
        let mut state = self.sim.state();
        if let Some(record) = state.journal.record(self.number) {
            record.outcome = outcome;
            record.ended = Some(now);
        }
        if let (true, Some(account), Some(class)) = (self.entered, self.account, &self.class) {
            state.limiter.leave(account, class, now);
        }
        if let (Outcome::CancelledByClient, Some(account)) = (outcome, self.account) {
            state.journal.count_cancelled(account, self.class.as_deref());
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(Outcome::CancelledByClient);
    }
}
