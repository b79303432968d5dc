//! One limit for all tokens, of a provider that holds an answer back as long as it may be, as Bedrock does.

use relay_core::{Accounting, Caps, Counted, Key, Need, Provider, Size, Usage, Verdict};

use crate::stage::{Call, PROVIDER, Stage, Told, fleet_of, id, key, of_conversation, sized, usage};

/// Each token of an answer counts so much in the end.
const WEIGHT: u64 = 5;

/// A key that may use so many tokens a minute.
fn stage_of(tokens: u64) -> Stage {
    let accounting = Accounting { reserves: Some(WEIGHT), ..Accounting::default() };
    let caps = Caps { tokens: Some(tokens), ..Caps::default() };
    let keys = vec![Key { caps, ..key("a") }];
    Stage::new(fleet_of(Provider { accounting, ..Provider::new(PROVIDER, keys) }))
}

/// A call with a prompt of about so many tokens and an answer of `most` at most.
fn call_of(prompt: u64, most: u64) -> Need {
    sized(Size { bytes: prompt * 7 / 2, max_tokens: Some(most), streams: true, ..Size::default() })
}

/// How many tokens are left for others.
fn left(stage: &Stage) -> u64 {
    let limits = stage.key("a").limits;
    let tokens = limits.iter().find(|limit| limit.counted == Counted::Tokens);
    tokens.map(|limit| limit.available).expect("it is limited")
}

fn begun(stage: &mut Stage, need: Need, usage: Usage) -> Call {
    let mut call = stage.go(need);
    stage.begin(&mut call, usage);
    call
}

#[test]
fn the_prompt_and_the_longest_answer_are_held_back_and_in_the_end_what_was_used_counts() {
    // It holds a minute's worth.
    let mut stage = stage_of(100_000);
    let mut call = stage.go(call_of(1_000, 30_000));
    assert_eq!(left(&stage), 100_000 - 1_000 - 30_000);
    stage.begin(&mut call, usage(1_200, 0));
    assert_eq!(left(&stage), 100_000 - 1_200 - 30_000, "the prompt was longer than was thought");
    stage.charge(&mut call, usage(1_200, 100));
    assert_eq!(left(&stage), 100_000 - 1_200 - 30_000, "what it takes is part of what was held back");
    stage.charge(&mut call, usage(1_200, 6_000));
    stage.charge(&mut call, usage(1_200, 6_100));
    assert!(left(&stage) <= 100_000 - 1_200 - 6_100 * WEIGHT, "it takes more than was held back");
    stage.close(call, usage(1_200, 6_100));
    assert_eq!(left(&stage), 100_000 - 1_200 - 6_100 * WEIGHT);
}

#[test]
fn a_short_answer_gives_the_rest_back_at_its_end() {
    let mut stage = stage_of(100_000);
    let call = begun(&mut stage, call_of(1_000, 60_000), usage(1_000, 0));
    // A second one that may be as long does not fit beside it.
    assert!(matches!(stage.would(call_of(1_000, 60_000)), Told::Wait(_)));
    stage.close(call, usage(1_000, 20));
    assert_eq!(left(&stage), 100_000 - 1_000 - 20 * WEIGHT);
    assert_eq!(stage.would(call_of(1_000, 60_000)), Told::Go(id("a")));
}

#[test]
fn whoever_waits_for_what_was_held_back_is_woken_when_it_is_given_back() {
    let mut stage = stage_of(100_000);
    let call = begun(&mut stage, call_of(1_000, 90_000), usage(1_000, 0));
    let (waits, _) = stage.wait(call_of(1_000, 60_000));
    stage.close(call, usage(1_000, 20));
    assert_eq!(stage.woken(), waits.ticket.into_iter().collect::<Vec<_>>());
}

