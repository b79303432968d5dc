//! One relay's state, played step by step on a clock that stands still in between. It knows how to say what happens in
//! a few words; it judges nothing.

use std::time::Duration;

use relay_core::memory::Mark;
use relay_core::{
    Ask, Breakage, Caps, Class, ClientId, Conversation, Exhausted, Fleet, Foretold, Gauge, Key, KeyId,
    KeyReport, Lease, LimitReport, Memory, Need, Plan, Provider, ProviderId, Quota, Roll, Share, Size, State,
    Step, Subject, Ticket, Time, Unified, UnifiedStatus, Usage, Verdict, Whose, WindowName, WindowReading,
};

/// When everything begins.
pub(crate) const START: Time = Time::from_epoch(Duration::from_secs(1_000_000));

/// The provider of a stage with one.
pub(crate) const PROVIDER: &str = "p";

/// So long after the start.
pub(crate) fn at(millis: u64) -> Time {
    START + Duration::from_millis(millis)
}

/// The id of a key of [`PROVIDER`] by its label.
pub(crate) fn id(label: &str) -> KeyId {
    KeyId::of(ProviderId::of(PROVIDER), label.as_bytes())
}

/// A key without caps.
pub(crate) fn key(label: &str) -> Key {
    Key::new(id(label), label)
}

/// A key that is capped at so many requests, input and output tokens a minute.
pub(crate) fn capped(label: &str, [requests, input, output]: [Option<u64>; 3]) -> Key {
    Key { caps: Caps { requests, input, output, ..Caps::default() }, ..key(label) }
}

/// A key that shares its limits with others.
pub(crate) fn of_group(label: &str, group: &str) -> Key {
    Key { group: Some(group.to_owned()), ..key(label) }
}

/// One provider with those keys, chosen among by what serving a call costs the others.
pub(crate) fn fleet(keys: Vec<Key>) -> Fleet {
    fleet_of(Provider::new(PROVIDER, keys))
}

/// That provider alone.
pub(crate) fn fleet_of(provider: Provider) -> Fleet {
    Fleet { providers: vec![provider], max_wait: Duration::from_mins(10), ..Fleet::default() }
}

/// A call that takes exactly so much: one request, input at once, and output in the end.
pub(crate) fn takes(input: u64, output: u64) -> Need {
    let foretold = Foretold { input, output, pace: None };
    sized(Size { bytes: input * 4, streams: true, foretold: Some(foretold), ..Size::default() })
}

/// A call of that size, of which nothing more is known.
pub(crate) fn sized(size: Size) -> Need {
    Need {
        class: Class::of("m"),
        model: None,
        among: vec![ProviderId::of(PROVIDER)],
        pinned: None,
        subject: Subject::Model,
        credential: Whose::Pool,
        size: Some(size),
        conversation: None,
        prefix: None,
    }
}

/// The same, of a subagent.
pub(crate) fn background(mut need: Need) -> Need {
    need.size.as_mut().expect("the stage is set for it").background = true;
    need
}

/// The same, of that client.
pub(crate) fn of_client(client: &str, mut need: Need) -> Need {
    need.size.as_mut().expect("the stage is set for it").client = ClientId::of(client);
    need
}

/// The same, of another model.
pub(crate) fn about(model: &str, need: Need) -> Need {
    Need { class: Class::of(model), ..need }
}

/// The same, with that key or none.
pub(crate) fn with(label: &str, need: Need) -> Need {
    Need { pinned: Some(id(label)), ..need }
}

/// The same, going on with that conversation.
pub(crate) fn of_conversation(conversation: u64, need: Need) -> Need {
    Need { conversation: Some(Conversation(conversation)), ..need }
}

/// Input and output tokens, nothing cached.
pub(crate) fn usage(input: u64, output: u64) -> Usage {
    Usage { input, output, ..Usage::ZERO }
}

/// What a head says of one limit.
pub(crate) fn gauge(limit: u64, remaining: u64) -> Gauge {
    Gauge { limit: Some(limit), remaining: Some(remaining), reset: None }
}

/// What a head says of requests.
pub(crate) fn requests(gauge: Gauge) -> Quota {
    Quota { requests: gauge, ..Quota::default() }
}

