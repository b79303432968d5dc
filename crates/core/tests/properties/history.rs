//! Random histories: what clients, providers, operators and other relays may do, in any order.
//! It knows the events only; what becomes of them is the world's.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::sample::{select, subsequence};
use proptest::strategy::{Just, Strategy as Generate, Union};
use relay_core::{Breakage, Extent, Fleet, Need, Subject, Time, Usage, Verdict, Whose};

use crate::fleets::{KEYS, MODELS, PROVIDERS, class, fleets, key_id, provider_id};

/// A fleet, the fleets that replace it, and what happens.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// The first one is there at the start.
    pub(crate) fleets: Vec<Fleet>,
    /// In this order.
    pub(crate) deeds: Vec<Deed>,
    /// Where the dice begin.
    pub(crate) seed: u64,
    /// How often each reload and each fact arrives, at one moment.
    pub(crate) times: usize,
}

/// What a call asks for. A key is named by the places of its provider and its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    /// The model, by its place.
    pub(crate) model: usize,
    /// The providers that can carry it, by their places.
    pub(crate) among: Vec<usize>,
    /// The only key that will do.
    pub(crate) pinned: Option<(usize, usize)>,
    /// What a 404 says of.
    pub(crate) subject: Subject,
    /// Whose credential it goes with.
    pub(crate) credential: Whose,
    /// Does its client wait for the foretold moment, doing nothing else?
    pub(crate) temper: Temper,
}

/// How a client waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Temper {
    /// Time stands still for everybody else until the foretold moment.
    Patient,
    /// Other things happen meanwhile.
    Busy,
}

/// What an upstream answers, with its times as pauses from the moment it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    /// A verdict without a time.
    Plain(Verdict),
    /// 429: used up.
    Spent(Duration),
    /// 429: too fast.
    Throttled(Duration),
    /// 529.
    Overloaded(Duration),
}

/// One thing that happens. Numbers choose among what is there, wrapping around.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// A call arrives.
    Arrive(Wish),
    /// An upstream answers one of the attempts under way.
    Answer(usize, Reply),
    /// A client leaves: while waiting, trying or reading.
    Leave(usize),
    /// A reply that flows tells what it used so far.
    Charge(usize, Usage),
    /// A reply ends.
    Close(usize, Usage),
    /// Time goes by.
    Pass(Duration),
    /// Another fleet is configured.
    Reload(usize),
    /// An operator forgives a key.
    Pardon((usize, usize)),
    /// Another relay says that a key rests.
    Merge((usize, usize), usize, Duration),
    /// All that is known comes back from the others.
    Echo,
}

impl Wish {
    /// The same, as the core hears it.
    pub(crate) fn need(&self) -> Need {
        Need {
            class: class(self.model),
            model: None,
            among: self.among.iter().map(|&provider| provider_id(provider)).collect(),
            pinned: self.pinned.map(key_id),
            subject: self.subject,
            credential: self.credential,
            size: None,
            conversation: None,
            prefix: None,
        }
    }
}

impl Reply {
    /// The same, as the core hears it.
    pub(crate) fn verdict(self, now: Time) -> Verdict {
        match self {
            Self::Plain(verdict) => verdict,
            Self::Spent(after) => Verdict::Spent { until: now + after },
            Self::Throttled(after) => Verdict::Throttled { until: now + after },
            Self::Overloaded(after) => Verdict::Overloaded { until: Some(now + after) },
        }
    }
}

/// Any history.
pub(crate) fn histories() -> impl Generate<Value = History> {
    (vec(fleets(), 3), vec(deeds(), 1..80), any::<u64>()).prop_map(|(fleets, deeds, seed)| History {
        fleets,
        deeds,
        seed,
        times: 1,
    })
}

/// A call that any key may serve.
pub(crate) fn anyone() -> Wish {
    Wish {
        model: 0,
        among: (0..PROVIDERS.len()).collect(),
        pinned: None,
        subject: Subject::Model,
        credential: Whose::Pool,
        temper: Temper::Busy,
    }
}