#[test]
fn what_is_cached_of_a_prompt_is_held_back_until_it_has_been_read() {
    let mut stage = stage_of(600_000);
    let written = Usage { cache_write: 50_000, ..Usage::ZERO };
    let call = begun(&mut stage, of_conversation(1, call_of(50_000, 1_000)), written);
    stage.close(call, Usage { output: 10, ..written });
    let before = left(&stage);
    let mut call = stage.go(of_conversation(1, call_of(50_100, 10_000)));
    assert_eq!(before - left(&stage), 60_100, "all of the prompt is held back");
    let read = Usage { input: 100, cache_read: 50_000, ..Usage::ZERO };
    stage.begin(&mut call, read);
    assert_eq!(before - left(&stage), 10_100, "what was read from the cache does not count");
    stage.close(call, Usage { output: 10, ..read });
    assert_eq!(before - left(&stage), 100 + 10 * WEIGHT);
}

#[test]
fn what_was_never_counted_is_given_back_whole() {
    let mut stage = stage_of(100_000);
    let mut call = stage.go(call_of(1_000, 60_000));
    assert!(!stage.judge(&mut call, Verdict::Throttled { until: stage.now }));
    assert_eq!(left(&stage), 100_000);
    let call = stage.go(call_of(1_000, 60_000));
    stage.leave(call);
    assert_eq!(left(&stage), 99_000, "of whoever left nobody knows how far he came: his prompt counts");
}

#[test]
fn an_answer_that_may_be_longer_than_there_ever_is_goes_when_the_bucket_is_full() {
    let mut stage = stage_of(6_000);
    let call = begun(&mut stage, call_of(1_000, 64_000), usage(1_000, 0));
    stage.close(call, usage(1_000, 500));
    // 1,000 and 500 times 5 were taken of 6,000 that a minute adds.
    let (_waits, until) = stage.wait(call_of(1_000, 64_000));
    assert_eq!(until, crate::stage::at(35_000));
}

#[test]
fn where_a_provider_does_not_reserve_tokens_of_an_answer_count_as_they_come() {
    let keys = vec![Key { caps: Caps { tokens: Some(100_000), ..Caps::default() }, ..key("a") }];
    let mut stage = Stage::new(fleet_of(Provider::new(PROVIDER, keys)));
    let call = begun(&mut stage, call_of(1_000, 90_000), usage(1_000, 0));
    assert_eq!(left(&stage), 100_000 - 1_000 - 1_000, "as long as answers are thought to be");
    stage.close(call, usage(1_000, 500));
    assert_eq!(left(&stage), 100_000 - 1_500);
}

/// Moments were foretold as if all that is held back were used: of forty calls, which such a key serves in fifteen seconds,
/// half were refused for it.
#[test]
fn what_is_held_back_is_expected_to_be_given_back_when_calls_end() {
    let mut stage = stage_of(100_000);
    // Calls take two seconds, and three of them fit at once.
    let need = || call_of(1_000, 30_000);
    for _ in 0..10 {
        let call = begun(&mut stage, need(), usage(1_000, 0));
        stage.pass(2_000);
        stage.close(call, usage(1_000, 100));
        stage.pass(10_000);
    }
    let open: Vec<_> = (0..3).map(|_| stage.go(need())).collect();
    let began = stage.now;
    let waits = |stage: &mut Stage| {
        let (call, until) = stage.wait(need());
        (call, until.since(began).as_millis())
    };
    let lines: Vec<_> = (0..6).map(|_| waits(&mut stage)).collect();
    let moments: Vec<_> = lines.iter().map(|(_, moment)| *moment).collect();
    assert!(moments.is_sorted() && moments[0] >= 600 && moments[5] <= 5_000, "{moments:?}");
    // And they go when those have ended.
    stage.pass(2_000);
    for call in open {
        stage.close(call, usage(1_000, 100));
    }
    assert_eq!(stage.woken().len(), 3);
}

#[test]
fn a_quota_that_is_used_up_is_waited_for_whatever_is_given_back() {
    let mut stage = stage_of(60_000);
    let mut call = begun(&mut stage, call_of(1_000, 20_000), usage(1_000, 0));
    stage.charge(&mut call, usage(1_000, 11_000));
    let (_waits, until) = stage.wait(call_of(1_000, 20_000));
    // 1,000 and 55,000 are gone; of 21,000 there are 4,000, and a second adds 1,000.
    assert_eq!(until, crate::stage::at(17_000));
}
