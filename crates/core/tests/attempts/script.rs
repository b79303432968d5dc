//! A small language for the attempts of one call. A fleet is its keys: `a1 a2 b1` are two keys of provider
//! `a` and one of `b`; a bare `c` is a provider without keys. Answers are statuses with their pauses in
//! seconds, what happened is who was asked, how long the call waited, and how it ended.

use std::time::Duration;

use relay_core::{
    Ask, Breakage, Class, Exhausted, Extent, Fleet, Key, KeyId, Lease, Need, Plan, Provider, ProviderId,
    Roll, State, Step, Strategy, Subject, Time, Usage, Verdict, Whose,
};

/// When every script begins.
pub(crate) const START: Time = Time::from_epoch(Duration::from_secs(1_000_000));

/// How long a call may wait in every script.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(30);

/// Under `failover`, with all alike: the first in line goes first.
pub(crate) fn fleet(keys: &str) -> Fleet {
    let mut fleet = Fleet { max_wait: MAX_WAIT, ..Fleet::default() };
    for word in keys.split_whitespace() {
        let (name, key) = word.split_at(1);
        if fleet.providers.last().is_none_or(|last| last.name != name) {
            fleet.providers.push(provider(name));
        }
        if let (false, Some(provider)) = (key.is_empty(), fleet.providers.last_mut()) {
            provider.keys.push(Key::new(key_id(word), word));
        }
    }
    fleet
}

fn provider(name: &str) -> Provider {
    Provider { strategy: Strategy::Failover, ..Provider::new(name, Vec::new()) }
}

/// The id of a key by its label.
pub(crate) fn key_id(label: &str) -> KeyId {
    let (provider, key) = label.split_at(1);
    KeyId::of(ProviderId::of(provider), key.as_bytes())
}

/// A call about a model that every provider has.
pub(crate) fn call() -> Need {
    Need {
        class: Class::of("m"),
        model: Some("m".to_owned()),
        among: "abcdefgh".chars().map(|name| ProviderId::of(&name.to_string())).collect(),
        pinned: None,
        subject: Subject::Model,
        credential: Whose::Pool,
        size: None,
        conversation: None,
        prefix: None,
    }
}

/// A state with that fleet.
pub(crate) fn state(fleet: &Fleet) -> State {
    let mut state = State::default();
    state.reconcile(fleet, START);
    state
}

/// What an answer written as a word means.
pub(crate) fn verdict(word: &str, now: Time) -> Verdict {
    let (status, pause) = word.split_once('+').map_or((word, None), |(status, pause)| (status, Some(pause)));
    let until =
        pause.map(|pause| now + Duration::from_secs(pause.parse().expect("a pause is whole seconds")));
    match (status, until) {
        ("200", _) => Verdict::Served,
        ("400", _) => Verdict::Refused,
        ("401", _) => Verdict::KeyBad(Extent::Key),
        ("402", _) => Verdict::OutOfMoney,
        ("403", _) => Verdict::KeyBad(Extent::Class),
        ("404", _) => Verdict::Unfit,
        ("429", None) => Verdict::AboutThisCall,
        ("429", Some(until)) => Verdict::Spent { until },
        ("slow", Some(until)) => Verdict::Throttled { until },
        ("529", until) => Verdict::Overloaded { until },
        ("cut", _) => Verdict::Broken(Breakage::Cut),
        ("late", _) => Verdict::Broken(Breakage::Late),
        _ => unreachable!("`{word}` is no answer"),
    }
}

/// One call, alone in the fleet, until it ends: who is asked, how it waits, how it ends.
pub(crate) fn played(fleet: &Fleet, need: Need, answers: &str) -> String {
    let (mut state, mut plan) = (state(fleet), fleet.plan(need, START));
    let mut seen = Vec::new();
    let (mut now, mut answers) = (START, answers.split_whitespace());
    loop {
        match state.ask(&mut plan, now, Roll(0)) {
            Ask::Granted(lease) => {
                seen.push(asked(fleet, &lease));
                let verdict = verdict(answers.next().expect("an answer for every attempt"), now);
                if let Some(end) = judged(&mut state, &mut plan, lease, verdict, now) {
                    seen.push(end.to_owned());
                    break;
                }
            }
            Ask::Wait { until, ticket } => {
                state.cancel(ticket);
                assert!(until > now, "it waits for what has been, after {seen:?}");
                seen.push(format!("+{}", until.since(now).as_secs_f64()));
                now = until;
            }
            Ask::Exhausted(exhausted) => {
                seen.push(ended(exhausted, now));
                break;
            }
        }
    }
    assert_eq!(answers.next(), None, "more answers than attempts after {seen:?}");
    seen.join(" ")
}

/// The label of the key that is asked, or the name of the provider if it is asked without one.
pub(crate) fn asked(fleet: &Fleet, lease: &Lease) -> String {
    let provider = fleet.provider(lease.provider()).expect("only who is configured is asked");
    match lease.key() {
        Some(key) => provider.keys.iter().find(|own| own.id == key).map(|own| own.label.clone()),
        None => Some(provider.name.clone()),
    }
    .expect("only its own keys are asked at a provider")
}

fn judged(
    state: &mut State,
    plan: &mut Plan,
    lease: Lease,
    verdict: Verdict,
    now: Time,
) -> Option<&'static str> {
    match state.judge(plan, lease, verdict, now) {
        Step::Commit(lease) => {
            state.close(lease, Usage::ZERO, START);
            Some("served")
        }
        Step::Stop => Some("stopped"),
        Step::Again => None,
    }
}

fn ended(exhausted: Exhausted, now: Time) -> String {
    match exhausted {
        Exhausted::Spent { until } => format!("spent+{}", until.since(now).as_secs_f64()),
        other => format!("{other:?}").to_lowercase(),
    }
}
