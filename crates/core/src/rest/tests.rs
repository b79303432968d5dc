//! What is held against one, and for how long.

use super::*;

const T: Time = Time::from_epoch(Duration::from_secs(1_000));

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn class() -> Class {
    Class::of("claude-opus-5")
}

fn ready(rests: &Rests, class: &Class, now: Time) -> Readiness {
    rests.readiness(&Rests::default(), class, now)
}

/// Rests until a moment at which it is ready; one call may go at `next`.
fn cooling(until: Time, next: Time) -> Readiness {
    Readiness::Resting { ready: Some(until), next: Some(next) }
}

/// Barred; the next probe may go then.
fn barred(next: Option<Time>) -> Readiness {
    Readiness::Resting { ready: None, next }
}

#[test]
fn of_two_who_turn_out_to_be_one_the_stricter_rest_counts_and_no_probe_of_the_other() {
    for (ours, theirs, expect) in [(None, 10, 10), (Some(5), 10, 10), (Some(10), 5, 10), (Some(10), 10, 10)] {
        let (mut one, mut other) = (Rests::default(), Rests::default());
        if let Some(ours) = ours {
            one.cool(&class(), T + seconds(ours), T);
        }
        other.cool(&class(), T + seconds(theirs), T);
        // One call asks the other already.
        assert_ne!(other.probe(&class()), Probe::No);
        one.absorb(&other);
        let later = T + seconds(expect);
        let ready = one.readiness(&Rests::default(), &class(), T);
        assert!(
            matches!(ready, Readiness::Resting { ready: Some(until), .. } if until == later),
            "{ready:?}"
        );
        let at_the_end = one.readiness(&Rests::default(), &class(), later);
        assert_ne!(at_the_end, Readiness::Resting { ready: None, next: None });
        assert!(one.rests.values().all(|rest| rest.probe.is_none()), "nobody asks for both");
    }
}

#[test]
fn of_what_is_remembered_and_what_is_known_the_stricter_counts() {
    for (known, remembered, expect) in [(None, 10, 10), (Some(5), 10, 10), (Some(10), 5, 10)] {
        let (mut rests, mut before) = (Rests::default(), Rests::default());
        if let Some(known) = known {
            rests.cool(&class(), T + seconds(known), T);
        }
        before.cool(&class(), T + seconds(remembered), T);
        for memory in before.remember(T) {
            rests.recall(&memory, T);
        }
        let until = rests.held(T).map(|(_, held)| held).collect::<Vec<_>>();
        assert_eq!(until, [Unready::Cooling(T + seconds(expect))], "{known:?} {remembered}");
    }
}

#[test]
fn a_rest_for_a_window_is_of_that_window_and_has_an_end() {
    let (five, week) = (WindowName::of("5h").unwrap(), WindowName::of("7d").unwrap());
    let about = |name| About::of(name, None).unwrap();
    let mut rests = Rests::default();
    rests.use_up(five, &about(five), T + seconds(60), T);
    assert!(rests.has_used_up(five, &about(five), T));
    assert!(!rests.has_used_up(week, &about(week), T), "it is another window");
    assert!(!rests.has_used_up(five, &about(five), T + seconds(60)), "it has ended");
}

#[test]
fn a_cooling_key_is_ready_at_its_moment_and_only_its_class_rests() {
    let mut rests = Rests::default();
    rests.cool(&class(), T + seconds(10), T);
    assert_eq!(ready(&rests, &class(), T), cooling(T + seconds(10), T + seconds(10)));
    assert_eq!(ready(&rests, &Class::of("claude-haiku-5-5"), T), Readiness::Ready);
    assert_eq!(ready(&rests, &class(), T + seconds(10)), Readiness::Ready);
}

#[test]
fn a_cooldown_is_extended_and_never_shortened_by_a_refusal() {
    let mut rests = Rests::default();
    rests.cool(&class(), T + seconds(60), T);
    assert_eq!(rests.cool(&class(), T + seconds(20), T + seconds(1)), T + seconds(60));
    assert_eq!(rests.cool(&class(), T + seconds(90), T + seconds(2)), T + seconds(90));
}

#[test]
fn a_long_cooldown_is_probed_by_one_call_at_a_time() {
    let mut rests = Rests::default();
    let until = T + seconds(124_633);
    rests.cool(&class(), until, T);
    let probe_at = T + LONGEST_UNPROBED;
    assert_eq!(ready(&rests, &class(), T), cooling(until, probe_at));
    assert_eq!(ready(&rests, &class(), probe_at), Readiness::Probe);
    let probe = rests.probe(&class());
    assert_eq!(probe, Probe::Yes(1));
    assert_eq!(ready(&rests, &class(), probe_at), cooling(until, until), "nobody else before its end");
    rests.give_back(probe);
    assert_eq!(ready(&rests, &class(), probe_at), Readiness::Probe, "given back");
    let probe = rests.probe(&class());
    assert!(rests.prove(&class(), probe_at, probe));
    assert_eq!(ready(&rests, &class(), probe_at), Readiness::Ready);
}