/// Any call.
pub(crate) fn wishes() -> impl Generate<Value = Wish> {
    let among = subsequence((0..PROVIDERS.len()).collect::<Vec<_>>(), 0..=PROVIDERS.len());
    // Most calls may go anywhere, or few would meet at the same key.
    let everywhere = Just((0..PROVIDERS.len()).collect::<Vec<_>>());
    let among = Union::new_weighted(vec![(3, everywhere.boxed()), (1, among.boxed())]);
    let pinned = Union::new_weighted(vec![(5, Just(None).boxed()), (1, keys().prop_map(Some).boxed())]);
    let subject = select(vec![Subject::Model, Subject::Model, Subject::Property]);
    let credential = Union::new_weighted(vec![(7, Just(Whose::Pool)), (1, Just(Whose::Client))]);
    let temper = select(vec![Temper::Patient, Temper::Busy]);
    (0..MODELS.len(), among, pinned, subject, credential, temper).prop_map(
        |(model, among, pinned, subject, credential, temper)| Wish {
            model,
            among,
            pinned,
            subject,
            credential,
            temper,
        },
    )
}

/// Any answer.
pub(crate) fn replies() -> impl Generate<Value = Reply> {
    let plain = select(vec![
        Verdict::Served,
        Verdict::Served,
        Verdict::Refused,
        Verdict::Unfit,
        Verdict::AboutThisCall,
        Verdict::OutOfMoney,
        Verdict::KeyBad(Extent::Key),
        Verdict::KeyBad(Extent::Class),
        Verdict::Overloaded { until: None },
        Verdict::Broken(Breakage::Cut),
        Verdict::Broken(Breakage::Late),
    ]);
    Union::new_weighted(vec![
        (4, plain.prop_map(Reply::Plain).boxed()),
        (2, pauses().prop_map(Reply::Spent).boxed()),
        (1, pauses().prop_map(Reply::Throttled).boxed()),
        (1, pauses().prop_map(Reply::Overloaded).boxed()),
    ])
}

fn deeds() -> impl Generate<Value = Deed> {
    let which = any::<usize>;
    Union::new_weighted(vec![
        (6, wishes().prop_map(Deed::Arrive).boxed()),
        (8, (which(), replies()).prop_map(|(which, reply)| Deed::Answer(which, reply)).boxed()),
        (1, which().prop_map(Deed::Leave).boxed()),
        (1, (which(), usages()).prop_map(|(which, usage)| Deed::Charge(which, usage)).boxed()),
        (2, (which(), usages()).prop_map(|(which, usage)| Deed::Close(which, usage)).boxed()),
        (4, pauses().prop_map(Deed::Pass).boxed()),
        (1, (0_usize..3).prop_map(Deed::Reload).boxed()),
        (1, keys().prop_map(Deed::Pardon).boxed()),
        (
            1,
            (keys(), 0..MODELS.len(), pauses())
                .prop_map(|(key, model, after)| Deed::Merge(key, model, after))
                .boxed(),
        ),
        (1, Just(Deed::Echo).boxed()),
    ])
}

fn keys() -> impl Generate<Value = (usize, usize)> {
    (0..PROVIDERS.len(), 0..KEYS.len())
}

fn usages() -> impl Generate<Value = Usage> {
    (0_u64..1_000, 0_u64..1_000).prop_map(|(input, output)| Usage { input, output, ..Usage::ZERO })
}

/// Pauses about every threshold there is: none, the back-off, the re-probes, the longest unprobed.
pub(crate) fn pauses() -> impl Generate<Value = Duration> {
    select(
        [0, 1, 300, 500, 1_000, 7_000, 29_999, 30_000, 60_000, 299_000, 300_000, 3_600_000]
            .map(Duration::from_millis)
            .to_vec(),
    )
}
