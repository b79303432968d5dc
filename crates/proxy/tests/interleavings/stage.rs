//! One relay's state and lock, with clients and providers around it. It plays what a scenario says, and writes down what
//! was granted; what must hold in every order is judged here, so that it is in every scenario.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relay_core::{
    Breakage, Caps, Class, Counted, Exhausted, Fleet, Foretold, Key, KeyId, Need, Plan, Provider, ProviderId,
    Quota, Size, Subject, Time, Usage, Verdict, Whose,
};
use shuttle::future::{block_on, spawn, yield_now};

use crate::clock::{Clock, START};
use crate::live::{Held, Live, Onward};
use crate::order::Pace;
use crate::tasks::Tasks;

const PROVIDER: &str = "p";

/// What a key with caps may use a minute: requests, and output tokens. A bucket holds a tenth of that.
pub(crate) type Rates = (u64, u64);

/// So long after the start, in milliseconds.
fn at(millis: u64) -> Time {
    START + Duration::from_millis(millis)
}

/// One call from its beginning to its end. Times are in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// When it comes.
    pub(crate) at: u64,
    /// What it is thought to produce.
    pub(crate) output: u64,
    /// When its client leaves.
    pub(crate) leaves: Option<u64>,
    pub(crate) answer: Answer,
    /// How long it takes to be answered, and then to be read.
    pub(crate) takes: u64,
}

/// What a provider answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// All is well, and it has that many tokens.
    Served(u64),
    /// The same, and its head names the organization that holds the limits.
    Named(u64, &'static str),
    /// There is no connection; the call is given up.
    Unreachable,
    /// Its quota is used up for so long; the call is given up.
    Spent(u64),
}

/// See the module.
pub(crate) struct Stage {
    clock: Arc<Clock>,
    live: Arc<Live>,
    tasks: Tasks,
    rates: Rates,
    fleet: Fleet,
    seen: Mutex<Seen>,
}

/// What was seen of each key, and of all.
#[derive(Default)]
struct Seen {
    used: BTreeMap<KeyId, Used>,
    n_granted: usize,
    /// When each came, and when it went.
    went: Vec<(u64, u128)>,
    n_ended: usize,
    exhausted: Vec<Exhausted>,
}

/// What was granted and not given back.
#[derive(Clone, Copy, Default, Debug)]
struct Used {
    open: u32,
    requests: u64,
    promised: u64,
    output: u64,
}

/// A lease, and what was seen of it.
struct Lent {
    stage: Arc<Stage>,
    held: Option<Held>,
    key: KeyId,
    promised: u64,
    used: u64,
}

