//! Laws of keys: what is held against one, for whom, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use relay_core::{Class, KeyId, LONGEST_UNPROBED, Reason, Report, Unready, Verdict, Whose};

use crate::fleets::{KEYS, PROVIDERS, class, key_id, provider_id};
use crate::history::{Wish, anyone, histories};
use crate::world::{Answer, Scene, World, keys_of, places, touching};

/// Why something is held against a key: it may be held against it and, for another reason, against its organization.
type Cause = Option<&'static str>;

fn cause(unready: Unready) -> Cause {
    match unready {
        Unready::Cooling(_) | Unready::UsedUp(..) => None,
        Unready::Barred(Reason::OutOfMoney, _) => Some("money"),
        Unready::Barred(Reason::Unaccepted, _) => Some("key"),
    }
}

proptest! {
    #![proptest_config(crate::thorough())]

    #[test]
    fn a_barred_key_is_asked_by_one_call_at_a_time_and_not_before_its_moment(history in histories()) {
        // Who asks a key in spite of what, until that call ends or what was held is forgotten.
        let mut probes: BTreeMap<(KeyId, Option<Class>, Cause), usize> = BTreeMap::new();
        for scene in World::seen(&history) {
            match scene {
                Scene::Asked { call, at, wish, before, answer: Answer::Granted(_, Some(key)), .. } => {
                    for (class, unready) in touching(&before, key, &class(wish.model)) {
                        if let Unready::Barred(_, probe_at) = unready {
                            prop_assert!(at >= probe_at, "asked before {:?}", probe_at);
                        }
                        let other = probes.insert((key, class, cause(unready)), call);
                        prop_assert_eq!(other, None, "two calls ask {:?} at once", key);
                    }
                }
                Scene::Judged { call, .. } | Scene::Closed { call } => probes.retain(|_, prober| *prober != call),
                Scene::Stands { report, .. } => probes.retain(|(key, class, held_for), _| {
                    let held = keys_of(&report).filter(|report| report.id == *key).flat_map(|key| &key.held);
                    held.into_iter().any(|(of, what)| of == class && cause(*what) == *held_for)
                }),
                _ => {}
            }
        }
    }

    #[test]
    fn after_a_quiet_while_every_key_is_asked_again_whatever_it_said(history in histories()) {
        let mut world = World::after(&history);
        world.end();
        world.now = world.now + LONGEST_UNPROBED;
        let report = world.state.report(world.now);
        for (key, model) in places(&report).into_iter().flat_map(|key| [0, 1, 2, 0].map(|model| (key, model))) {
            let answer = world.try_alone(&Wish { pinned: Some(key), model, ..anyone() });
            prop_assert_eq!(answer, Answer::Granted(provider_id(key.0), Some(key_id(key))));
        }
    }

    #[test]
    fn a_new_call_is_not_refused_while_a_key_that_nothing_is_held_against_may_serve_it(history in histories()) {
        let mut known = BTreeSet::new();
        for scene in World::seen(&history) {
            let Scene::Asked { call, wish, before, answer, .. } = scene else { continue };
            let refused = known.insert(call) && !matches!(answer, Answer::Granted(..));
            if !refused || wish.credential == Whose::Client {
                continue;
            }
            for (provider, key) in places(&before) {
                let allowed = wish.among.contains(&provider) && wish.pinned.is_none_or(|pin| pin == (provider, key));
                let held = touching(&before, key_id((provider, key)), &class(wish.model));
                prop_assert!(!allowed || !held.is_empty(), "{}{} was free", PROVIDERS[provider], KEYS[key]);
            }
        }
    }

    #[test]
    fn only_a_success_ends_a_rest_and_only_one_that_was_there_when_its_call_was_granted(history in histories()) {
        let mut held = BTreeMap::new();
        for scene in World::seen(&history) {
            match scene {
                Scene::Asked { call, wish, before, answer: Answer::Granted(_, Some(key)), .. } => {
                    held.insert(call, touching(&before, key, &class(wish.model)));
                }
                Scene::Judged { call, met, before, after, .. } => {
                    let Some(key) = met.key else { continue };
                    let [before, after] = [before, after].map(|report| all_held(&report, key));
                    for gone in before.iter().filter(|rest| !after.contains(rest)) {
                        // No other verdict ends a rest, but it may put a later one of its kind in its place.
                        let lawful = match met.verdict {
                            Verdict::Served => held[&call].contains(gone),
                            _ => after.iter().any(|rest| rest.0 == gone.0 && discriminant(&rest.1) == discriminant(&gone.1)),
                        };
                        prop_assert!(lawful, "{:?} after {:?}", gone, met.verdict);
                    }
                }
                _ => {}
            }
        }
    }
}

fn all_held(report: &Report, key: KeyId) -> Vec<(Option<Class>, Unready)> {
    keys_of(report).filter(|own| own.id == key).flat_map(|own| own.held.clone()).collect()
}
