//! The lock of the shell is held for microseconds, and whoever asks for memory may have to wait for it: so nothing does
//! that on the way of a call, once everything is as large as it will be. A program of its own, for its allocator counts.

use std::time::Duration;

use relay_core::{
    Ask, Caps, Class, Conversation, Fleet, Key, KeyId, Lease, Need, Plan, Prefix, Provider, ProviderId,
    Quota, Roll, Share, Size, State, Step, Strategy, Subject, Time, Unified, Usage, Verdict, Whose,
    WindowName, WindowReading,
};

const STRATEGIES: [Strategy; 7] = [
    Strategy::Failover,
    Strategy::RoundRobin,
    Strategy::Weighted,
    Strategy::Shuffle,
    Strategy::Random,
    Strategy::LeastLoaded,
    Strategy::WeightedFailover,
];

const PROVIDERS: [&str; 2] = ["a", "b"];

/// Longer than the name of any model that is kept where it is.
const LONG: &str = "a-model-with-a-name-that-is-longer-than-that-of-any-other";

/// A state, and calls that come to it.
struct Town {
    state: State,
    fleet: Fleet,
    now: Time,
    dice: u64,
    /// What answers say of the windows of a subscription.
    unified: Option<Unified>,
}

impl Town {
    /// Two providers, of which each has so many keys of organizations of their own.
    fn new(n_keys: u32, strategy: Strategy) -> Self {
        let caps = Caps {
            requests: Some(1_000_000),
            input: Some(1_000_000_000),
            output: Some(100_000_000),
            ..Caps::default()
        };
        let provider = |name: &str| {
            let id = ProviderId::of(name);
            let key = |index: u32| Key { caps, ..Key::new(KeyId::of(id, &index.to_le_bytes()), "key") };
            let keys = (0..n_keys).map(key).collect();
            Provider { strategy, ..Provider::new(name, keys) }
        };
        let fleet = Fleet {
            providers: PROVIDERS.map(provider).into(),
            strategy,
            max_wait: Duration::from_secs(30),
            prefix_wait: Duration::from_secs(3),
            ..Fleet::default()
        };
        let (mut state, now) = (State::default(), Time::from_epoch(Duration::from_secs(1_795_000_000)));
        state.reconcile(&fleet, now);
        Self { state, fleet, now, dice: 1, unified: None }
    }

    fn plan(&self, model: &str, conversation: u64) -> Plan {
        let size = Size { bytes: 4_000, max_tokens: Some(32_000), streams: true, ..Size::default() };
        let need = Need {
            class: Class::of(model),
            model: Some(model.to_owned()),
            among: PROVIDERS.map(ProviderId::of).into(),
            pinned: None,
            subject: Subject::Model,
            credential: Whose::Pool,
            size: Some(size),
            conversation: Some(Conversation::of(&[&conversation.to_le_bytes()])),
            prefix: Some(Prefix(7)),
        };
        self.fleet.plan(need, self.now)
    }

    fn ask(&mut self, plan: &mut Plan) -> Lease {
        self.now = self.now + Duration::from_millis(2);
        // xorshift (Marsaglia 2003).
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let asked = self.state.ask(plan, self.now, Roll(self.dice));
        let Ask::Granted(lease) = asked else { unreachable!("{asked:?}") };
        lease
    }

    fn learn(&mut self, lease: &mut Lease) {
        let organization = lease.key().map(|key| format!("{key:?}"));
        let unified = self.unified.clone();
        self.state.learn(lease, &Quota { organization, unified, ..Quota::default() }, self.now);
    }

    fn judge(&mut self, plan: &mut Plan, lease: Lease) -> Lease {
        let step = self.state.judge(plan, lease, Verdict::Served, self.now);
        let Step::Commit(lease) = step else { unreachable!("{step:?}") };
        lease
    }

