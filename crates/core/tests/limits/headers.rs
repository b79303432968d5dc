//! What the heads of answers prove of limits, and what they do not.

use std::time::Duration;

use relay_core::{Counted, Gauge};

use crate::bucket::Bucket;
use crate::stage::{
    Stage, Told, about, at, fleet, gauge, input, key, output, requests, takes, taught, usage,
};

/// What is there of the only limit that is known.
fn there(stage: &Stage) -> u64 {
    let limits = stage.limits("a");
    assert_eq!(limits.len(), 1, "{limits:?}");
    limits[0].3
}

#[test]
fn the_first_head_tells_a_limit_and_the_least_that_there_may_be() {
    let stage = taught(&requests(gauge(6_000, 500)));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 6_000, 6_000, 500)]);
    // Tokens are rounded to a thousand: there may be five hundred less.
    let stage = taught(&input(gauge(600_000, 5_000)));
    assert_eq!(stage.limits("a"), [(Counted::Input, 600_000, 6_000, 4_500)]);
    let stage = taught(&output(gauge(600_000, 5_000)));
    assert_eq!(stage.limits("a"), [(Counted::Output, 600_000, 6_000, 4_500)]);
    // It is not more than a bucket holds, as far as that is known.
    let stage = taught(&requests(gauge(6_000, 5_000)));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 6_000, 6_000, 600)]);
    // Without a level it is taken to be full.
    let stage = taught(&requests(Gauge { limit: Some(6_000), ..Gauge::default() }));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 6_000, 6_000, 599)]);
    // And a level without a limit says nothing.
    let stage = taught(&requests(Gauge { remaining: Some(5), ..Gauge::default() }));
    assert_eq!(stage.limits("a"), []);
}

#[test]
fn a_class_has_its_own_limits() {
    let mut stage = taught(&requests(gauge(6_000, 500)));
    let mut call = stage.go(about("x", takes(1, 0)));
    stage.learn(&mut call, &requests(gauge(600, 20)));
    stage.serve(call, usage(1, 0));
    assert_eq!(
        stage.limits("a"),
        [(Counted::Requests, 6_000, 6_000, 500), (Counted::Requests, 600, 6_000, 20)]
    );
    let classes: Vec<_> = stage
        .key("a")
        .limits
        .iter()
        .map(|limit| limit.class.as_ref().expect("it is of one").as_str().to_owned())
        .collect();
    assert_eq!(classes, ["m", "x"]);
}

#[test]
fn a_head_that_shows_less_lowers_what_is_there_and_one_that_shows_more_raises_it() {
    let mut stage = taught(&requests(gauge(6_000, 300)));
    // Somebody else uses the same account.
    let mut call = stage.go(takes(1, 0));
    stage.learn(&mut call, &requests(gauge(6_000, 100)));
    assert_eq!(there(&stage), 100);
    stage.serve(call, usage(1, 0));
    assert_eq!(there(&stage), 100);
    let mut call = stage.go(takes(1, 0));
    stage.learn(&mut call, &requests(gauge(6_000, 200)));
    assert_eq!(there(&stage), 200);
    stage.serve(call, usage(1, 0));
    assert_eq!(there(&stage), 200);
    // And a new limit is a new limit.
    let mut call = stage.go(takes(1, 0));
    stage.learn(&mut call, &requests(gauge(600, 20)));
    stage.serve(call, usage(1, 0));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 600, 6_000, 20)]);
}