impl Stage {
    /// Plays a scenario on keys with those caps: calls, with whatever else happens. Then all must be as it was. When each
    /// call came that went, and when it went, in milliseconds.
    pub(crate) fn play<F: Future<Output = ()> + Send + 'static>(
        pace: Pace,
        (keys, rates): (&[&str], Rates),
        scripts: &[Script],
        besides: impl FnOnce(Arc<Self>) -> F,
    ) -> Vec<(u64, u128)> {
        let stage = Self::set(keys, rates);
        let mover = Arc::clone(&stage);
        drop(spawn(async move { mover.move_time(pace).await }));
        let calls: Vec<_> = scripts.iter().map(|script| spawn(Arc::clone(&stage).call(*script))).collect();
        let besides = spawn(besides(Arc::clone(&stage)));
        block_on(async {
            for call in calls {
                call.await.expect("no call is aborted");
            }
            besides.await.expect("it is not aborted");
            stage.end(pace).await;
        });
        let mut went = std::mem::take(&mut stage.seen().went);
        went.sort_unstable();
        went
    }

    fn set(keys: &[&str], rates: Rates) -> Arc<Self> {
        let (clock, tasks) = (Arc::new(Clock::start()), Tasks::default());
        let live = Live::new(Arc::clone(&clock), tasks.clone());
        let fleet = fleet(keys, rates);
        live.reconcile(&fleet);
        Arc::new(Self { clock, live, tasks, rates, fleet, seen: Mutex::default() })
    }

    /// The keys are these from now on.
    pub(crate) fn reload(&self, keys: &[&str]) {
        self.live.reconcile(&fleet(keys, self.rates));
    }

    /// Waits until so long after the start.
    pub(crate) async fn reached(&self, millis: u64) {
        self.clock.reached(at(millis)).await;
    }

    /// Something is changed that concerns nobody; but whoever changes anything looks who may go.
    pub(crate) fn look(&self) {
        self.live.pardon(KeyId::of(ProviderId::default(), b"nobody"));
    }

    /// What runs beside the calls comes to an end, as if it had panicked.
    pub(crate) async fn end_tasks(&self) {
        self.tasks.end().await;
    }

    /// A call of so much output that comes now.
    fn plan(&self, output: u64, pinned: Option<KeyId>) -> Plan {
        let foretold = Foretold { input: 0, output, pace: None };
        let size = Size { bytes: 100, streams: true, foretold: Some(foretold), ..Size::default() };
        let need = Need {
            class: Class::of("m"),
            model: None,
            among: vec![ProviderId::of(PROVIDER)],
            pinned,
            subject: Subject::Model,
            credential: Whose::Pool,
            size: Some(size),
            conversation: None,
            prefix: None,
        };
        self.fleet.plan(need, self.clock.now())
    }

    async fn call(self: Arc<Self>, script: Script) {
        self.clock.reached(at(script.at)).await;
        let mut plan = self.plan(script.output, None);
        let lent = tokio::select! {
            biased;
            () = self.left(script.leaves) => return,
            asked = self.live.ask(&mut plan, |_| {}) => match asked {
                Ok((held, _)) => {
                    let millis = self.clock.now().since(START).as_millis();
                    self.seen().went.push((script.at, millis));
                    Lent::new(&self, held, script.output)
                }
                Err(why) => return self.seen().exhausted.push(why),
            },
        };
        // What is dropped here without an answer is that of a client who left.
        tokio::select! {
            biased;
            () = self.left(script.leaves) => {}
            () = self.answer(plan, lent, script) => {}
        }
    }

    /// The provider answers; the body is read by somebody else than who asked.
    async fn answer(self: &Arc<Self>, mut plan: Plan, mut lent: Lent, script: Script) {
        self.pass(script.takes).await;
        let used = match script.answer {
            Answer::Served(used) => used,
            Answer::Named(used, organization) => {
                let quota = Quota { organization: Some(organization.to_owned()), ..Quota::default() };
                if let Some(held) = &mut lent.held {
                    self.live.learn(held, &quota, self.live.now());
                }
                used
            }
            Answer::Unreachable => return lent.refused(&mut plan, Verdict::Broken(Breakage::Connect)),
            Answer::Spent(millis) => {
                let until = self.clock.now() + Duration::from_millis(millis);
                return lent.refused(&mut plan, Verdict::Spent { until });
            }
        };
        let held = lent.held.take().expect("it was granted");
        match self.live.judge(&mut plan, held, Verdict::Served) {
            Onward::Commit(held) => lent.held = Some(held),
            Onward::Again | Onward::Stop => unreachable!("it is served"),
        }
        let body = spawn(Arc::clone(self).body(lent, used, script.takes));
        body.await.expect("it is not aborted");
    }

    /// A body flows, and ends.
    async fn body(self: Arc<Self>, mut lent: Lent, used: u64, takes: u64) {
        for part in [used / 2, used] {
            lent.charge(part);
            self.pass(takes / 2).await;
        }
    }

    async fn pass(&self, millis: u64) {
        self.clock.reached(self.clock.now() + Duration::from_millis(millis)).await;
    }

    async fn left(&self, leaves: Option<u64>) {
        match leaves {
            Some(leaves) => self.clock.reached(at(leaves)).await,
            None => std::future::pending().await,
        }
    }

    /// Moves the clock on. At each moment, when all have done what they could, whoever could go has gone.
    async fn move_time(&self, pace: Pace) {
        /// It is looked this often.
        const STEP: Duration = Duration::from_millis(250);
        loop {
            self.clock.wanted().await;
            if pace == Pace::Running {
                self.clock.step(Duration::MAX);
                yield_now().await;
                continue;
            }
            yield_now().await;
            let report = self.live.report();
            for key in report.providers.iter().flat_map(|provider| &provider.keys) {
                let open = self.seen().used.get(&key.id).map_or(0, |used| used.open);
                assert_eq!(key.in_flight, open, "each lease ends once: {}", key.label);
            }
            if report.waiting == 0 {
                self.clock.step(Duration::MAX);
                continue;
            }
            assert_eq!(self.tasks.running(), 1, "somebody waits, so somebody looks who may go");
            let granted = self.seen().n_granted;
            self.look();
            let stranger = &mut self.plan(1, Some(KeyId::of(ProviderId::default(), b"nobody")));
            assert!(self.live.ask(stranger, |_| {}).await.is_err());
            yield_now().await;
            assert_eq!(self.seen().n_granted, granted, "somebody slept who could have gone");
            self.clock.step(STEP);
        }
    }

    /// All calls have ended: nobody waits, nothing is under way, and what was promised is there again.
    async fn end(self: &Arc<Self>, pace: Pace) {
        // Whoever looks who may go notices now and then that nobody waits.
        while self.tasks.running() > 0 {
            self.pass(1_000).await;
        }
        {
            let seen = self.seen();
            assert_eq!(seen.n_ended, seen.n_granted);
            assert!(
                seen.exhausted.iter().all(|why| matches!(why, Exhausted::Spent { .. })),
                "{:?}",
                seen.exhausted
            );
        }
        self.live.reconcile(&self.fleet);
        let report = self.live.report();
        assert_eq!(report.waiting, 0);
        // Whatever was taken is refilled by then, and whatever rests does so no more.
        self.pass(3_600_000).await;
        let (requests, output) = self.rates;
        for key in report.providers.iter().flat_map(|provider| &provider.keys) {
            assert_eq!(key.in_flight, 0, "{}", key.label);
            let mut plan = self.plan(1, Some(key.id));
            let (held, waited) = self.live.ask(&mut plan, |_| {}).await.expect("it is idle");
            if pace == Pace::Still {
                assert_eq!(waited, Duration::ZERO);
            }
            let left = [(Counted::Requests, (requests / 10).max(1) - 1), (Counted::Output, output / 10 - 1)];
            assert_eq!(self.live.around(&held).remaining, left, "{}", key.label);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    /// It was granted, and not beyond any limit: all that was ever taken was there at first, or was refilled since.
    fn new(stage: &Arc<Stage>, held: Held, promised: u64) -> Self {
        let key = held.key().expect("it is of the pool");
        let mut seen = stage.seen();
        seen.n_granted += 1;
        let used = seen.used.entry(key).or_default();
        used.open += 1;
        used.requests += 1;
        used.promised += promised;
        let millis = u64::try_from(stage.clock.now().since(START).as_millis()).expect("it is a short play");
        let (requests, output) = stage.rates;
        let most = |rate: u64| (rate / 10).max(1) + rate * millis / 60_000;
        assert!(used.requests <= most(requests), "{used:?} after {millis} ms");
        assert!(used.promised + used.output <= most(output), "{used:?} after {millis} ms");
        drop(seen);
        Self { stage: Arc::clone(stage), held: Some(held), key, promised, used: 0 }
    }

    fn charge(&mut self, used: u64) {
        let more = used - std::mem::replace(&mut self.used, used);
        let promised = self.promised.saturating_sub(more);
        self.note(|seen| {
            seen.output += more;
            seen.promised -= more.min(seen.promised);
        });
        self.promised = promised;
        if let Some(held) = &mut self.held {
            held.charge(Usage { output: used, ..Usage::ZERO });
        }
    }

    /// The answer is a refusal. What it counted is noted before others can hear of it.
    fn refused(mut self, plan: &mut Plan, verdict: Verdict) {
        self.note(|seen| seen.requests -= 1);
        self.forget();
        let held = self.held.take().expect("it was granted");
        assert!(!matches!(self.stage.live.judge(plan, held, verdict), Onward::Commit(_)));
    }

    fn forget(&mut self) {
        let promised = std::mem::take(&mut self.promised);
        self.note(|seen| seen.promised -= promised);
    }

    fn note(&self, change: impl FnOnce(&mut Used)) {
        change(self.stage.seen().used.entry(self.key).or_default());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.forget();
        self.note(|seen| seen.open -= 1);
        self.stage.seen().n_ended += 1;
        self.held = None;
    }
}

fn fleet(keys: &[&str], (requests, output): Rates) -> Fleet {
    let provider = ProviderId::of(PROVIDER);
    let caps = Caps { requests: Some(requests), output: Some(output), ..Caps::default() };
    let key = |label: &&str| Key { caps, ..Key::new(KeyId::of(provider, label.as_bytes()), *label) };
    let provider = Provider::new(PROVIDER, keys.iter().map(key).collect());
    Fleet { providers: vec![provider], max_wait: Duration::from_mins(10), ..Fleet::default() }
}
