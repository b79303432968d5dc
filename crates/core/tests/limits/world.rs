//! Random histories of calls on keys with limits, judged by buckets that are written apart from the relay's.
//!
//! It plays clients, shell, clock and providers, and writes down what it saw. It judges nothing; the properties do.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::any;
use proptest::sample::select;
use proptest::strategy::{Just, Strategy as Generate, Union};
use relay_core::memory::Mark;
use relay_core::{Exhausted, Fleet, Key, KeyId, Need, Quota, Strategy, Time, Usage, Verdict};

use crate::bucket::Bucket;
use crate::stage::{Call, Stage, Told, about, background, capped, fleet, takes, usage, with};

const LABELS: [&str; 4] = ["a", "b", "c", "d"];
const MODELS: [&str; 2] = ["x", "y"];

/// Until more is known, a bucket is thought to hold what this adds.
const THOUGHT: Duration = Duration::from_secs(6);

/// Who holds which limits, and how keys are chosen.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) organizations: Vec<Limit>,
    /// The organization of each, and its own caps.
    pub(crate) keys: Vec<(usize, [Option<u64>; 3])>,
    pub(crate) strategy: Strategy,
    pub(crate) taking: Taking,
}

/// What an organization may use of each class of models.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) rates: [Option<u64>; 3],
    pub(crate) burst: Duration,
}

/// When a provider counts a request that was let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taking {
    /// When it is sent; and it is answered at once, with all that it takes.
    AtOnce,
    /// When it is sent; the answer comes later.
    Early,
}

/// One thing that happens. Numbers choose among what is there, wrapping around.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// A call comes.
    Arrive(Wish),
    /// The answer to a call begins. It is said as often as that what its head tells.
    Begin(usize, u8),
    /// So much of an answer is produced, in hundredths of what is left of it.
    Produce(usize, u64),
    /// An answer ends, whatever is left of it.
    Close(usize),
    /// A client leaves.
    Leave(usize),
    /// Time goes by.
    Pass(Duration),
}

impl Deed {
    /// The same, with no provider who refuses anything.
    pub(crate) fn not_refused(self) -> Self {
        match self {
            Self::Arrive(wish) => Self::Arrive(Wish { refused: false, ..wish }),
            other => other,
        }
    }
}

/// What a call asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) model: usize,
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// Nobody looks on.
    pub(crate) background: bool,
    /// The provider will refuse it.
    pub(crate) refused: bool,
}

/// Something that a provider's bucket or a client would not have expected.
#[derive(Clone, Debug)]
pub(crate) enum Scene {
    /// A call was let through beyond a limit.
    Beyond(KeyId, Wish, Box<Bucket>),
    /// A call that came, or was called, was told that.
    Told { called: bool, told: Told },
    /// A call was served that had been told to wait until then.
    Served { at: Time, told: Time, background: bool },
}

/// See the module.
pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) scenes: Vec<Scene>,
    setting: Setting,
    caps: Vec<[Option<Bucket>; 3]>,
    limits: BTreeMap<(usize, usize), [Option<Bucket>; 3]>,
    calls: Vec<Running>,
}

struct Running {
    wish: Wish,
    call: Call,
    phase: Phase,
    /// When it was told to wait until, first.
    told: Option<Time>,
    key: usize,
    /// What it may still take.
    rest: [u64; 3],
    /// What the head of its answer will say.
    head: Quota,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Sent,
    Answered,
    Over,
}

impl Setting {
    fn fleet(&self) -> Fleet {
        let shared = |organization: usize| self.keys.iter().filter(|key| key.0 == organization).count() > 1;
        let keys = self.keys.iter().zip(LABELS).map(|((organization, caps), label)| {
            let group = shared(*organization).then(|| format!("g{organization}"));
            Key { group, ..capped(label, *caps) }
        });
        let mut fleet = fleet(keys.collect());
        fleet.providers[0].strategy = self.strategy;
        fleet
    }
}

