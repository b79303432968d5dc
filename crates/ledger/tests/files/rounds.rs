//! What is written is read again.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use proptest::prelude::ProptestConfig;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use relay_core::memory::{EstimateMemory, HolderMemory, HomeMemory, KeyMemory, Mark};
use relay_core::{
    Ask, Caps, Class, Conversation, Fleet, Gauge, Holder, Key, KeyId, Memory, Need, Plan, Provider,
    ProviderId, Quota, Roll, Size, State, Stay, Step, Subject, Time, Usage, Verdict, Whose,
};
use relay_ledger::Ledger;

use crate::memories::{START, key, memories, open, read, tidy};

/// How the laws are held: every case opens a file.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { failure_persistence: None, cases: (usual.cases / 8).max(1), ..usual }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_was_written_is_read_to_the_last_bit(memory in memories(0)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let mut ledger = open(&path);
        ledger.write(&memory).unwrap();
        prop_assert_eq!(ledger.read().unwrap(), at(&memory));
        drop(ledger);
        prop_assert_eq!(read(&path), at(&memory));
    }

    #[test]
    fn what_is_written_later_counts_and_what_it_does_not_speak_of_stays(first in memories(0), second in memories(1_000)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let mut ledger = open(&path);
        ledger.write(&first).unwrap();
        ledger.write(&second).unwrap();
        let read = ledger.read().unwrap();
        for known in &second.keys {
            prop_assert_eq!(key_of(&read, known.key), key_of(&second, known.key));
        }
        // Of models, conversations and files only what is new is told.
        let merged = tidy(Memory {
            estimates: first.estimates.iter().chain(&second.estimates).cloned().collect(),
            homes: first.homes.iter().chain(&second.homes).cloned().collect(),
            owners: first.owners.iter().chain(&second.owners).cloned().collect(),
            ..second.clone()
        });
        let hour_ago = second.at.before(Duration::from_hours(1));
        let homes: Vec<_> = merged.homes.into_iter().filter(|home| home.used >= hour_ago).collect();
        prop_assert_eq!(read.homes, homes);
        prop_assert_eq!(read.owners, merged.owners);
        let classes = |all: &[EstimateMemory]| all.iter().map(|known| (known.class.clone(), known.seen)).collect::<Vec<_>>();
        prop_assert_eq!(classes(&read.estimates), classes(&merged.estimates));
    }

    #[test]
    fn writing_the_same_again_writes_nothing(memory in memories(0)) {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = open(&folder.path().join("state.db"));
        ledger.write(&memory).unwrap();
        let same = Memory { at: memory.at + Duration::from_secs(1), keys: memory.keys, holders: memory.holders, ..Memory::default() };
        prop_assert_eq!(ledger.write(&same).unwrap(), false);
    }

    /// The whole way: a relay learns, tells, writes; another one opens, reads, recalls, and decides the same.
    #[test]
    fn whoever_recalls_what_was_written_decides_as_if_nothing_had_happened(calls in played(), down in 0_u64..100_000) {
        let (mut old, now) = play(&calls);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        open(&path).write(&old.remember(Mark::default(), now).0).unwrap();
        let now = now + Duration::from_millis(down);
        let mut new = State::default();
        new.reconcile(&fleet(), now);
        new.recall(read(&path), now, Roll(1));
        for key in fleet().providers[0].keys.iter().map(|key| key.id) {
            for model in MODELS {
                for bytes in [10, 30_000, 500_000] {
                    let need = need(model, bytes, key, 99);
                    // A level is remembered as a moment in whole nanoseconds.
                    let (before, after) = (told(&mut old, need.clone(), now), told(&mut new, need, now));
                    let late = before.zip(after).map_or(0, |(before, after)| after.abs_diff(before));
                    prop_assert!(before.is_some() == after.is_some() && late <= 4, "{:?} was {:?}", after, before);
                }
            }
        }
        let keys = |state: &State| state.report(now).providers[0].keys.iter().map(|key| {
            (key.held.clone(), key.organization.clone(), key.workspace.clone(), key.limits.len())
        }).collect::<Vec<_>>();
        prop_assert_eq!(keys(&old), keys(&new));
        for conversation in 0..4 {
            prop_assert_eq!(stay(&mut old, conversation, now), stay(&mut new, conversation, now));
        }
    }
}

/// Nothing is told to have been written at another time than it was, if there was anything to write.
fn at(memory: &Memory) -> Memory {
    if *memory == (Memory { at: memory.at, ..Memory::default() }) {
        Memory::default()
    } else {
        memory.clone()
    }
}

/// What is known of a key, with those who hold its limits in the place of their places.
fn key_of(memory: &Memory, key: KeyId) -> Option<(KeyMemory, Option<HolderMemory>, Option<HolderMemory>)> {
    let known = memory.keys.iter().find(|known| known.key == key)?.clone();
    let holder = |place: Option<usize>| Some(memory.holders[place?].clone());
    let (organization, workspace) = (holder(known.organization), holder(known.workspace));
    Some((KeyMemory { organization: None, workspace: None, ..known }, organization, workspace))
}

