//! Laws of waiting: what a call is told of time is true.

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use relay_core::Exhausted;
use relay_core::plan::MOST_ATTEMPTS;

use crate::history::histories;
use crate::world::{Answer, Scene, World};

proptest! {
    #![proptest_config(crate::thorough())]

    #[test]
    fn a_wait_ends_at_the_first_moment_at_which_the_call_alone_is_granted(history in histories()) {
        for scene in World::seen(&history) {
            let Scene::Waited { until, early, then } = scene else { continue };
            prop_assert_eq!(early, Answer::Wait(until));
            prop_assert!(matches!(then, Answer::Granted(..)), "{:?} at {:?}", then, until);
        }
    }

    #[test]
    fn who_comes_back_when_told_is_granted(history in histories()) {
        for scene in World::seen(&history) {
            let Scene::Returned { until, answer } = scene else { continue };
            prop_assert!(matches!(answer, Answer::Granted(..)), "{:?} at {:?}", answer, until);
        }
    }

    #[test]
    fn no_wait_is_longer_than_allowed_and_none_is_refused_that_would_be_shorter(history in histories()) {
        for scene in World::seen(&history) {
            let Scene::Asked { at, last, met, answer, .. } = scene else { continue };
            match answer {
                Answer::Wait(until) => prop_assert!(at < until && until <= last),
                Answer::Exhausted(Exhausted::Spent { until }) if met.len() < MOST_ATTEMPTS => {
                    prop_assert!(until > last);
                }
                _ => {}
            }
        }
    }
}
