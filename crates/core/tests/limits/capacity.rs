//! How much a bucket holds, as far as answers and refusals show it.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{prop_assert, proptest};
use relay_core::{Counted, Gauge, Quota, Verdict};

use crate::bucket::Bucket;
use crate::stage::{Stage, Told, at, fleet, gauge, input, key, output, requests, takes, taught, usage};

/// Of a key with a small limit, six seconds' worth is next to nothing: after its first answer, which showed that it holds
/// a minute's worth and has nearly all of that, the next call waited for twelve seconds.
#[test]
fn the_first_answer_shows_what_there_is_also_of_a_bucket_that_holds_more_than_was_thought() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut bucket = Bucket::full(30_000, Duration::from_mins(1), stage.now);
    let mut call = stage.go(takes(8_000, 0));
    bucket.take(8_000, stage.now);
    stage.pass(300);
    stage.learn(&mut call, &input(bucket.gauge(1_000, stage.now)));
    stage.serve(call, usage(8_000, 0));
    let [(Counted::Input, 30_000, burst, left)] = *stage.limits("a") else { panic!("it is limited") };
    assert!((56_000..=60_000).contains(&burst) && (21_000..=22_150).contains(&left), "{burst} ms, {left}");
    stage.go(takes(8_000, 0));
    // Four of five requests.
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut bucket = Bucket::full(5, Duration::from_mins(1), stage.now);
    let mut call = stage.go(takes(1, 0));
    bucket.take(1, stage.now);
    stage.pass(300);
    stage.learn(&mut call, &requests(bucket.gauge(1, stage.now)));
    stage.serve(call, usage(1, 0));
    (0..4).for_each(|_| drop(stage.go(takes(1, 0))));
    stage.wait(takes(1, 0));
}

/// Of two a second that come one by one, each second request was refused for ever.
#[test]
fn a_bucket_that_holds_one_request_is_found_out() {
    let mut stage = taught(&requests(gauge(120, 0)));
    let mut bucket = Bucket::full(120, Duration::from_millis(500), stage.now);
    let mut refused = 0;
    for _ in 0..100 {
        stage.pass(2_000);
        // As many as come at once.
        let asked: Vec<_> = (0..3).map(|_| stage.arrive(takes(1, 0))).collect();
        for (mut call, told) in asked {
            if let Some(ticket) = call.ticket {
                stage.state.cancel(ticket);
                continue;
            }
            assert!(matches!(told, Told::Go(_)), "{told:?}");
            let fits = bucket.admits_at(1, stage.now) <= stage.now;
            bucket.take(u64::from(fits), stage.now);
            stage.learn(&mut call, &requests(bucket.gauge(1, stage.now)));
            if fits {
                stage.serve(call, usage(1, 0));
            } else {
                refused += 1;
                assert!(
                    !stage.judge(&mut call, Verdict::Spent { until: stage.now + Duration::from_secs(1) })
                );
            }
        }
    }
    assert!(refused <= 4, "{refused}");
}

#[test]
fn how_much_a_bucket_holds_follows_from_when_it_will_be_full() {
    let full_at =
        |seconds: u64, remaining| Gauge { reset: Some(at(seconds * 1_000)), ..gauge(6_000, remaining) };
    // 300 are there, and in ten seconds 1,000 more; both of these moments come in whole seconds.
    let stage = taught(&requests(full_at(10, 300)));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 6_000, 11_000, 300)]);
    // It cannot hold more than four seconds' worth.
    let stage = taught(&requests(full_at(1, 200)));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 6_000, 4_000, 200)]);
    // Nor is it ever taken to hold more than what a minute adds.
    let stage = taught(&requests(full_at(70, 300)));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 6_000, 60_000, 300)]);
    // What is known fits.
    let stage = taught(&requests(full_at(3, 300)));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 6_000, 6_000, 300)]);
    // A bucket in debt says nothing of what it holds at least, and all the more of what it does at most.
    let stage = taught(&requests(full_at(50, 0)));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 6_000, 6_000, 0)]);
    let stage = taught(&requests(full_at(1, 0)));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 6_000, 2_000, 0)]);
    // Of tokens, a level may be off by half a thousand.
    let seconds =
        |seconds: u64, remaining| Gauge { reset: Some(at(seconds * 1_000)), ..gauge(60_000, remaining) };
    let stage = taught(&input(seconds(10, 3_000)));
    assert_eq!(stage.limits("a"), [(Counted::Input, 60_000, 10_500, 2_500)]);
    let stage = taught(&input(seconds(1, 2_000)));
    assert_eq!(stage.limits("a"), [(Counted::Input, 60_000, 4_500, 1_500)]);
    // An answer that took long was made by anybody in between.
    let mut stage = taught(&requests(gauge(6_000, 300)));
    let mut call = stage.go(takes(1, 0));
    stage.pass(3_000);
    stage.learn(&mut call, &requests(full_at(10, 300)));
    assert_eq!(stage.limits("a")[0].2, 8_000, "seven seconds from now, less two");
    let mut stage = taught(&requests(gauge(6_000, 300)));
    let mut call = stage.go(takes(1, 0));
    stage.pass(1_000);
    stage.learn(&mut call, &requests(full_at(2, 200)));
    assert_eq!(stage.limits("a")[0].2, 5_000, "two seconds from when it was asked, and one");
}