/// What a head says of input.
pub(crate) fn input(gauge: Gauge) -> Quota {
    Quota { input: gauge, ..Quota::default() }
}

/// What a head says of output.
pub(crate) fn output(gauge: Gauge) -> Quota {
    Quota { output: gauge, ..Quota::default() }
}

/// A stage whose only key has had an answer that said so. Nothing is under way.
pub(crate) fn taught(quota: &Quota) -> Stage {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut call = stage.go(takes(1, 0));
    stage.learn(&mut call, quota);
    stage.serve(call, usage(1, 0));
    stage
}

/// What a head says that names an organization only.
pub(crate) fn organization(name: &str) -> Quota {
    Quota { organization: Some(name.to_owned()), ..Quota::default() }
}

/// What a head says of windows: of each its name, its status and the part of it that is used, and in how many seconds it
/// is reset. All of it is refused if one of them is.
pub(crate) fn unified(windows: &[(&str, &str, u64)]) -> Unified {
    let status = |text: &str| match text {
        "rejected" => UnifiedStatus::Rejected,
        "allowed_warning" => UnifiedStatus::Warning,
        _ => UnifiedStatus::Allowed,
    };
    let read = |(name, told, seconds): &(&str, &str, u64)| {
        let (said, used) = told.split_once(' ').expect("the stage is set for it");
        let used: f64 = used.parse().expect("it is a number");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part, and not below zero"
        )]
        let used = Share((used * 1e6).round() as u32);
        WindowReading {
            name: window(name),
            status: Some(status(said)),
            used: Some(used),
            reset: Some(START + Duration::from_secs(*seconds)),
        }
    };
    let windows: Vec<_> = windows.iter().map(read).collect();
    let rejected = windows.iter().any(|window| window.status == Some(UnifiedStatus::Rejected));
    let status = if rejected { UnifiedStatus::Rejected } else { UnifiedStatus::Allowed };
    Unified { status: Some(status), windows, overage: Some(UnifiedStatus::Rejected), ..Unified::default() }
}

/// A head that says nothing but that.
pub(crate) fn says(windows: &[(&str, &str, u64)]) -> Quota {
    Quota { unified: Some(unified(windows)), ..Quota::default() }
}

/// The window of that name.
pub(crate) fn window(name: &str) -> WindowName {
    WindowName::of(name).expect("it is the name of a window")
}

/// One call and what it holds.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) plan: Plan,
    pub(crate) lease: Option<Lease>,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) used: Usage,
}

/// What a call was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// Go, with that key.
    Go(KeyId),
    /// Not yet.
    Wait(Time),
    /// No.
    No(Exhausted),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) state: State,
    pub(crate) fleet: Fleet,
    pub(crate) now: Time,
    pub(crate) dice: u64,
}

impl Stage {
    /// A stage on which nothing has happened.
    pub(crate) fn new(fleet: Fleet) -> Self {
        let mut state = State::default();
        state.reconcile(&fleet, START);
        Self { state, fleet, now: START, dice: 0 }
    }

    /// A relay that has just started takes the place of the one that was, and remembers that.
    pub(crate) fn start_with(&mut self, memory: Memory) -> Mark {
        self.state = State::default();
        self.state.reconcile(&self.fleet, self.now);
        self.state.recall(memory, self.now, Roll(self.dice))
    }

    /// Everything that is to be remembered.
    pub(crate) fn memory(&self) -> Memory {
        self.state.remember(Mark::default(), self.now).0
    }

    /// The relay ends, and starts again with what it knew.
    pub(crate) fn restart(&mut self) {
        let memory = self.memory();
        self.start_with(memory);
    }

    /// Time goes by.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }

    /// A call comes, and has not asked yet.
    pub(crate) fn call(&self, need: Need) -> Call {
        let plan = self.fleet.plan(need, self.now);
        Call { plan, lease: None, ticket: None, used: Usage::ZERO }
    }

    /// It asks.
    pub(crate) fn ask(&mut self, call: &mut Call) -> Told {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let asked = self.state.ask(&mut call.plan, self.now, Roll(self.dice));
        call.ticket = None;
        match asked {
            Ask::Granted(lease) => {
                let told = Told::Go(lease.key().expect("it is of the pool"));
                call.lease = Some(lease);
                told
            }
            Ask::Wait { ticket, until } => {
                call.ticket = Some(ticket);
                Told::Wait(until)
            }
            Ask::Exhausted(exhausted) => Told::No(exhausted),
        }
    }

