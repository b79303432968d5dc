//! Laws of leases and plans: every lease ends, every plan ends, and who may be asked.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use relay_core::plan::{FIRST_BACK_OFF, MOST_ATTEMPTS};
use relay_core::{Ask, Roll, State, Step, Time, Usage, Verdict, Whose};

use crate::fleets::{fleets, key_id, provider_id};
use crate::history::{Deed, histories, replies, wishes};
use crate::world::{Answer, Scene, Turn, World, keys_of};

proptest! {
    #![proptest_config(crate::thorough())]

    #[test]
    fn in_flight_is_what_is_open_and_returns_to_zero(history in histories()) {
        let scenes = World::seen(&history);
        for scene in &scenes {
            let Scene::Stands { open, report, .. } = scene else { continue };
            for key in keys_of(report) {
                prop_assert_eq!(key.in_flight, open.get(&key.id).copied().unwrap_or(0), "{:?}", key);
            }
        }
        let Some(Scene::Stands { open, report, .. }) = scenes.last() else { return Ok(()) };
        prop_assert!(open.is_empty());
        prop_assert!(keys_of(report).all(|key| key.in_flight == 0));
        prop_assert_eq!(report.waiting, 0);
    }

    #[test]
    fn a_plan_ends_whatever_it_is_answered(
        fleet in fleets(),
        wish in wishes(),
        words in vec(replies(), 1..12),
        roll in any::<u64>(),
    ) {
        let mut state = State::default();
        state.reconcile(&fleet, Time::EPOCH);
        let mut now = Time::EPOCH;
        let mut plan = fleet.plan(wish.need(), now);
        let mut granted = 0;
        // Alone, each wait is followed by a grant: so there are at most two asks to an attempt.
        for turn in 0..=2 * MOST_ATTEMPTS {
            match state.ask(&mut plan, now, Roll(roll.rotate_left(u32::try_from(turn).unwrap()))) {
                Ask::Granted(lease) => {
                    granted += 1;
                    let verdict = words[turn % words.len()].verdict(now);
                    match state.judge(&mut plan, lease, verdict, now) {
                        Step::Again => {}
                        Step::Stop => return Ok(()),
                        Step::Commit(lease) => {
                            state.close(lease, Usage::ZERO, now);
                            return Ok(());
                        }
                    }
                }
                Ask::Wait { ticket, until } => {
                    state.cancel(ticket);
                    prop_assert!(until > now);
                    now = until;
                }
                Ask::Exhausted(_) => {
                    prop_assert!(granted <= MOST_ATTEMPTS);
                    return Ok(());
                }
            }
        }
        prop_assert!(false, "still asking after {} attempts", granted);
    }

    #[test]
    fn nobody_is_asked_again_by_a_call_unless_it_rested_between(history in histories()) {
        let mut history = history;
        // A pardon, and a reload that loses a key and finds it again, forgive what was said of it.
        history.deeds.retain(|deed| !matches!(deed, Deed::Pardon(_) | Deed::Reload(_)));
        let mut judged: BTreeMap<_, Vec<(Time, Verdict)>> = BTreeMap::new();
        for scene in World::seen(&history) {
            match scene {
                Scene::Judged { call, at, met, .. } => {
                    judged.entry((call, met.provider, met.key)).or_default().push((at, met.verdict));
                }
                Scene::Asked { call, at, answer: Answer::Granted(provider, key), .. } => {
                    let before = judged.get(&(call, provider, key)).map_or(&[][..], Vec::as_slice);
                    let Some((last, verdict)) = before.last() else { continue };
                    match verdict {
                        Verdict::Spent { .. } | Verdict::Throttled { .. } => prop_assert!(at > *last),
                        Verdict::Overloaded { until } => {
                            let overloads = before.iter().filter(|(_, met)| matches!(met, Verdict::Overloaded { .. }));
                            let pause = FIRST_BACK_OFF * 2_u32.pow(u32::try_from(overloads.count()).unwrap() - 1);
                            prop_assert!(at >= *last + pause, "{:?} is too soon after {:?}", at, last);
                            prop_assert!(until.is_none_or(|until| at >= until), "{:?} is before {:?}", at, until);
                        }
                        other => prop_assert!(false, "asked again after {:?}", other),
                    }
                }
                _ => {}
            }
        }
    }

    #[test]
    fn only_keys_of_allowed_providers_serve_and_only_the_pinned_one_when_one_is(history in histories()) {
        for scene in World::seen(&history) {
            let Scene::Asked { wish, before, answer: Answer::Granted(provider, key), .. } = scene else { continue };
            prop_assert!(wish.among.iter().any(|&allowed| provider_id(allowed) == provider));
            let configured = before.providers.iter().find(|report| report.id == provider);
            prop_assert!(configured.is_some(), "{:?} is not configured", provider);
            match wish.credential {
                Whose::Client => prop_assert_eq!(key, None),
                Whose::Pool => {
                    prop_assert!(configured.is_some_and(|it| it.keys.iter().any(|own| Some(own.id) == key)));
                    prop_assert!(wish.pinned.is_none_or(|pinned| Some(key_id(pinned)) == key));
                }
            }
        }
    }

    #[test]
    fn what_is_said_of_a_clients_own_credential_changes_nothing_about_ours(history in histories()) {
        for scene in World::seen(&history) {
            let Scene::Judged { met, before, after, turn, .. } = scene else { continue };
            if met.key.is_none() {
                prop_assert_eq!(before, after);
                let held_against_a_key = matches!(
                    met.verdict,
                    Verdict::KeyBad(_) | Verdict::OutOfMoney | Verdict::Spent { .. } | Verdict::Throttled { .. }
                );
                prop_assert!(!held_against_a_key, "{:?} was for the client to hear", met.verdict);
                prop_assert_eq!(turn == Turn::Commit, met.verdict == Verdict::Served);
            }
        }
    }

    #[test]
    fn the_same_history_and_dice_give_the_same_outcomes(history in histories()) {
        prop_assert_eq!(World::seen(&history), World::seen(&history));
    }
}