impl Setting {
    /// The same, with no other limits than one of each key's own.
    pub(crate) fn limited_to(mut self, counted: usize) -> Self {
        self.organizations.iter_mut().for_each(|limit| limit.rates = [None; 3]);
        for (_, caps) in &mut self.keys {
            let own = caps[counted];
            *caps = [None; 3];
            caps[counted] = own;
        }
        self
    }
}

impl World {
    /// A world in which the limits of every organization have been seen in the head of an answer.
    pub(crate) fn new(setting: &Setting) -> Self {
        let stage = Stage::new(setting.fleet());
        let full =
            |rates: &[Option<u64>; 3], burst| rates.map(|rate| Some(Bucket::full(rate?, burst, stage.now)));
        let places =
            (0..setting.organizations.len()).flat_map(|one| (0..MODELS.len()).map(move |model| (one, model)));
        let limits = places.map(|place| {
            let Limit { rates, burst } = &setting.organizations[place.0];
            (place, full(rates, *burst))
        });
        let mut world = Self {
            limits: limits.collect(),
            caps: setting.keys.iter().map(|(_, caps)| full(caps, THOUGHT)).collect(),
            stage,
            scenes: Vec::new(),
            setting: setting.clone(),
            calls: Vec::new(),
        };
        world.look_around();
        world
    }

    /// All that was seen in that history, and the world after it.
    pub(crate) fn after(setting: &Setting, deeds: &[Deed]) -> Self {
        let mut world = Self::new(setting);
        for deed in deeds {
            world.happen(deed);
        }
        world
    }

    /// Everybody who has not gone yet leaves.
    pub(crate) fn end(&mut self) {
        for index in 0..self.calls.len() {
            match self.calls[index].phase {
                Phase::Answered => self.close(index),
                Phase::Waiting | Phase::Sent => self.leave(index),
                Phase::Over => {}
            }
        }
    }

    /// A call with each key for each model says what limits there are. It takes one request and one token.
    fn look_around(&mut self) {
        for (key, label) in LABELS.into_iter().enumerate().take(self.setting.keys.len()) {
            for (model, name) in MODELS.into_iter().enumerate() {
                let wish = Wish { model, input: 1, output: 0, background: false, refused: false };
                let need = with(label, about(name, takes(1, 0)));
                match self.stage.would(need.clone()) {
                    Told::Go(_) => {}
                    Told::Wait(until) | Told::No(Exhausted::Spent { until }) => self.stage.now = until,
                    Told::No(other) => unreachable!("{other:?}"),
                }
                let call = self.stage.go(need);
                self.start(wish, call, key);
                let index = self.calls.len() - 1;
                if self.setting.taking != Taking::AtOnce {
                    self.begin(index, 1);
                }
                self.close(index);
            }
        }
        self.scenes.clear();
    }

    pub(crate) fn happen(&mut self, deed: &Deed) {
        match deed {
            Deed::Arrive(wish) => self.arrive(wish),
            Deed::Begin(which, times) => {
                if let Some(index) = self.nth(*which, Phase::Sent) {
                    self.begin(index, *times);
                }
            }
            Deed::Produce(which, part) => {
                if let Some(index) = self.nth(*which, Phase::Answered) {
                    self.produce(index, self.calls[index].rest[2] * part / 100);
                }
            }
            Deed::Close(which) => {
                if let Some(index) = self.nth(*which, Phase::Answered) {
                    self.close(index);
                }
            }
            Deed::Leave(which) => {
                let phase = if which % 2 == 0 { Phase::Waiting } else { Phase::Sent };
                if let Some(index) = self.nth(*which / 2, phase) {
                    self.leave(index);
                }
            }
            Deed::Pass(pause) => self.pass(*pause),
        }
        self.wake();
    }