#[test]
fn a_head_that_shows_tokens_counts_those_of_the_call_itself() {
    let mut stage = taught(&input(gauge(600_000, 20_000)));
    assert_eq!(there(&stage), 19_500);
    let mut call = stage.go(takes(3_000, 0));
    assert_eq!(there(&stage), 16_500);
    // What its prompt had is not known before it is said.
    stage.learn(&mut call, &input(gauge(600_000, 12_000)));
    assert_eq!(there(&stage), 16_500);
    stage.begin(&mut call, usage(4_000, 0));
    assert_eq!(there(&stage), 12_500, "at most half a thousand more than it shows");
    stage.close(call, usage(4_000, 0));
    let mut call = stage.go(takes(2_000, 0));
    stage.learn(&mut call, &input(gauge(600_000, 30_000)));
    stage.begin(&mut call, usage(2_000, 0));
    assert_eq!(there(&stage), 29_500, "at least half a thousand less");
    stage.close(call, usage(2_000, 0));
    // Of output nothing is taken yet when an answer begins.
    let mut stage = taught(&output(gauge(600_000, 20_000)));
    let mut call = stage.go(takes(1, 3_000));
    stage.learn(&mut call, &output(gauge(600_000, 20_000)));
    stage.begin(&mut call, usage(1, 0));
    assert_eq!(there(&stage), 16_500);
    stage.charge(&mut call, usage(1, 1_000));
    assert_eq!(there(&stage), 16_500);
    stage.close(call, usage(1, 1_000));
    assert_eq!(there(&stage), 18_500);
}

/// Guards the rule that a stale head refills nothing.
#[test]
fn a_stale_head_does_not_refill_what_was_taken_since_it_was_made() {
    let mut stage = taught(&requests(gauge(6_000, 300)));
    let mut slow = stage.go(takes(1, 0));
    // What the provider saw then.
    let seen = requests(gauge(6_000, 299));
    for _ in 0..50 {
        let call = stage.go(takes(1, 0));
        stage.serve(call, usage(1, 0));
    }
    assert_eq!(there(&stage), 249);
    stage.learn(&mut slow, &seen);
    assert_eq!(there(&stage), 249);
    // Nor does hearing it twice, or after a later one.
    let mut later = stage.go(takes(1, 0));
    stage.learn(&mut later, &requests(gauge(6_000, 248)));
    stage.learn(&mut slow, &seen);
    stage.learn(&mut slow, &seen);
    assert_eq!(there(&stage), 248);
    stage.serve(later, usage(1, 0));
    stage.learn(&mut slow, &seen);
    assert_eq!(there(&stage), 248);
    stage.serve(slow, usage(1, 0));
    assert_eq!(there(&stage), 248);
}

#[test]
fn a_stale_head_does_not_take_away_what_was_refilled_since() {
    let mut stage = taught(&requests(gauge(6_000, 300)));
    let mut slow = stage.go(takes(1, 0));
    stage.pass(2_000);
    assert_eq!(there(&stage), 499);
    stage.learn(&mut slow, &requests(gauge(6_000, 299)));
    assert_eq!(there(&stage), 499);
    // Less than that it cannot be explained by.
    stage.learn(&mut slow, &requests(gauge(6_000, 289)));
    assert_eq!(there(&stage), 489);
    stage.serve(slow, usage(1, 0));
}

#[test]
fn what_is_promised_to_others_may_be_in_a_level_already() {
    let mut stage = taught(&requests(gauge(6_000, 300)));
    let others: Vec<_> = (0..10).map(|_| stage.go(takes(1, 0))).collect();
    let mut call = stage.go(takes(1, 0));
    assert_eq!(there(&stage), 289);
    // All eleven were seen.
    stage.learn(&mut call, &requests(gauge(6_000, 289)));
    assert_eq!(there(&stage), 289);
    // Only its own was seen.
    stage.learn(&mut call, &requests(gauge(6_000, 299)));
    assert_eq!(there(&stage), 289);
    for call in others {
        stage.serve(call, usage(1, 0));
    }
    stage.serve(call, usage(1, 0));
    assert_eq!(there(&stage), 289);
}

/// A provider shows nothing left of a bucket in debt, however large that is.
#[test]
fn a_head_that_shows_nothing_left_forgives_no_debt() {
    let mut stage = taught(&input(gauge(600_000, 30_000)));
    let mut call = stage.go(takes(1_000, 0));
    stage.learn(&mut call, &input(gauge(600_000, 0)));
    stage.serve(call, usage(60_000, 0));
    // 29,500 less 60,000 is a debt of 30,500, at ten tokens a millisecond.
    assert_eq!(stage.would(takes(100, 0)), Told::Wait(at(3_060)));
    // Where nothing was known, it is as low as it may be.
    let mut stage = taught(&input(gauge(600_000, 0)));
    assert_eq!(stage.would(takes(100, 0)), Told::Wait(at(60)));
    let (_call, _) = stage.wait(takes(100, 0));
}

