//! Any memory, as far as a relay could tell it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::any;
use proptest::sample::select;
use proptest::strategy::{Strategy, Union};
use relay_core::memory::{
    Cause, EstimateMemory, HolderMemory, HomeMemory, KeyMemory, LimitMemory, RestMemory, SpreadMemory,
    WindowMemory,
};
use relay_core::{
    Class, Conversation, Counted, Holder, KeyId, Memory, ProviderId, Reason, Share, Time, UnifiedStatus,
    WindowName,
};
use relay_ledger::Ledger;

/// When everything happens.
pub(crate) const START: Time = Time::from_epoch(Duration::from_secs(1_790_000_000));

/// An hour, in which conversations are of use.
const HOUR: u64 = 3_600_000_000_000;

pub(crate) fn key(number: u64) -> KeyId {
    // All bits are used, the highest too.
    KeyId::from_bits(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
}

/// A database that can be used.
pub(crate) fn open(path: &Path) -> Ledger {
    Ledger::open(path).expect("it can be used")
}

/// What is written in a file.
pub(crate) fn read(path: &Path) -> Memory {
    open(path).read().expect("it can be read")
}

/// Any memory that is told at that many milliseconds after the start.
pub(crate) fn memories(millis: u64) -> impl Strategy<Value = Memory> {
    let at = START + Duration::from_millis(millis);
    let holders = (0_usize..4, 0_usize..4).prop_flat_map(|(organizations, workspaces)| {
        let one = |holder| {
            let name = option::of("[a-z0-9=#' ü-]{0,12}");
            let calls = vec((classes(), any::<u32>()), 0..3);
            let parts = (name, vec(rests(), 0..4), vec(limits(), 0..6), calls, vec(windows(), 0..4));
            parts.prop_map(move |(name, rests, limits, calls, windows)| HolderMemory {
                holder,
                name,
                rests,
                limits,
                calls,
                windows,
            })
        };
        (vec(one(Holder::Organization), organizations), vec(one(Holder::Workspace), workspaces))
    });
    let parts =
        (holders, vec(estimates(at), 0..4), vec(homes(at), 0..20), vec(("[a-z_0-9]{1,20}", 0_u64..6), 0..20));
    parts.prop_flat_map(move |((organizations, workspaces), estimates, homes, owners)| {
        let among = |count: usize| option::of(0..count.max(1));
        let places = (among(organizations.len()), among(workspaces.len()));
        let keys = vec((places, any::<u64>(), vec(rests(), 0..3), vec(limits(), 0..3)), 0..6);
        keys.prop_map(move |keys| {
            let n_organizations = organizations.len();
            let keys = keys.into_iter().zip(0..).map(
                |(((organization, workspace), secret, rests, caps), number)| KeyMemory {
                    key: key(number),
                    secret,
                    organization: organization.filter(|place| *place < n_organizations),
                    workspace: workspace
                        .filter(|place| *place < workspaces.len())
                        .map(|place| place + n_organizations),
                    rests,
                    caps,
                },
            );
            let owners = owners.iter().map(|(name, owner)| (name.clone(), key(*owner)));
            tidy(Memory {
                at,
                keys: keys.collect(),
                holders: organizations.iter().chain(&workspaces).cloned().collect(),
                estimates: estimates.clone(),
                homes: homes.clone(),
                owners: owners.collect(),
            })
        })
    })
}

/// The same as a relay would tell it: everybody once, only who holds limits of somebody, in one order.
pub(crate) fn tidy(mut memory: Memory) -> Memory {
    memory.keys.sort_by_key(|known| format!("{:016x}", known.key.to_bits()));
    let (mut holders, mut places) = (Vec::<HolderMemory>::new(), BTreeMap::new());
    for known in &mut memory.keys {
        for place in [&mut known.organization, &mut known.workspace].into_iter().flatten() {
            let told = &memory.holders[*place];
            // Two of one name are one.
            let same = holders.iter().position(|known| {
                known.name.is_some() && (known.holder, &known.name) == (told.holder, &told.name)
            });
            *place = *places.entry(*place).or_insert_with(|| {
                same.unwrap_or_else(|| {
                    holders.push(told.clone());
                    holders.len() - 1
                })
            });
        }
    }
    memory.holders = holders;
    memory.estimates = last(memory.estimates, |known| known.class.as_str().to_owned());
    memory.estimates.sort_by(|one, other| one.class.cmp(&other.class));
    memory.homes = last(memory.homes, |known| known.conversation.0);
    memory.homes.sort_by_key(|known| (known.used, known.conversation.0.cast_signed()));
    memory.owners = last(memory.owners, |(name, _)| name.clone());
    memory
}

/// What of several that are of one name was told last, in the order in which those were told.
pub(crate) fn last<T, N: Ord>(all: Vec<T>, name: impl Fn(&T) -> N) -> Vec<T> {
    let last: BTreeMap<N, usize> = all.iter().enumerate().map(|(place, one)| (name(one), place)).collect();
    let all = all.into_iter().enumerate().filter(|(place, one)| last[&name(one)] == *place);
    all.map(|(_, one)| one).collect()
}

fn moments() -> impl Strategy<Value = Time> {
    (0..u64::try_from(i64::MAX).unwrap_or_default())
        .prop_map(|nanos| Time::from_epoch(Duration::from_nanos(nanos)))
}

fn classes() -> impl Strategy<Value = Class> {
    select(vec!["claude-opus-5", "claude-sonnet-4", "glm-5.3", "", "it's \"odd\"; --"]).prop_map(Class::of)
}

fn rests() -> impl Strategy<Value = RestMemory> {
    let barred = (select(vec![Reason::Unaccepted, Reason::OutOfMoney]), any::<u32>());
    let cause = Union::new(vec![
        moments().prop_map(|until| Cause::Cooling { until }).boxed(),
        barred.prop_map(|(reason, strikes)| Cause::Barred { reason, strikes }).boxed(),
    ]);
    (option::of(classes()), option::of(names()), cause, moments())
        .prop_map(|(class, window, cause, probe_at)| RestMemory { class, window, cause, probe_at })
}

fn names() -> impl Strategy<Value = WindowName> {
    select(vec!["5h", "7d", "7d_opus", "30d_never-heard-of"])
        .prop_map(|name| WindowName::of(name).expect("it is the name of a window"))
}

fn windows() -> impl Strategy<Value = WindowMemory> {
    let all = vec![UnifiedStatus::Allowed, UnifiedStatus::Warning, UnifiedStatus::Rejected];
    let told = (option::of(select(all)), option::of(any::<u32>()), moments(), any::<bool>());
    (names(), option::of(classes()), told).prop_map(|(name, class, (status, used, ends, told))| {
        WindowMemory { name, class, status, used: used.map(Share), ends, told }
    })
}

fn limits() -> impl Strategy<Value = LimitMemory> {
    let counted = select(vec![Counted::Requests, Counted::Input, Counted::Output, Counted::Tokens]);
    (classes(), counted, any::<u64>(), any::<u32>(), moments()).prop_map(
        |(class, counted, per_minute, burst, full)| LimitMemory {
            class,
            counted,
            per_minute,
            burst: Duration::from_nanos(burst.into()),
            full,
        },
    )
}

fn estimates(at: Time) -> impl Strategy<Value = EstimateMemory> {
    let spread = (vec(any::<u32>(), 0..100), any::<u64>());
    (classes(), 0..HOUR, any::<bool>(), vec(spread, 0..4)).prop_map(move |(class, age, caches, spreads)| {
        let spreads = spreads.into_iter().zip(0..).map(|((bars, sum), of)| SpreadMemory { of, bars, sum });
        EstimateMemory {
            class,
            seen: at.before(Duration::from_nanos(age)),
            caches,
            spreads: spreads.collect(),
        }
    })
}

fn homes(at: Time) -> impl Strategy<Value = HomeMemory> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
    ((0_u64..30, any::<u64>()), 0_u64..6, classes(), (numbers, any::<bool>()), 0..HOUR).prop_map(
        move |((conversation, provider), owner, class, ((cached, prompt, bytes), long), age)| HomeMemory {
            conversation: Conversation(conversation.wrapping_neg()),
            provider: ProviderId::from_bits(provider),
            key: key(owner),
            class,
            cached,
            prompt,
            bytes,
            long,
            used: at.before(Duration::from_nanos(age)),
        },
    )
}