const MODELS: [&str; 2] = ["x", "y"];

/// A call that was made: with which key, of which model and conversation, with how much input, and what came of it.
type Played = (usize, usize, u64, u64, Came);

#[derive(Clone, Copy, Debug)]
enum Came {
    Served(u64),
    Told(u64, u64),
    Spent(u64),
    Refused,
}

fn played() -> impl Strategy<Value = Vec<Played>> {
    let came = (0_u8..6, 1_u64..1_000, 0_u64..1_000).prop_map(|(which, limit, left)| match which {
        0 | 1 => Came::Served(left),
        2 | 3 => Came::Told(limit * 100, (left * 100).min(limit * 100)),
        4 => Came::Spent(limit),
        _ => Came::Refused,
    });
    proptest::collection::vec(
        (0_usize..4, 0..MODELS.len(), 0_u64..4, any::<u16>().prop_map(u64::from), came),
        1..40,
    )
}

fn fleet() -> Fleet {
    let provider = ProviderId::of("p");
    let keys = ["a", "b", "c", "d"].map(|label| {
        let caps = Caps { input: Some(200_000).filter(|_| label == "d"), ..Caps::default() };
        Key { caps, ..Key::new(KeyId::of(provider, label.as_bytes()), label) }
    });
    let provider = Provider::new("p", keys.to_vec());
    Fleet { providers: vec![provider], max_wait: Duration::from_mins(10), ..Fleet::default() }
}

fn need(model: &str, bytes: u64, key: KeyId, conversation: u64) -> Need {
    Need {
        class: Class::of(model),
        model: None,
        among: vec![ProviderId::of("p")],
        pinned: Some(key),
        subject: Subject::Model,
        credential: Whose::Pool,
        size: Some(Size { bytes, max_tokens: Some(2_000), ..Size::default() }),
        conversation: Some(Conversation(conversation)),
        prefix: None,
    }
}

/// A relay to which all that has happened.
fn play(calls: &[Played]) -> (State, Time) {
    let (mut state, mut now) = (State::default(), START);
    state.reconcile(&fleet(), now);
    for (key, model, conversation, bytes, came) in calls {
        now = now + Duration::from_millis(700);
        let id = fleet().providers[0].keys[*key].id;
        let mut plan = fleet().plan(need(MODELS[*model], *bytes, id, *conversation), now);
        let mut lease = match ask(&mut state, &mut plan, now) {
            Ask::Granted(lease) => lease,
            Ask::Wait { ticket, .. } => {
                state.cancel(ticket);
                continue;
            }
            Ask::Exhausted(_) => continue,
        };
        let quota = Quota {
            // Two keys are of one organization, and have a workspace each.
            organization: Some(format!("org_{}", key / 2)),
            workspace: Some(format!("wrkspc_{key}")),
            ..Quota::default()
        };
        let told = |limit: u64, left: u64| Gauge { limit: Some(limit), remaining: Some(left), reset: None };
        let (quota, verdict) = match came {
            Came::Served(_) => (quota, Verdict::Served),
            Came::Told(limit, left) => (
                Quota {
                    input: told(*limit, *left),
                    tokens: told(*limit / 2, *left / 2),
                    requests: told(100, *left / 1_000),
                    ..quota
                },
                Verdict::Served,
            ),
            Came::Spent(seconds) => (quota, Verdict::Spent { until: now + Duration::from_secs(*seconds) }),
            Came::Refused => (Quota::default(), Verdict::KeyBad(relay_core::Extent::Class)),
        };
        state.learn(&mut lease, &quota, now);
        if let Step::Commit(lease) = state.judge(&mut plan, lease, verdict, now) {
            let output = if let Came::Served(output) = came { *output } else { 10 };
            state.close(
                lease,
                Usage { input: bytes / 5, cache_write: bytes / 10, output, ..Usage::ZERO },
                now,
            );
        }
    }
    (state, now)
}

fn ask(state: &mut State, plan: &mut Plan, now: Time) -> Ask {
    state.ask(plan, now, Roll(7))
}

/// When it may go with that key, in nanoseconds from now.
fn told(state: &mut State, need: Need, now: Time) -> Option<u128> {
    let mut plan = fleet().plan(need, now);
    match ask(state, &mut plan, now) {
        Ask::Granted(lease) => {
            let broken = Verdict::Broken(relay_core::Breakage::Connect);
            assert!(matches!(state.judge(&mut plan, lease, broken, now), Step::Again));
            Some(0)
        }
        Ask::Wait { ticket, until } => {
            state.cancel(ticket);
            Some(until.since(now).as_nanos())
        }
        Ask::Exhausted(relay_core::Exhausted::Spent { until }) => Some(until.since(now).as_nanos()),
        Ask::Exhausted(_) => None,
    }
}

