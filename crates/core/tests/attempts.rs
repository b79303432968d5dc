//! Tables of attempts: what a call meets, whom it asks next, and how it ends.

#[path = "attempts/script.rs"]
mod script;

#[path = "attempts/standing.rs"]
mod standing;

#[path = "attempts/queue.rs"]
mod queue;

#[path = "attempts/lines.rs"]
mod lines;

#[path = "attempts/prefixes.rs"]
mod prefixes;

#[path = "attempts/books.rs"]
mod books;

use std::time::Duration;

use relay_core::plan::MOST_ATTEMPTS;
use relay_core::{Fleet, Need, Ownership, ProviderId, Strategy, Subject, Whose};

use crate::script::{call, fleet, key_id, played};

/// Holds a table of keys, answers, and what is expected to happen.
fn check(need: &Need, table: &[(&str, &str, &str)]) {
    for (keys, answers, expect) in table {
        assert_eq!(played(&fleet(keys), need.clone(), answers), *expect, "{answers:?} from {keys:?}");
    }
}

#[test]
fn an_answer_ends_a_call_and_so_does_what_is_the_clients_fault() {
    check(&call(), &[("a1", "200", "a1 served"), ("a1 a2 b1", "400", "a1 stopped")]);
}

#[test]
fn a_key_that_is_not_accepted_is_left_for_the_next_one() {
    check(
        &call(),
        &[
            ("a1", "401", "a1 barred"),
            ("a1", "403", "a1 barred"),
            ("a1 a2", "401 200", "a1 a2 served"),
            ("a1 a2", "403 200", "a1 a2 served"),
            ("a1 a2 b1", "401 401 200", "a1 a2 b1 served"),
            ("a1 a2 b1", "401 401 401", "a1 a2 b1 barred"),
            ("a1 a2", "402 200", "a1 a2 served"),
            ("a1 b1", "402 402", "a1 b1 words"),
        ],
    );
}

#[test]
fn a_spent_key_waits_and_the_next_one_is_asked() {
    check(
        &call(),
        &[
            ("a1 a2", "429+60 200", "a1 a2 served"),
            ("a1 b1", "429+60 200", "a1 b1 served"),
            ("a1", "429+10 200", "a1 +10 a1 served"),
            ("a1", "slow+2 200", "a1 +2 a1 served"),
            ("a1", "429+30 200", "a1 +30 a1 served"),
            ("a1", "429+31", "a1 spent+31"),
            ("a1", "429+20 429+20", "a1 +20 a1 spent+20"),
            ("a1 a2", "429+60 429+20 200", "a1 a2 +20 a2 served"),
            ("a1 a2", "429+60 429+40", "a1 a2 spent+40"),
            ("a1 a2", "429+10 401 200", "a1 a2 +10 a1 served"),
        ],
    );
}

#[test]
fn a_key_that_is_used_up_until_now_is_not_asked_again_in_the_same_breath() {
    check(
        &call(),
        &[
            ("a1", "429+0 200", "a1 +0.5 a1 served"),
            ("a1", "slow+0 429+0 200", "a1 +0.5 a1 +1 a1 served"),
            ("a1 a2", "429+0 200", "a1 a2 served"),
        ],
    );
}

#[test]
fn a_429_about_the_call_hops_once_and_then_stands() {
    check(
        &call(),
        &[
            ("a1", "429", "a1 words"),
            ("a1 a2", "429 200", "a1 a2 served"),
            ("a1 b1", "429 200", "a1 b1 served"),
            ("a1 a2 a3 b1", "429 429", "a1 a2 stopped"),
        ],
    );
}

#[test]
fn a_provider_that_does_not_have_the_model_is_left() {
    check(
        &call(),
        &[
            ("a1", "404", "a1 words"),
            ("a1 a2 b1", "404 200", "a1 b1 served"),
            ("a1 a2 b1 b2", "404 404", "a1 b1 words"),
        ],
    );
}

#[test]
fn what_one_key_does_not_own_another_may() {
    check(
        &Need { subject: Subject::Property, ..call() },
        &[("a1 a2 b1", "404 404 200", "a1 a2 b1 served"), ("a1 a2", "404 404", "a1 a2 words")],
    );
}