    /// Its prompt, then three pieces of its answer.
    fn charge(&mut self, lease: &mut Lease, prompt: Usage) {
        for pieces in 0..4 {
            self.state.charge(lease, Usage { output: 1 + pieces * 64, ..prompt }, self.now);
        }
    }

    /// What the shell does after each verb.
    fn tell(&mut self) {
        assert!(self.state.wake(self.now).tickets.is_empty());
        assert!(self.state.take_events().is_empty());
    }

    /// A whole life. How often memory was asked for: to ask, and after that.
    fn live(&mut self, model: &str, conversation: u64) -> (u64, u64) {
        let mut plan = self.plan(model, conversation);
        let mut granted = None;
        let to_ask = allocation_counter::measure(|| {
            granted = Some(self.ask(&mut plan));
            self.tell();
        });
        let mut lease = granted.expect("it was granted");
        self.learn(&mut lease);
        let prompt = Usage { input: 10, cache_read: 900, cache_write: 100, ..Usage::ZERO };
        let after = allocation_counter::measure(|| {
            let mut lease = self.judge(&mut plan, lease);
            self.tell();
            self.charge(&mut lease, prompt);
            self.state.close(lease, Usage { output: 300, ..prompt }, self.now);
            self.tell();
        });
        (to_ask.count_total, after.count_total)
    }
}

/// So many conversations are remembered, and each twice in the order in which they were used.
const REMEMBERED: u64 = 20_000;

#[test]
fn no_call_asks_for_memory_once_as_many_conversations_are_known_as_ever_will_be() {
    let mut town = Town::new(100, Strategy::LeastLoaded);
    let known = 2 * REMEMBERED + 1_000;
    for conversation in 0..known {
        town.live("claude-opus-5", conversation);
    }
    for nth in 0..500 {
        let newest = known + nth;
        assert_eq!(town.live("claude-opus-5", newest), (0, 0), "a first placement, {nth}");
        assert_eq!(town.live("claude-opus-5", newest), (0, 0), "an affinity hit, {nth}");
    }
}

#[test]
fn no_decision_asks_for_memory_however_keys_are_chosen() {
    for (strategy, n_keys) in STRATEGIES.into_iter().flat_map(|strategy| [(strategy, 1), (strategy, 40)]) {
        let mut town = Town::new(n_keys, strategy);
        for conversation in 0..1_000 {
            town.live("claude-opus-5", conversation);
        }
        for conversation in 1_000..1_100 {
            let (to_place, _) = town.live("claude-opus-5", conversation);
            let (to_stay, after) = town.live("claude-opus-5", conversation);
            assert_eq!((to_place, to_stay, after), (0, 0, 0), "{strategy:?} of {n_keys}");
        }
    }
}

#[test]
fn no_decision_asks_for_memory_where_there_are_windows() {
    let mut town = Town::new(20, Strategy::LeastLoaded);
    let window = |name, used| {
        let name = WindowName::of(name).expect("it is the name of a window");
        let reset = Some(town.now + Duration::from_hours(3));
        WindowReading { used: Some(Share(used)), reset, ..WindowReading::of(name) }
    };
    let windows =
        vec![window("5h", 500_000), window("7d", 20_000), window("7d_opus", 990_000), window("7d_oi", 0)];
    town.unified = Some(Unified { windows, ..Unified::default() });
    for conversation in 0..1_000 {
        town.live("claude-opus-5", conversation);
    }
    for conversation in 1_000..1_100 {
        let (to_place, _) = town.live("claude-opus-5", conversation);
        let (to_stay, after) = town.live("claude-opus-5", conversation);
        assert_eq!((to_place, to_stay, after), (0, 0, 0));
    }
}

/// That the counter counts.
#[test]
fn what_does_not_fit_asks_for_memory() {
    let mut town = Town::new(1, Strategy::LeastLoaded);
    for _ in 0..100 {
        town.live(LONG, 1);
    }
    assert_eq!(
        town.live(LONG, 1),
        (1, 1),
        "a copy of the name of its class for the lease, one for where it was"
    );
}