/// What becomes of the cache of a conversation, and with which key it goes on where it is kept. Who else takes it is a
/// matter of whose turn it is, which is not remembered.
fn stay(state: &mut State, conversation: u64, now: Time) -> Option<(Option<KeyId>, Stay)> {
    let need = Need { pinned: None, ..need(MODELS[0], 100_000, KeyId::from_bits(0), conversation) };
    let mut plan = fleet().plan(need, now);
    match ask(state, &mut plan, now) {
        Ask::Granted(lease) => {
            let stay = lease.stay();
            let kept = lease.key().filter(|_| matches!(stay, Stay::Kept { .. }));
            let broken = Verdict::Broken(relay_core::Breakage::Connect);
            assert!(matches!(state.judge(&mut plan, lease, broken, now), Step::Again));
            Some((kept, stay))
        }
        Ask::Wait { ticket, .. } => {
            state.cancel(ticket);
            None
        }
        Ask::Exhausted(_) => None,
    }
}

#[test]
fn a_new_file_and_its_folders_are_for_the_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/state.db");
    let mut ledger = open(&path);
    ledger.write(&Memory { owners: vec![("file_1".to_owned(), key(1))], ..Memory::default() }).unwrap();
    let mode = |path: &str| std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("a"), mode("a/b"), mode("a/b/state.db")), (0o700, 0o700, 0o600));
    assert_eq!(mode("a/b/state.db-wal"), 0o600, "what is beside it too");
    assert_eq!(ledger.path(), path);
    drop(ledger);
    let names: Vec<_> = std::fs::read_dir(folder.path().join("a/b"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["state.db"], "nothing is left beside it");
}

#[test]
fn what_nobody_has_seen_for_long_is_forgotten_when_a_relay_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let home = |conversation, used| HomeMemory {
        conversation: Conversation(conversation),
        provider: ProviderId::of("p"),
        key: key(1),
        class: Class::of("m"),
        cached: 1,
        prompt: 1,
        bytes: 1,
        long: false,
        used,
    };
    let known = |number, organization| KeyMemory {
        key: key(number),
        secret: 1,
        organization,
        workspace: None,
        rests: Vec::new(),
        caps: Vec::new(),
    };
    let named = |name: &str| HolderMemory {
        name: Some(name.to_owned()),
        ..HolderMemory::nothing(Holder::Organization)
    };
    let estimate = |class: &str, seen| EstimateMemory {
        class: Class::of(class),
        seen,
        caches: true,
        spreads: Vec::new(),
    };
    let days = |days: u64| START + Duration::from_hours(24 * days);
    let first = Memory {
        at: START,
        holders: vec![named("org_1"), named("org_2")],
        keys: vec![known(1, Some(0)), known(2, Some(1))],
        estimates: vec![estimate("old", START), estimate("new", START)],
        homes: vec![home(1, START)],
        ..Memory::default()
    };
    open(&path).write(&first).unwrap();
    let second = Memory {
        at: days(20),
        holders: vec![named("org_1")],
        keys: vec![known(1, Some(0))],
        estimates: vec![estimate("new", days(20))],
        homes: vec![home(2, days(20))],
        ..Memory::default()
    };
    open(&path).write(&second).unwrap();
    let kept = read(&path);
    assert_eq!((kept.keys.len(), kept.estimates.len()), (2, 2), "for a while somebody may come back");
    assert_eq!(kept.homes, second.homes, "no cache lives for so long");
    open(&path).write(&Memory { at: days(40), ..second.clone() }).unwrap();
    let kept = read(&path);
    assert_eq!((kept.keys, kept.holders), (second.keys.clone(), second.holders.clone()));
    assert_eq!(kept.estimates.iter().map(|known| known.class.as_str()).collect::<Vec<_>>(), ["new"]);
    // A clock that was put back: what is of the future is not of use for years.
    let past = Memory { at: START, keys: vec![known(3, None)], holders: Vec::new(), ..Memory::default() };
    open(&path).write(&past).unwrap();
    assert_eq!(read(&path), past);
}

#[test]
fn of_what_keys_own_as_much_is_kept_as_a_relay_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(&folder.path().join("state.db"));
    let owners = |names: std::ops::Range<u64>| Memory {
        owners: names.map(|name| (format!("file_{name}"), key(1))).collect(),
        ..Memory::default()
    };
    ledger.write(&owners(0..10_000)).unwrap();
    ledger.write(&owners(10_000..10_005)).unwrap();
    let read = ledger.read().unwrap().owners;
    assert_eq!((read.len(), read[0].0.as_str()), (10_000, "file_5"));
}

#[test]
fn an_open_file_belongs_to_one_relay_and_is_free_again_when_that_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let first = open(&path);
    let error = Ledger::open(&path).unwrap_err();
    assert!(matches!(error, relay_ledger::Error::Taken(_)), "{error:?}");
    assert_eq!(error.to_string(), format!("another relay uses `{}`", path.display()));
    drop(first);
    let mut second = open(&path);
    assert!(
        second.write(&Memory { owners: vec![("file_1".to_owned(), key(1))], ..Memory::default() }).unwrap()
    );
    assert!(Ledger::open(&path).is_err());
}