#[test]
fn an_overloaded_provider_is_left_for_another_and_alone_is_given_time() {
    check(
        &call(),
        &[
            ("a1 b1", "529 200", "a1 b1 served"),
            ("a1 a2 b1", "529 200", "a1 b1 served"),
            ("a1", "529 529 200", "a1 +0.5 a1 +1 a1 served"),
            ("a1", "529 529 529 529 529 529", "a1 +0.5 a1 +1 a1 +2 a1 +4 a1 +8 a1 overloaded"),
            ("a1", "529+7 529+1 200", "a1 +7 a1 +1 a1 served"),
            ("a1", "529+31", "a1 overloaded"),
            ("a1 b1", "529 529 200", "a1 b1 +0.5 a1 served"),
            ("a1 a2", "529 529 200", "a1 a2 +0.5 a1 served"),
            ("a1", "529+1 429+10 200", "a1 +1 a1 +10 a1 served"),
        ],
    );
}

#[test]
fn a_broken_provider_is_left_and_alone_is_tried_once_more_with_another_key() {
    check(
        &call(),
        &[
            ("a1", "cut", "a1 broken"),
            ("a1 a2 a3", "cut 200", "a1 a2 served"),
            ("a1 a2 a3", "cut cut", "a1 a2 broken"),
            ("a1 a2 b1", "cut 200", "a1 b1 served"),
            ("a1 a2 a3 b1", "cut 401 cut", "a1 b1 a2 broken"),
            ("a1 a2 b1", "cut cut 200", "a1 b1 a2 served"),
            // Only this provider's breakages count against it: no other's, and nothing else that it said.
            ("a1 b1 b2", "cut cut 200", "a1 b1 b2 served"),
            ("a1 a2 a3", "401 cut 200", "a1 a2 a3 served"),
        ],
    );
}

#[test]
fn the_most_useful_of_several_reasons_is_given() {
    check(
        &call(),
        &[
            ("", "", "nobody"),
            ("a", "", "nobody"),
            ("a1", "late", "a1 late"),
            ("a1 b1", "cut late", "a1 b1 late"),
            ("a1 b1", "late cut", "a1 b1 late"),
            ("a1 b1", "404 cut", "a1 b1 broken"),
            ("a1 b1", "401 cut", "a1 b1 broken"),
            ("a1 b1", "404 401", "a1 b1 words"),
            ("a1 b1", "401 429", "a1 b1 words"),
            ("a1 b1", "402 401", "a1 b1 words"),
            ("a1 b1", "429+60 401", "a1 b1 spent+60"),
            ("a1 b1", "404 429+60", "a1 b1 spent+60"),
            ("a1 b1", "429+60 late", "a1 b1 spent+60"),
            ("a1 b1", "529+60 429+60", "a1 b1 overloaded"),
            ("a1 b1", "529+60 cut", "a1 b1 overloaded"),
        ],
    );
}

#[test]
fn a_pinned_call_goes_to_its_key_or_nowhere() {
    check(
        &Need { pinned: Some(key_id("a2")), ..call() },
        &[
            ("a1 a2 b1", "200", "a2 served"),
            ("a1 a2", "401", "a2 barred"),
            ("a1 a2", "cut", "a2 broken"),
            ("a1 a2", "429+10 200", "a2 +10 a2 served"),
            ("a1 b1", "", "nobody"),
        ],
    );
    // What a key owns is where the key is, whoever owns the model.
    let ownership = Ownership { prefixes: vec![("m".to_owned(), ProviderId::of("b"))], default: None };
    let owned = Fleet { ownership, ..fleet("a1 a2 b1") };
    for (pinned, expect) in [(Some(key_id("a2")), "a2 served"), (None, "b1 served")] {
        assert_eq!(played(&owned, Need { pinned, ..call() }, "200"), expect, "{pinned:?}");
    }
}

#[test]
fn a_clients_own_credential_goes_to_providers_and_hears_what_is_said_of_it() {
    check(
        &Need { credential: Whose::Client, ..call() },
        &[
            ("a", "200", "a served"),
            ("a1 b1", "401", "a stopped"),
            ("a1 b1", "402", "a stopped"),
            ("a1 b1", "403", "a stopped"),
            ("a1 b1", "429", "a stopped"),
            ("a1 b1", "429+60", "a stopped"),
            ("a1 b1", "slow+0", "a stopped"),
            ("a1 b1", "404 200", "a b served"),
            ("a1 a2 b1", "cut cut", "a b broken"),
            ("a1 b1", "529 200", "a b served"),
            ("a1", "529 200", "a +0.5 a served"),
            ("a1", "529+40", "a overloaded"),
        ],
    );
    let lost = Need { credential: Whose::Client, subject: Subject::Property, ..call() };
    check(&lost, &[("a1 a2 b1", "404 404", "a b words")]);
}