/// When it will be full says how much it can owe: after a call that used five minutes' worth, a key rested for five
/// minutes, though its provider said that it would be full in one.
#[test]
fn a_head_that_says_when_a_bucket_will_be_full_shows_how_much_it_owes_at_most() {
    let full_in = |seconds: u64| Gauge { reset: Some(at(seconds * 1_000)), ..gauge(60_000, 0) };
    let mut stage = taught(&input(gauge(60_000, 5_000)));
    let mut call = stage.go(takes(1_000, 0));
    stage.learn(&mut call, &input(gauge(60_000, 0)));
    stage.serve(call, usage(300_000, 0));
    let Told::Wait(until) = stage.would(takes(1_000, 0)) else { panic!("it waits") };
    assert!(until > at(290_000), "{until:?}");
    let mut stage = taught(&input(gauge(60_000, 5_000)));
    let mut call = stage.go(takes(1_000, 0));
    stage.learn(&mut call, &input(full_in(60)));
    stage.serve(call, usage(300_000, 0));
    // 60 seconds and one, for that moment is rounded: less the six which it holds.
    assert_eq!(stage.would(takes(1_000, 0)), Told::Wait(at(56_000)));
    // And never more than it shows.
    let stage = taught(&input(full_in(0)));
    assert_eq!(stage.limits("a")[0].3, 500);
    // Of a small limit, all of what is there may be rounded away.
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut bucket = Bucket::full(600, Duration::from_secs(6), stage.now);
    let mut call = stage.go(takes(0, 5));
    bucket.take(5, stage.now);
    stage.pass(300);
    stage.learn(&mut call, &output(bucket.gauge(1_000, stage.now)));
    stage.serve(call, usage(0, 5));
    let [(Counted::Output, 600, 6_000, left)] = *stage.limits("a") else { panic!("it is limited") };
    assert!((30..=58).contains(&left), "{left}");
    stage.go(takes(0, 5));
}

/// Somebody else had used a minute's worth: as the bucket takes a minute to be full, and was thought to hold six seconds',
/// it was thought to owe the rest, and nobody was served for 54 seconds.
#[test]
fn an_empty_bucket_that_is_heard_of_first_is_not_taken_for_one_in_debt() {
    for seconds in [12, 60, 600] {
        let full_in = Gauge { reset: Some(at(seconds * 1_000)), ..gauge(60, 0) };
        let stage = &mut taught(&requests(full_in));
        assert_eq!(stage.would(takes(1, 0)), Told::Wait(at(1_000)), "{seconds}");
        let full_in = Gauge { reset: Some(at(seconds * 1_000)), ..gauge(600_000, 0) };
        let stage = &mut taught(&input(full_in));
        let Told::Wait(until) = stage.would(takes(1_000, 0)) else { panic!("it waits") };
        // Half a thousand may have been rounded away.
        assert!(until <= at(150), "{seconds}: {until:?}");
    }
}

/// How much of the input is this call's is known only when a stream has begun. Until then whoever came was sent, although
/// the head had said that nothing was left.
#[test]
fn that_there_is_a_limit_is_known_from_the_head_of_a_stream_on() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut bucket = Bucket::full(6_000, Duration::from_secs(6), stage.now);
    let mut first = stage.go(takes(530, 0));
    bucket.take(530, stage.now);
    stage.pass(50);
    stage.learn(&mut first, &input(bucket.gauge(1_000, stage.now)));
    assert!(matches!(stage.would(takes(530, 0)), Told::Wait(_)));
    stage.serve(first, usage(530, 0));
    assert!(matches!(stage.would(takes(530, 0)), Told::Wait(_)));
}