    /// Time goes by, and whoever's turn comes goes at that moment.
    fn pass(&mut self, pause: Duration) {
        let end = self.stage.now + pause;
        let mut looks = 0;
        while let Some(next) = self.wake().filter(|next| *next < end) {
            // What is behind something that is not taken for long is looked at again and again, as if that were taken
            // any moment.
            looks += 1;
            let patience = Duration::from_secs(if looks < 100 { 0 } else { 5 });
            self.stage.now = next.max(self.stage.now + patience).min(end);
        }
        self.stage.now = end;
    }

    /// Those whose turn has come ask again. When to look again.
    fn wake(&mut self) -> Option<Time> {
        loop {
            let woken = self.stage.state.wake(self.stage.now);
            if woken.tickets.is_empty() {
                return woken.next;
            }
            for ticket in woken.tickets {
                let waits = |running: &Running| {
                    running.phase == Phase::Waiting && running.call.ticket == Some(ticket)
                };
                if let Some(index) = self.calls.iter().position(waits) {
                    self.ask(index, true);
                }
            }
        }
    }

    fn arrive(&mut self, wish: &Wish) {
        let call = self.stage.call(wish.need());
        let rest = [1, wish.input, wish.output];
        let (wish, head) = (wish.clone(), Quota::default());
        self.calls.push(Running { wish, call, phase: Phase::Over, told: None, key: 0, rest, head });
        self.ask(self.calls.len() - 1, false);
    }

    fn ask(&mut self, index: usize, called: bool) {
        let mut call = std::mem::replace(&mut self.calls[index].call, self.stage.call(takes(0, 0)));
        let told = self.stage.ask(&mut call);
        self.calls[index].call = call;
        self.scenes.push(Scene::Told { called, told: told.clone() });
        match told {
            Told::Go(key) => {
                let running = &self.calls[index];
                if let Some(told) = running.told {
                    let (at, background) = (self.stage.now, running.wish.background);
                    self.scenes.push(Scene::Served { at, told, background });
                }
                let place = self.stage.fleet.providers[0]
                    .keys
                    .iter()
                    .position(|own| own.id == key)
                    .expect("the stage is set for it");
                self.send(index, place);
            }
            Told::Wait(until) => {
                let running = &mut self.calls[index];
                running.phase = Phase::Waiting;
                running.told.get_or_insert(until);
            }
            Told::No(_) => self.calls[index].phase = Phase::Over,
        }
    }

    fn start(&mut self, wish: Wish, call: Call, key: usize) {
        let rest = [1, wish.input, wish.output];
        let head = Quota::default();
        self.calls.push(Running { wish, call, phase: Phase::Over, told: None, key, rest, head });
        self.send(self.calls.len() - 1, key);
    }

    /// It was let through.
    fn send(&mut self, index: usize, key: usize) {
        (self.calls[index].phase, self.calls[index].key) = (Phase::Sent, key);
        let (rest, now, id) =
            (self.calls[index].rest, self.stage.now, self.stage.fleet.providers[0].keys[key].id);
        let mut beyond = Vec::new();
        for (bucket, units) in self.buckets(index).zip(rest.into_iter().cycle()) {
            let Some(bucket) = bucket else { continue };
            if !bucket.admits(units, THOUGHT, now) {
                beyond.push(*bucket);
            }
        }
        if self.calls[index].wish.refused {
            // It will not take more than that, which nobody but its provider knows.
            self.calls[index].rest = [1, 0, 0];
        }
        let rest = self.calls[index].rest;
        for (bucket, units) in self.buckets(index).zip(rest.into_iter().cycle()) {
            if let Some(bucket) = bucket {
                bucket.promised += units;
            }
        }
        let wish = self.calls[index].wish.clone();
        self.scenes
            .extend(beyond.into_iter().map(|bucket| Scene::Beyond(id, wish.clone(), Box::new(bucket))));
        self.count(index);
        if self.setting.taking == Taking::AtOnce {
            self.begin(index, 1);
            self.produce(index, rest[2]);
        }
    }