proptest! {
    /// Levels and both of the moments of a head are rounded: that of the reset up, and that of the answer down.
    #[test]
    fn a_bucket_is_never_found_to_hold_more_than_it_does(
        rate in 600_u64..2_000_000,
        seconds in 6_u64..60,
        deeds in vec((0_u64..20_000_000_000, 0_u64..100), 1..40),
    ) {
        let mut stage = Stage::new(fleet(vec![key("a")]));
        let burst = Duration::from_secs(seconds);
        let mut bucket = Bucket::full(rate, burst, stage.now);
        for (pause, hundredths) in deeds {
            stage.now = stage.now + Duration::from_nanos(pause);
            let mut call = stage.go(takes(1, 0));
            stage.now = stage.now + Duration::from_nanos(pause % 1_000_000_000);
            // Others do.
            bucket.take(bucket.capacity() * hundredths / 100, stage.now);
            stage.learn(&mut call, &output(bucket.gauge(1_000, stage.now)));
            stage.serve(call, usage(1, 0));
            let [(Counted::Output, _, found, _)] = *stage.limits("a") else { panic!("it is limited") };
            prop_assert!(found <= burst.as_millis(), "{} of {}", found, burst.as_millis());
        }
    }
}

#[test]
fn a_bucket_that_refuses_although_it_seemed_to_have_enough_holds_half_as_much() {
    let spent = |stage: &mut Stage, quota: &Quota| {
        let mut call = stage.go(takes(1, 1));
        stage.learn(&mut call, quota);
        assert!(!stage.judge(&mut call, Verdict::Spent { until: stage.now + Duration::from_millis(1) }));
        stage.pass(60_000);
    };
    let both = Quota { requests: gauge(6_000, 500), output: gauge(600_000, 50_000), ..Quota::default() };
    let mut stage = taught(&both);
    stage.pass(60_000);
    // Nothing says which of them it was.
    spent(&mut stage, &Quota::default());
    // What its head said last shows something of each.
    assert_eq!(
        stage.limits("a"),
        [(Counted::Requests, 6_000, 3_000, 300), (Counted::Output, 600_000, 3_000, 30_000)]
    );
    // Now it does.
    let mut call = stage.go(takes(1, 1));
    let empty = Quota { output: gauge(600_000, 0), ..both.clone() };
    assert!(!{
        stage.learn(&mut call, &empty);
        stage.judge(&mut call, Verdict::Throttled { until: at(120_100) })
    });
    let limits = stage.limits("a");
    assert_eq!((limits[0].2, limits[0].3 > 0, limits[1].3), (3_000, true, 0), "it was not the requests");
    // It never holds less than what a quarter of a second adds.
    stage.pass(60_000);
    for _ in 0..4 {
        spent(&mut stage, &Quota { retry_after: Some(Duration::from_secs(1)), ..Quota::default() });
    }
    assert_eq!(stage.limits("a").iter().map(|limit| limit.2).collect::<Vec<_>>(), [250, 250]);
}

/// Each of many refusals that came at once halved the bucket, until it held no more than a second's worth.
#[test]
fn of_many_calls_that_were_sent_at_once_all_refusals_together_say_that_a_bucket_holds_half_as_much() {
    let mut stage = taught(&requests(gauge(600, 60)));
    stage.pass(60_000);
    let calls: Vec<_> = (0..10).map(|_| stage.go(takes(1, 0))).collect();
    for mut call in calls {
        stage.pass(10);
        let until = stage.now + Duration::from_millis(1);
        assert!(!stage.judge(&mut call, Verdict::Spent { until }));
    }
    assert_eq!(stage.limits("a")[0].2, 3_000);
    stage.pass(10_000);
    let mut later = stage.go(takes(1, 0));
    assert!(!stage.judge(&mut later, Verdict::Spent { until: at(70_200) }));
    assert_eq!(stage.limits("a")[0].2, 1_500, "that one was sent after it was known");
}

#[test]
fn a_bucket_that_has_not_refused_for_a_while_is_trusted_a_little_more_until_it_is_as_at_first() {
    let mut stage = taught(&requests(gauge(600, 60)));
    stage.pass(60_000);
    let mut call = stage.go(takes(1, 0));
    assert!(!stage.judge(&mut call, Verdict::Spent { until: at(60_001) }));
    let mut serve = |after| {
        stage.pass(after);
        let call = stage.go(takes(1, 0));
        stage.serve(call, usage(1, 0));
        stage.limits("a")[0].2
    };
    assert_eq!([serve(59_999), serve(1), serve(30_000), serve(30_000)], [3_000, 3_750, 3_750, 4_687]);
    assert_eq!([serve(60_000), serve(60_000), serve(3_600_000)], [5_859, 6_000, 6_000]);
}
