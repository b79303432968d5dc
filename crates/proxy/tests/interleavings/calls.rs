//! Scenarios. Moments coincide on purpose: what comes at the same moment comes in every order.

use std::sync::Arc;

use crate::order::{Pace, many};
use crate::stage::{Answer, Rates, Script, Stage};

/// A call like any other.
const CALL: Script = Script { at: 0, output: 100, leaves: None, answer: Answer::Served(100), takes: 500 };

/// One request every six seconds, and more output than anybody wants.
const ONE_BY_ONE: Rates = (10, 60_000);

/// More requests than anybody makes, and a hundred tokens a second, six hundred at once.
const BY_OUTPUT: Rates = (6_000, 6_000);

#[test]
fn a_client_who_leaves_when_he_is_called_passes_the_call_on() {
    // The first goes, the second leaves in the very moment in which he is called, and the third goes then.
    many(|pace| {
        let second = Script { at: 500, leaves: Some(6_000), ..CALL };
        let third = Script { at: 1_000, ..CALL };
        Stage::play(pace, (&["a"], ONE_BY_ONE), &[CALL, second, third], |_| async {});
    });
}

#[test]
fn a_lease_that_ends_elsewhere_lets_the_next_one_go() {
    // The first holds all there is and takes half of it; the second waits for more than is left then, so his moment
    // comes sooner than he was told.
    many(|pace| {
        let first = Script { output: 600, answer: Answer::Served(300), ..CALL };
        let second = Script { at: 500, output: 400, answer: Answer::Served(50), ..CALL };
        Stage::play(pace, (&["a"], BY_OUTPUT), &[first, second], |_| async {});
    });
}

#[test]
fn whoever_comes_when_the_last_one_is_called_is_not_forgotten() {
    // The second is called when the third comes: whoever looked for the second may have found nobody else.
    many(|pace| {
        let second = Script { at: 500, ..CALL };
        let third = Script { at: 6_000, ..CALL };
        let went = Stage::play(pace, (&["a"], ONE_BY_ONE), &[CALL, second, third], |_| async {});
        if pace == Pace::Still {
            assert_eq!(
                went,
                [(0, 0), (500, 6_000), (6_000, 12_000)],
                "what was promised to the second is his"
            );
        }
    });
}

#[test]
fn many_calls_on_two_keys_end_as_they_should() {
    many(|pace| {
        let scripts = [
            CALL,
            Script { answer: Answer::Unreachable, takes: 1_000, ..CALL },
            Script { at: 500, leaves: Some(6_000), ..CALL },
            Script { at: 500, answer: Answer::Served(10), takes: 5_500, ..CALL },
            Script { at: 1_000, leaves: Some(1_000), ..CALL },
            Script { at: 1_000, answer: Answer::Spent(2_000), ..CALL },
            Script { at: 6_000, ..CALL },
        ];
        Stage::play(pace, (&["a", "b"], ONE_BY_ONE), &scripts, |_| async {});
    });
}

#[test]
fn what_is_promised_ends_with_its_lease_whoever_leaves() {
    many(|pace| {
        let scripts = [
            Script { output: 600, answer: Answer::Served(100), leaves: Some(1_000), ..CALL },
            Script { at: 500, output: 500, answer: Answer::Served(500), ..CALL },
            Script { at: 500, output: 300, leaves: Some(1_000), ..CALL },
            Script { at: 1_000, output: 200, answer: Answer::Unreachable, ..CALL },
            Script { at: 1_000, output: 600, answer: Answer::Served(0), ..CALL },
            Script { at: 1_500, output: 100, leaves: Some(3_000), takes: 1_500, ..CALL },
        ];
        Stage::play(pace, (&["a"], BY_OUTPUT), &scripts, |_| async {});
    });
}

#[test]
fn keys_come_and_go_while_calls_wait_for_them() {
    many(|pace| {
        let scripts = [
            CALL,
            CALL,
            Script { at: 500, takes: 1_000, ..CALL },
            Script { at: 500, ..CALL },
            Script { at: 1_000, leaves: Some(6_000), ..CALL },
        ];
        Stage::play(pace, (&["a", "b"], ONE_BY_ONE), &scripts, |stage: Arc<Stage>| async move {
            // None comes back before the end: what has gone is forgotten with its last lease.
            for (millis, keys) in [(500, &["b"][..]), (1_000, &["b", "c"]), (6_000, &["d", "c"])] {
                stage.reached(millis).await;
                stage.reload(keys);
            }
        });
    });
}

#[test]
fn organizations_turn_out_to_be_one_while_calls_wait_for_both() {
    many(|pace| {
        let named = |name| Script { answer: Answer::Named(100, name), ..CALL };
        let scripts = [
            named("one"),
            Script { takes: 1_000, ..named("one") },
            Script { at: 500, ..named("one") },
            Script { at: 500, leaves: Some(6_000), ..CALL },
            Script { at: 1_000, ..named("two") },
        ];
        Stage::play(pace, (&["a", "b"], ONE_BY_ONE), &scripts, |_| async {});
    });
}

#[test]
fn when_whoever_looks_who_may_go_is_gone_the_next_one_does() {
    // Nobody else would wake the second before its own moment, which was foretold with all that the first was promised.
    many(|pace| {
        let first = Script { output: 600, answer: Answer::Served(300), ..CALL };
        let second = Script { at: 500, output: 400, answer: Answer::Served(50), ..CALL };
        Stage::play(pace, (&["a"], BY_OUTPUT), &[first, second], |stage: Arc<Stage>| async move {
            stage.reached(750).await;
            stage.end_tasks().await;
            stage.look();
        });
    });
}