    /// A call comes and asks.
    pub(crate) fn arrive(&mut self, need: Need) -> (Call, Told) {
        let mut call = self.call(need);
        let told = self.ask(&mut call);
        (call, told)
    }

    /// A call comes, asks, and goes.
    pub(crate) fn go(&mut self, need: Need) -> Call {
        let (call, told) = self.arrive(need);
        assert!(matches!(told, Told::Go(_)), "{told:?}");
        call
    }

    /// A call comes, asks, and must wait until then.
    pub(crate) fn wait(&mut self, need: Need) -> (Call, Time) {
        let (call, told) = self.arrive(need);
        match told {
            Told::Wait(until) => (call, until),
            told => unreachable!("it waits, and is not told {told:?}"),
        }
    }

    /// What a call would be told that comes now. It leaves again.
    pub(crate) fn would(&mut self, need: Need) -> Told {
        let (call, told) = self.arrive(need);
        if let Some(lease) = call.lease {
            // It never came to the provider, so nothing was counted.
            let mut plan = call.plan;
            let step = self.state.judge(&mut plan, lease, Verdict::Broken(Breakage::Connect), self.now);
            assert!(matches!(step, Step::Again));
        }
        call.ticket.into_iter().for_each(|ticket| self.state.cancel(ticket));
        told
    }

    /// The head of its answer says that.
    pub(crate) fn learn(&mut self, call: &mut Call, quota: &Quota) {
        self.state.learn(call.lease.as_mut().expect("the stage is set for it"), quota, self.now);
    }

    /// Its answer is judged. True if it goes on to be read.
    pub(crate) fn judge(&mut self, call: &mut Call, verdict: Verdict) -> bool {
        let lease = call.lease.take().expect("the stage is set for it");
        match self.state.judge(&mut call.plan, lease, verdict, self.now) {
            Step::Commit(lease) => {
                call.lease = Some(lease);
                true
            }
            Step::Again | Step::Stop => false,
        }
    }

    /// It has used so much so far.
    pub(crate) fn charge(&mut self, call: &mut Call, usage: Usage) {
        call.used = usage;
        self.state.charge(call.lease.as_mut().expect("the stage is set for it"), usage, self.now);
    }

    /// Its answer begins, and says what the prompt had.
    pub(crate) fn begin(&mut self, call: &mut Call, usage: Usage) {
        assert!(self.judge(call, Verdict::Served));
        self.charge(call, usage);
    }

    /// Its answer ends, having used so much.
    pub(crate) fn close(&mut self, mut call: Call, usage: Usage) {
        self.state.close(call.lease.take().expect("the stage is set for it"), usage, self.now);
    }

    /// It is answered at once with all that it was to take.
    pub(crate) fn serve(&mut self, mut call: Call, usage: Usage) {
        self.begin(&mut call, usage);
        self.close(call, usage);
    }

    /// Its client leaves.
    pub(crate) fn leave(&mut self, call: Call) {
        call.ticket.into_iter().for_each(|ticket| self.state.cancel(ticket));
        if let Some(lease) = call.lease {
            self.state.close(lease, call.used, self.now);
        }
    }

    /// Whose turn has come.
    pub(crate) fn woken(&mut self) -> Vec<Ticket> {
        self.state.wake(self.now).tickets
    }

    /// What is known of a key.
    pub(crate) fn key(&self, label: &str) -> KeyReport {
        let all = self.state.report(self.now).providers.into_iter().flat_map(|provider| provider.keys);
        all.into_iter().find(|key| key.label == label).expect("it is configured")
    }

    /// What is known of its limits: what is counted, how many a minute, how many milliseconds' worth it holds, and how
    /// many there are.
    pub(crate) fn limits(&self, label: &str) -> Vec<(relay_core::Counted, u64, u128, u64)> {
        let shown =
            |limit: &LimitReport| (limit.counted, limit.per_minute, limit.burst.as_millis(), limit.available);
        self.key(label).limits.iter().map(shown).collect()
    }
}