#[test]
fn only_providers_that_can_carry_a_call_are_asked() {
    let only =
        |among: &[&str]| Need { among: among.iter().map(|name| ProviderId::of(name)).collect(), ..call() };
    check(&only(&["b"]), &[("a1 b1 c1", "401", "b1 barred"), ("a1 c1", "", "nobody")]);
    check(&only(&[]), &[("a1 b1", "", "nobody")]);
}

#[test]
fn a_model_goes_to_its_owner_by_the_longest_prefix_or_to_the_default() {
    let [a, b, c] = ["a", "b", "c"].map(ProviderId::of);
    let prefixes = vec![("glm".to_owned(), a), ("glm-5".to_owned(), b)];
    let owned = Fleet { ownership: Ownership { prefixes, default: Some(c) }, ..fleet("a1 b1 c1") };
    let table = [
        (Some("glm-4"), vec![a, b, c], "401", "a1 barred"),
        (Some("glm-5.1"), vec![a, b, c], "401", "b1 barred"),
        (Some("claude"), vec![a, b, c], "401", "c1 barred"),
        // An owner that cannot carry the call does not keep others from it, nor does a call without a model.
        (Some("glm-5.1"), vec![a, c], "401 401", "a1 c1 barred"),
        (None, vec![a, b, c], "401 401 401", "a1 b1 c1 barred"),
    ];
    for (model, among, answers, expect) in table {
        let need = Need { model: model.map(str::to_owned), among, ..call() };
        assert_eq!(played(&owned, need, answers), expect, "{model:?}");
    }
    let nobodys = Ownership { prefixes: vec![("glm".to_owned(), a)], default: None };
    assert_eq!(nobodys.owner("glm-4"), Some(a));
    assert_eq!(nobodys.owner("claude"), None);
}

#[test]
fn keys_of_higher_priority_are_asked_first_and_the_others_are_kept_in_reserve() {
    let mut fleet = fleet("a1 a2 b1");
    fleet.providers[0].keys[1].priority = 1;
    fleet.providers[1].priority = 1;
    assert_eq!(played(&fleet, call(), "401 401 200"), "b1 a2 a1 served");
}

#[test]
fn a_plan_gives_up_after_the_most_attempts_and_says_that_a_retry_helps_if_it_does() {
    let labels: Vec<_> = (0..=MOST_ATTEMPTS).map(|index| format!("a{index}")).collect();
    let many = fleet(&labels.join(" "));
    let told = |answer: &str| {
        let seen = played(&many, call(), &vec![answer; MOST_ATTEMPTS].join(" "));
        let (asked, end) = seen.rsplit_once(' ').unwrap();
        assert_eq!(asked, labels[..MOST_ATTEMPTS].join(" "));
        end.to_owned()
    };
    assert_eq!(told("429+60"), "spent+0", "the last key was not asked");
    assert_eq!(told("401"), "spent+0");
    assert_eq!(told("529"), "overloaded");
    let mut just_enough = many.clone();
    just_enough.providers[0].keys.truncate(MOST_ATTEMPTS);
    assert!(played(&just_enough, call(), &vec!["401"; MOST_ATTEMPTS].join(" ")).ends_with(" barred"));
    assert!(played(&just_enough, call(), &vec!["429+9"; MOST_ATTEMPTS].join(" ")).ends_with(" spent+9"));
}

#[test]
fn a_call_that_may_not_wait_is_told_at_once() {
    let hasty = Fleet { max_wait: Duration::ZERO, ..fleet("a1") };
    assert_eq!(played(&hasty, call(), "429+1"), "a1 spent+1");
    assert_eq!(played(&hasty, call(), "529"), "a1 overloaded");
}

#[test]
fn a_round_robin_over_providers_goes_on_where_the_last_attempt_was() {
    let fleet = Fleet { strategy: Strategy::RoundRobin, ..fleet("a1 b1 c1") };
    assert_eq!(played(&fleet, call(), "401 529 200"), "a1 b1 c1 served");
}