    /// The provider counts the request and, unless it refuses it, the prompt.
    fn count(&mut self, index: usize) {
        let refused = self.calls[index].wish.refused;
        let taken = [1, if refused { 0 } else { self.calls[index].rest[1] }, 0];
        self.take(index, taken);
        self.calls[index].head = self.head(index);
    }

    fn take(&mut self, index: usize, taken: [u64; 3]) {
        let now = self.stage.now;
        for (bucket, units) in self.buckets(index).zip(taken.into_iter().cycle()) {
            if let Some(bucket) = bucket {
                bucket.promised -= units;
                bucket.take(units, now);
            }
        }
        for (rest, units) in self.calls[index].rest.iter_mut().zip(taken) {
            *rest -= units;
        }
    }

    /// What it did not take is not promised any more.
    fn release(&mut self, index: usize) {
        let rest = std::mem::take(&mut self.calls[index].rest);
        for (bucket, units) in self.buckets(index).zip(rest.into_iter().cycle()) {
            bucket.as_mut().into_iter().for_each(|bucket| bucket.promised -= units);
        }
        self.calls[index].phase = Phase::Over;
    }

    /// The buckets that a call is counted in: of its key, and of the organization.
    fn buckets(&mut self, index: usize) -> impl Iterator<Item = &mut Option<Bucket>> {
        let Running { key, wish, .. } = &self.calls[index];
        let place = (self.setting.keys[*key].0, wish.model);
        self.caps[*key].iter_mut().chain(self.limits.get_mut(&place).expect("the stage is set for it"))
    }

    fn head(&mut self, index: usize) -> Quota {
        let now = self.stage.now;
        let mut limits = self.buckets(index).skip(3).zip([1, 1_000, 1_000]);
        let mut next = || {
            let (bucket, rounded_to) = limits.next().expect("the stage is set for it");
            bucket.as_mut().map(|bucket| bucket.gauge(rounded_to, now)).unwrap_or_default()
        };
        Quota { requests: next(), input: next(), output: next(), ..Quota::default() }
    }

    fn begin(&mut self, index: usize, times: u8) {
        let Running { wish, call, head, .. } = &mut self.calls[index];
        for _ in 0..times {
            self.stage.learn(call, head);
        }
        if wish.refused {
            assert!(!self.stage.judge(call, Verdict::Refused));
            self.release(index);
        } else {
            self.stage.begin(call, usage(wish.input, 0));
            self.calls[index].phase = Phase::Answered;
        }
    }

    fn produce(&mut self, index: usize, units: u64) {
        if self.calls[index].phase != Phase::Answered {
            return;
        }
        self.take(index, [0, 0, units]);
        let call = &mut self.calls[index].call;
        let used = Usage { output: call.used.output + units, ..call.used };
        self.stage.charge(call, used);
    }

    fn close(&mut self, index: usize) {
        let call = &mut self.calls[index].call;
        let (lease, used) = (call.lease.take().expect("the stage is set for it"), call.used);
        self.stage.state.close(lease, used, self.stage.now);
        self.release(index);
    }

    fn leave(&mut self, index: usize) {
        if self.calls[index].phase == Phase::Sent && self.calls[index].wish.refused {
            // Of one whose answer nobody heard, the relay cannot know that its prompt was not counted.
            self.begin(index, 1);
        } else if self.calls[index].phase == Phase::Sent {
            self.close(index);
        } else {
            let ticket = self.calls[index].call.ticket.take();
            self.stage.state.cancel(ticket.expect("the stage is set for it"));
            self.calls[index].phase = Phase::Over;
        }
    }

    /// The relay is killed, whatever is under way, and starts again after that time with what it had told a moment
    /// before. Its clients are gone, and so is what their calls had not taken yet.
    pub(crate) fn restart(&mut self, after: Duration) {
        for index in 0..self.calls.len() {
            if matches!(self.calls[index].phase, Phase::Sent | Phase::Answered) {
                self.release(index);
            }
        }
        self.calls.clear();
        let (memory, _) = self.stage.state.remember(Mark::default(), self.stage.now);
        self.stage.now = self.stage.now + after;
        self.stage.start_with(memory);
    }