#[test]
fn a_barred_key_is_probed_less_and_less_often() {
    let mut rests = Rests::default();
    let first = rests.bar(&class(), Reason::Unaccepted, Extent::Key, T);
    assert_eq!(first, T + FIRST_REPROBE);
    assert_eq!(rests.bar(&class(), Reason::Unaccepted, Extent::Key, T + seconds(1)), first, "one strike");
    assert_eq!(ready(&rests, &Class::of("other"), T), barred(Some(first)));
    let second = rests.bar(&class(), Reason::Unaccepted, Extent::Key, first);
    assert_eq!(second, first + FIRST_REPROBE * 2);
    let mut at = second;
    for _ in 0..20 {
        let next = rests.bar(&class(), Reason::Unaccepted, Extent::Key, at);
        assert!(next.since(at) <= LONGEST_UNPROBED);
        at = next;
    }
    assert_eq!(ready(&rests, &class(), at), Readiness::Probe);
    assert!(rests.clear());
    assert_eq!(ready(&rests, &class(), T), Readiness::Ready);
    assert!(!rests.clear(), "nothing was held against it");
}

#[test]
fn a_class_that_is_refused_bars_only_that_class() {
    let mut rests = Rests::default();
    rests.bar(&class(), Reason::Unaccepted, Extent::Class, T);
    assert_eq!(ready(&rests, &class(), T), barred(Some(T + FIRST_REPROBE)));
    assert_eq!(ready(&rests, &Class::of("other"), T), Readiness::Ready);
    assert_eq!(rests.held(T).count(), 1);
}

#[test]
fn a_class_that_is_refused_stays_so_when_it_is_used_up_as_well() {
    let mut rests = Rests::default();
    let probe_at = rests.bar(&class(), Reason::Unaccepted, Extent::Class, T);
    rests.cool(&class(), T + seconds(1), T);
    assert_eq!(ready(&rests, &class(), T + seconds(2)), barred(Some(probe_at)));
    rests.cool(&class(), T + seconds(100), T);
    rests.bar(&class(), Reason::Unaccepted, Extent::Class, T + seconds(2));
    assert_eq!(ready(&rests, &class(), probe_at), cooling(T + seconds(100), T + seconds(100)));
    assert_eq!(ready(&rests, &class(), T + seconds(100)), Readiness::Probe);
}

#[test]
fn a_probe_that_ends_late_does_not_give_back_a_later_one() {
    let mut rests = Rests::default();
    let first = rests.bar(&class(), Reason::Unaccepted, Extent::Key, T);
    let slow = rests.probe(&class());
    assert!(rests.clear(), "an operator forgives it meanwhile");
    let second = rests.bar(&class(), Reason::Unaccepted, Extent::Key, first);
    let probe = rests.probe(&class());
    rests.give_back(slow);
    assert_eq!(ready(&rests, &class(), second), barred(None), "still being probed");
    rests.give_back(probe);
    assert_eq!(ready(&rests, &class(), second), Readiness::Probe);
}

#[test]
fn a_call_proves_nothing_against_what_was_met_after_it_was_granted() {
    let mut rests = Rests::default();
    let older = rests.probe(&class());
    rests.cool(&class(), T + seconds(60), T);
    assert!(!rests.prove(&class(), T, older));
    assert_eq!(ready(&rests, &class(), T), cooling(T + seconds(60), T + seconds(60)));
    assert!(rests.prove(&class(), T + seconds(61), Probe::No), "a younger one does");
    assert_eq!(rests.held(T).count(), 0);
}

#[test]
fn two_who_rest_are_ready_when_both_are() {
    let (mut key, mut account) = (Rests::default(), Rests::default());
    let probe_at = key.bar(&class(), Reason::Unaccepted, Extent::Key, T);
    account.cool(&class(), T + seconds(100), T);
    assert_eq!(key.readiness(&account, &class(), T), barred(Some(T + seconds(100))));
    assert_eq!(key.readiness(&account, &class(), T + seconds(100)), Readiness::Probe);
    assert!(probe_at < T + seconds(100));
    key.clear();
    assert_eq!(key.readiness(&account, &class(), T), cooling(T + seconds(100), T + seconds(100)));
}

#[test]
fn of_two_who_turn_out_to_be_one_the_longer_rest_counts() {
    let (mut one, mut other) = (Rests::default(), Rests::default());
    one.cool(&class(), T + seconds(10), T);
    other.cool(&class(), T + seconds(20), T);
    other.cool(&Class::of("other"), T + seconds(30), T);
    one.absorb(&other);
    assert_eq!(ready(&one, &class(), T), cooling(T + seconds(20), T + seconds(20)));
    assert_eq!(ready(&one, &Class::of("other"), T), cooling(T + seconds(30), T + seconds(30)));
    other.absorb(&one);
    assert_eq!(ready(&other, &class(), T), cooling(T + seconds(20), T + seconds(20)));
}