/// What was found to be there was taken for what each of many prompts had less than was thought: of most of them nothing
/// was given back.
#[test]
fn what_was_found_to_be_there_explains_one_of_those_who_took_it_and_not_each() {
    let mut stage = taught(&input(gauge(60_000, 5_000)));
    let mut bucket = Bucket::full(60_000, Duration::from_secs(6), stage.now);
    bucket.take(1_000, stage.now);
    let left = |stage: &Stage| stage.limits("a")[0].3;
    let mut early: Vec<_> = (0..2).map(|_| stage.go(takes(1_500, 0))).collect();
    bucket.take(1_000, stage.now);
    stage.pass(1_000);
    let mut short = stage.go(takes(100, 0));
    bucket.take(100, stage.now);
    let head = input(bucket.gauge(1_000, stage.now));
    // One more is sent, and is not in what the head shows.
    early.push(stage.go(takes(1_500, 0)));
    bucket.take(500, stage.now);
    stage.learn(&mut short, &head);
    stage.serve(short, usage(100, 0));
    assert_eq!(left(&stage), 3_000, "of 4,500, as 5,000 may have been rounded up");
    for call in early {
        stage.serve(call, usage(500, 0));
    }
    assert_eq!(bucket.gauge(1, stage.now).remaining, Some(4_400));
    assert_eq!(left(&stage), 3_900);
}

/// Of two requests a second that answer late, parts of a request are refilled meanwhile: a call was let go only every 0.7
/// seconds, for these were cut off.
#[test]
fn a_head_that_comes_late_does_not_take_away_part_of_a_unit() {
    let mut stage = taught(&requests(gauge(120, 0)));
    stage.pass(500);
    for _ in 0..4 {
        let mut call = stage.go(takes(1, 0));
        stage.pass(200);
        stage.learn(&mut call, &requests(gauge(120, 0)));
        stage.serve(call, usage(1, 0));
        assert_eq!(stage.would(takes(1, 0)), Told::Wait(stage.now + Duration::from_millis(300)));
        stage.pass(300);
    }
}

/// Prompts are thought to be longer than they are, most often, and what they do not take is given back when their
/// answers begin. Another answer may have shown before that it is there.
#[test]
fn what_was_found_to_be_there_is_not_given_back_again() {
    let mut stage = taught(&input(gauge(60_000, 5_000)));
    let mut bucket = Bucket::full(60_000, Duration::from_secs(6), stage.now);
    bucket.take(1_000, stage.now);
    let left = |stage: &Stage| stage.limits("a")[0].3;
    assert_eq!(left(&stage), 4_500);
    let (mut long, mut longer) = (stage.go(takes(1_500, 0)), stage.go(takes(2_000, 0)));
    bucket.take(600, stage.now);
    bucket.take(700, stage.now);
    assert_eq!(left(&stage), 1_000);
    // What is sent later and answered sooner.
    stage.pass(1_000);
    let mut short = stage.go(takes(100, 0));
    bucket.take(100, stage.now);
    stage.learn(&mut short, &input(bucket.gauge(1_000, stage.now)));
    stage.serve(short, usage(100, 0));
    assert_eq!(left(&stage), 4_500, "of 5,000, which may have been rounded up");
    stage.begin(&mut long, usage(600, 0));
    stage.begin(&mut longer, usage(700, 0));
    assert_eq!(left(&stage), 4_500);
    // And what was not shown by then is.
    let mut longest = stage.go(takes(4_000, 0));
    bucket.take(1_000, stage.now);
    assert_eq!(left(&stage), 500);
    stage.begin(&mut longest, usage(1_000, 0));
    assert_eq!(left(&stage), 3_500);
    let others = [long, longer, longest];
    others.into_iter().zip([600, 700, 1_000]).for_each(|(call, input)| stage.close(call, usage(input, 0)));
    assert_eq!((left(&stage), bucket.gauge(1, stage.now).remaining.unwrap()), (3_500, 3_600));
}

#[test]
fn whoever_waits_is_called_when_a_head_shows_that_there_is_enough() {
    let mut stage = taught(&requests(gauge(60, 0)));
    let mut other = stage.go(relay_core::Need { size: None, ..takes(0, 0) });
    let (call, until) = stage.wait(takes(1, 0));
    assert_eq!(until, at(1_000));
    assert_eq!(stage.woken(), []);
    stage.learn(&mut other, &requests(gauge(60, 3)));
    assert_eq!(stage.woken(), [call.ticket.expect("the stage is set for it")]);
}