    /// Every call that was sent is answered, and every answer ends.
    pub(crate) fn answer_all(&mut self) {
        for index in 0..self.calls.len() {
            if self.calls[index].phase == Phase::Sent {
                self.begin(index, 1);
            }
            if self.calls[index].phase == Phase::Answered {
                self.close(index);
            }
        }
    }

    /// When each of a key's caps lets so much through, and what it holds when full.
    pub(crate) fn caps(&mut self, key: usize) -> &mut [Option<Bucket>; 3] {
        &mut self.caps[key]
    }

    /// The call that a number chooses among those in a phase.
    fn nth(&self, which: usize, phase: Phase) -> Option<usize> {
        let all: Vec<_> = (0..self.calls.len()).filter(|&index| self.calls[index].phase == phase).collect();
        all.get(which.checked_rem(all.len())?).copied()
    }
}

impl Wish {
    /// The same, as the core hears it.
    pub(crate) fn need(&self) -> Need {
        let mut need = about(MODELS[self.model], takes(self.input, self.output));
        // It says how much it may take, and takes all of it if nobody ends it before.
        need.size.as_mut().expect("the stage is set for it").max_tokens = Some(self.output);
        if self.background { background(need) } else { need }
    }
}

/// Up to four keys of up to three organizations.
pub(crate) fn settings(taking: &'static [Taking]) -> impl Generate<Value = Setting> {
    let caps = || (rates(600), rates(100_000), rates(20_000)).prop_map(|(one, two, three)| [one, two, three]);
    let limit =
        (caps(), 6_u64..60).prop_map(|(rates, burst)| Limit { rates, burst: Duration::from_secs(burst) });
    let strategies =
        vec![Strategy::LeastLoaded, Strategy::LeastLoaded, Strategy::RoundRobin, Strategy::Random];
    let keys = vec((0_usize..3, caps()), 1..=LABELS.len());
    (vec(limit, 3), keys, select(strategies), select(taking))
        .prop_map(|(organizations, keys, strategy, taking)| Setting { organizations, keys, strategy, taking })
}

/// A rate a minute, or none.
fn rates(most: u64) -> impl Generate<Value = Option<u64>> {
    option::weighted(0.7, Union::new(vec![(most / 10..=most).boxed(), (1..=most / 10).boxed()]))
}

/// Any call.
pub(crate) fn wishes() -> impl Generate<Value = Wish> {
    let amounts = |most: u64| Union::new_weighted(vec![(6, 0..=most / 20), (2, 0..=most), (1, 0..=most * 4)]);
    let seldom = || select(vec![true, false, false, false, false, false]);
    (0..MODELS.len(), amounts(10_000), amounts(2_000), seldom(), seldom()).prop_map(
        |(model, input, output, background, refused)| Wish { model, input, output, background, refused },
    )
}

/// Anything that may happen, in any order.
pub(crate) fn deeds() -> impl Generate<Value = Vec<Deed>> {
    let which = any::<usize>;
    let pauses =
        Union::new(vec![(0_u64..100_000_000).boxed(), (0_u64..20_000_000_000).boxed(), Just(0).boxed()]);
    let deed = Union::new_weighted(vec![
        (8, wishes().prop_map(Deed::Arrive).boxed()),
        (6, (which(), 1_u8..3).prop_map(|(which, times)| Deed::Begin(which, times)).boxed()),
        (4, (which(), 0_u64..=100).prop_map(|(which, part)| Deed::Produce(which, part)).boxed()),
        (4, which().prop_map(Deed::Close).boxed()),
        (1, which().prop_map(Deed::Leave).boxed()),
        (6, pauses.prop_map(|nanos| Deed::Pass(Duration::from_nanos(nanos))).boxed()),
    ]);
    vec(deed, 1..60)
}
