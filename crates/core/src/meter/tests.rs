//! Buckets by hand, and against what is reckoned from scratch.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

impl Meter {
    fn limited(rate: u64, burst: Duration, now: Time) -> Self {
        let mut meter = Self::default();
        meter.limit(rate, burst, now);
        meter
    }
}

const START: Time = Time::from_epoch(Duration::from_secs(1_795_000_000));

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

fn flow() -> impl Strategy<Value = Flow> {
    (0_u64..60_000, proptest::option::of(1_u64..5_000)).prop_map(|(units, pace)| Flow { units, pace })
}

proptest! {
    /// Of what is taken at once: the promised moment is the first.
    #[test]
    fn the_moment_of_something_taken_at_once_is_exact(
        rate in 1_u64..10_000_000,
        burst in 1_u64..120_000,
        taken in 0_u64..1_000_000,
        promised in 0_u64..100_000,
        need in 0_u64..2_000_000,
        pause in 0_u64..90_000,
    ) {
        let mut meter = Meter::limited(rate, millis(burst), START);
        meter.take(taken, START);
        let now = START + millis(pause);
        let flow = Flow::at_once(need);
        meter.promise(&Flows::of(Flow::at_once(promised)));
        let at = meter.admissible_at(flow, &Flows::NONE, now).expect("it is refilled");
        prop_assert!(at >= now);
        // What was promised is taken meanwhile, whenever that is: now, say.
        meter.release(&Flows::of(Flow::at_once(promised)));
        meter.take(promised, now);
        prop_assert!(meter.admits(flow, &Flows::NONE, at));
        prop_assert!(at == now || !meter.admits(flow, &Flows::NONE, at.before(nanos(1))));
    }

    /// However it is promised, taken and released, as much at a time as was said: never more is taken than there is.
    #[test]
    fn what_was_promised_is_there_when_it_is_taken(
        rate in 60_u64..1_000_000,
        burst in 100_u64..60_000,
        arrivals in vec((0_u64..4_000, flow()), 1..40),
    ) {
        let mut meter = Meter::limited(rate, millis(burst), START);
        let (mut now, mut running): (Time, Vec<(Flow, Time)>) = (START, Vec::new());
        let mut lowest = i128::MAX;
        for (pause, flow) in arrivals {
            // A step at a time, so that it is seen what happens in between.
            for _ in 0..=(pause / 250) {
                now = now + millis(250);
                running.retain_mut(|(left, since)| {
                    let elapsed = u64::try_from(now.since(*since).as_millis()).unwrap();
                    let due = left.pace.map_or(left.units, |pace| (pace * elapsed / 1000).min(left.units));
                    meter.release(&Flows::of(*left));
                    meter.take(due, now);
                    *left = Flow { units: left.units - due, ..*left };
                    meter.promise(&Flows::of(*left));
                    *since = now;
                    left.units > 0
                });
                lowest = lowest.min(meter.bucket.as_ref().unwrap().level_at(now));
            }
            let fits = parts(flow.units) <= meter.bucket.as_ref().unwrap().capacity.get();
            if fits && meter.admits(flow, &Flows::NONE, now) {
                meter.promise(&Flows::of(flow));
                running.push((flow, now));
            }
        }
        // Between two of the moments ahead it is a guess; it is off by less than a tenth of what a second adds
        // for each of those that run.
        let tolerance = i128::from(rate) * 100_000_000 * 40;
        prop_assert!(lowest >= -tolerance, "{lowest}");
    }

    #[test]
    fn what_is_admitted_has_its_moment_now(
        rate in 1_u64..1_000_000, burst in 1_u64..60_000, taken in 0_u64..100_000,
        promised in vec(flow(), 0..6), wanted in flow(), ahead in vec(flow(), 0..3),
    ) {
        let mut meter = Meter::limited(rate, millis(burst), START);
        meter.take(taken, START);
        for flow in promised {
            meter.promise(&Flows::of(flow));
        }
        let mut flows = Flows::NONE;
        for flow in ahead {
            flows.add(flow);
        }
        let at = meter.admissible_at(wanted, &flows, START).expect("it is refilled");
        prop_assert_eq!(at == START, meter.admits(wanted, &flows, START), "{:?}", at);
    }

    #[test]
    fn refill_does_not_depend_on_how_often_one_looks(
        rate in 0_u64..10_000_000,
        taken in 0_u64..1_000_000,
        pauses in vec(0_u64..10_000_000_000, 0..20),
    ) {
        let mut often = Meter::limited(rate, millis(6_000), START);
        often.take(taken, START);
        let mut once = often.clone();
        let mut now = START;
        for pause in pauses {
            now = now + nanos(pause);
            often.take(0, now);
        }
        once.take(0, now);
        prop_assert_eq!(often, once);
    }

    #[test]
    fn what_is_released_was_as_if_it_had_never_been_promised(flows in vec(flow(), 0..10), other in flow()) {
        let mut meter = Meter::limited(60_000, millis(6_000), START);
        meter.promise(&Flows::of(other));
        let before = meter.clone();
        for flow in &flows {
            meter.promise(&Flows::of(*flow));
        }
        for flow in &flows {
            meter.release(&Flows::of(*flow));
        }
        prop_assert_eq!(meter, before);
    }
}

#[test]
fn slow_answers_that_the_refill_covers_hold_nothing_back() {
    // 6,000 a minute are 100 a second, and 600 fit.
    let mut meter = Meter::limited(6_000, millis(6_000), START);
    let answer = Flow { units: 4_000, pace: Some(40) };
    let admitted = (0..10).take_while(|_| {
        let admits = meter.admits(answer, &Flows::NONE, START);
        if admits {
            meter.promise(&Flows::of(answer));
        }
        admits
    });
    // Two take 80 a second, for ever. The third makes it 120: for 100 s that is 2,000 too much.
    assert_eq!(admitted.count(), 2);
    let third = meter.admissible_at(answer, &Flows::NONE, START).unwrap();
    assert!(third > START, "{third:?}");
    let short = Flow { units: 400, pace: Some(40) };
    assert!(meter.admits(short, &Flows::NONE, START), "ten seconds of 20 too much are there");
}

/// A hundred a second, of which six hundred fit; and an answer that takes 120 a second until it has had two
/// thousand. What it leaves is least after fifteen seconds: 236.
fn busy() -> Meter {
    let mut meter = Meter::limited(6_000, millis(6_000), START);
    meter.promise(&Flows::of(Flow { units: 2_000, pace: Some(120) }));
    meter
}

#[test]
fn what_is_taken_at_once_leaves_slow_answers_what_they_are_promised() {
    let meter = busy();
    assert!(meter.admits(Flow::at_once(236), &Flows::NONE, START));
    assert!(!meter.admits(Flow::at_once(237), &Flows::NONE, START));
    let mut ahead = Flows::NONE;
    ahead.add(Flow { units: 2_000, pace: Some(120) });
    let idle = Meter::limited(6_000, millis(6_000), START);
    assert!(idle.admits(Flow::at_once(236), &ahead, START));
    assert!(!idle.admits(Flow::at_once(237), &ahead, START));
}

#[test]
fn behind_slow_answers_the_moment_is_when_what_they_leave_has_risen_again() {
    let moment = |meter: &Meter, flow| meter.admissible_at(flow, &Flows::NONE, START).unwrap().since(START);
    // From 236 after fifteen seconds to 900 after twenty-three: one of 664 takes so many nanoseconds.
    assert_eq!(moment(&busy(), Flow::at_once(237)), millis(15_000) + nanos(8_000_000_000_u64.div_ceil(664)));
    // Of 236 after fifteen seconds, all but a piece may have been taken at fifty a second.
    let slow = Flow { units: 1_000, pace: Some(50) };
    assert_eq!(moment(&busy(), slow), millis(15_000).checked_sub(millis((236 - 64) * 1_000 / 50)).unwrap());
    // Of more than it holds, what it gains meanwhile: 900 after twenty-three seconds are three more than full.
    let fast = Flow { units: 5_000, pace: Some(5_000) };
    assert_eq!(moment(&busy(), fast), millis(20_000));
    // 77 s ahead more is promised than there will be: what is missing then is gained after that.
    let mut meter = Meter::limited(6_000, millis(6_000), START);
    meter.promise(&Flows::of(Flow { units: 100_000, pace: Some(120) }));
    let missing = 77 * 120 + 64 + 10 - (600 + 77 * 100);
    assert_eq!(moment(&meter, Flow::at_once(10)), millis(77_000 + missing * 10));
}

#[test]
fn a_backlog_is_what_is_missing_at_the_worst_moment_ahead_and_half_of_what_one_needs() {
    let mut meter = Meter::limited(6_000, millis(6_000), START);
    meter.take(100, START);
    let of = |meter: &Meter, units, ahead: &Flows| {
        let (wait, takes) = meter.backlog(units, ahead, START);
        (wait / 1_000_000, takes / 1_000_000)
    };
    assert_eq!(of(&meter, 50, &Flows::NONE), (1_250, 500));
    let mut ahead = Flows::NONE;
    ahead.add(Flow::at_once(200));
    assert_eq!(of(&meter, 50, &ahead), (3_250, 500));
    assert_eq!(of(&busy(), 50, &Flows::NONE), (3_640 + 250, 500));
    assert_eq!(of(&busy(), 50, &ahead), (5_640 + 250, 500));
    assert_eq!(of(&meter, 1_000_000_000, &Flows::NONE), (5_000_001_000, 10_000_000_000));
    assert_eq!(of(&Meter::default(), 50, &ahead), (0, 0));
    assert_eq!(of(&Meter::limited(0, millis(1), START), 1, &Flows::NONE), (30_000, 60_000));
}

#[test]
fn of_two_that_turn_out_to_be_one_all_that_is_promised_stays_so() {
    let (mut one, mut other) = (busy(), busy());
    other.promise(&Flows::of(Flow::at_once(7)));
    one.take(3, START);
    other.take(5, START);
    let mut both = busy();
    both.promise(&Flows::of(Flow { units: 2_000, pace: Some(120) }));
    both.promise(&Flows::of(Flow::at_once(7)));
    one.absorb(&other, START);
    assert_eq!((one.promised, one.taken), (both.promised, 8));
}

#[test]
fn a_need_above_the_capacity_is_admitted_when_it_is_full() {
    let mut meter = Meter::limited(600, millis(6_000), START);
    let large = Flow::at_once(1_000);
    assert!(meter.admits(large, &Flows::NONE, START));
    meter.take(1_000, START);
    assert_eq!(meter.available(START), Some(0));
    let full = START + Duration::from_secs(100);
    assert_eq!(
        meter.admissible_at(large, &Flows::NONE, START),
        Some(full),
        "debt is repaid and not forgiven"
    );
}

#[test]
fn a_bucket_without_a_rate_is_never_refilled() {
    let mut meter = Meter::limited(0, millis(6_000), START);
    assert!(meter.admits(Flow::at_once(1), &Flows::NONE, START), "it holds one");
    meter.take(1, START);
    assert_eq!(meter.admissible_at(Flow::at_once(1), &Flows::NONE, START), None);
}

#[test]
fn headers_move_it_as_far_as_they_prove() {
    let mut meter = Meter::limited(600, millis(6_000), START);
    meter.raise(1_000, START);
    assert_eq!(meter.available(START), Some(60), "it holds no more");
    meter.lower(-5, START);
    assert_eq!(
        meter.admissible_at(Flow::at_once(5), &Flows::NONE, START),
        Some(START + Duration::from_secs(1))
    );
    meter.lower(3, START);
    meter.raise(-7, START);
    assert_eq!(meter.available(START + Duration::from_secs(1)), Some(5));
    meter.set_burst(millis(60_000), START);
    meter.limit(1_200, millis(6_000), START + Duration::from_secs(1));
    assert_eq!(meter.available(START + Duration::from_secs(2)), Some(25));
    assert_eq!(meter.available(START + Duration::from_mins(1)), Some(120), "it is another bucket");
    meter.limit(60, millis(6_000), START + Duration::from_mins(1));
    assert_eq!(meter.available(START + Duration::from_mins(1)), Some(6));
}

#[test]
fn what_was_sent_is_on_its_way_for_a_quarter_of_a_second_to_half_of_one() {
    let at = |millis| Time::from_epoch(Duration::from_secs(1_000)) + Duration::from_millis(millis);
    let mut recent = Recent::default();
    recent.add(10, at(0));
    for (millis, expect) in [(0, 10), (249, 10), (250, 10), (499, 10), (500, 0), (9_999, 0)] {
        assert_eq!(recent.units(at(millis)), expect, "{millis} ms");
    }
    recent.add(5, at(300));
    for (millis, expect) in [(300, 15), (499, 15), (500, 5), (749, 5), (750, 0)] {
        assert_eq!(recent.units(at(millis)), expect, "{millis} ms");
    }
    recent.add(3, at(760));
    assert_eq!((recent.units(at(1_009)), recent.units(at(1_260))), (3, 0), "it began anew");
}

#[test]
fn what_is_remembered_of_a_bucket_fills_none_that_is_known_and_makes_none_without_a_rate() {
    let now = Time::from_epoch(Duration::from_secs(1_000));
    let mut meter = Meter::default();
    meter.recall(0, Duration::from_secs(6), now, now);
    assert_eq!(meter.rate(), None);
    meter.limit(6_000, Duration::from_secs(6), now);
    meter.take(600, now);
    assert_eq!(meter.available(now), Some(0));
    meter.recall(6_000, Duration::from_mins(1), now, now);
    assert_eq!((meter.available(now), meter.burst()), (Some(0), Some(Duration::from_secs(6))));
}

/// A bucket of 60 a minute that holds twelve, of which so many were taken.
fn of_twelve(taken: u64) -> Meter {
    let mut meter = Meter::limited(60, Duration::from_secs(12), START);
    meter.take(taken, START);
    meter
}

#[test]
fn of_two_that_turn_out_to_be_one_the_lower_level_and_the_newer_limit_hold() {
    let later = START + Duration::from_secs(1);
    let joined = |mut one: Meter, other: &Meter, now| {
        one.absorb(other, now);
        (one.rate(), one.available(now))
    };
    assert_eq!(joined(of_twelve(5), &of_twelve(9), START), (Some(60), Some(3)));
    assert_eq!(joined(of_twelve(9), &of_twelve(5), START), (Some(60), Some(3)));
    // A second on, either has gained one.
    assert_eq!(joined(of_twelve(9), &of_twelve(5), later), (Some(60), Some(4)));
    let newer = Meter::limited(600, Duration::from_secs(1), later);
    assert_eq!(joined(of_twelve(0), &newer, later), (Some(600), Some(10)), "it holds no more than that");
    assert_eq!(joined(newer.clone(), &of_twelve(0), later), (Some(600), Some(10)));
    assert_eq!(joined(newer, &of_twelve(9), later), (Some(600), Some(4)));
    let unlimited = Meter::default();
    assert_eq!(joined(unlimited.clone(), &unlimited, later), (None, None));
    assert_eq!(joined(unlimited.clone(), &of_twelve(5), START), (Some(60), Some(7)));
    assert_eq!(joined(of_twelve(5), &unlimited, START), (Some(60), Some(7)));
}

#[test]
fn what_either_has_under_way_is_taken_from_the_others_level_too() {
    let sent = |mut meter: Meter, units| {
        meter.send(units, START);
        meter
    };
    let joined = |mut one: Meter, other: &Meter| {
        one.absorb(other, START);
        (one.available(START), one.taken(), one.unseen(), one.in_transit(START))
    };
    let unlimited = Meter::default;
    // Of the limited one there are twelve; what was sent with the other is not in that yet.
    assert_eq!(joined(sent(of_twelve(0), 2), &sent(unlimited(), 3)), (Some(7), 5, 5, 5));
    assert_eq!(joined(sent(unlimited(), 3), &sent(of_twelve(0), 2)), (Some(7), 5, 5, 5));
    assert_eq!(joined(sent(of_twelve(0), 2), &sent(of_twelve(0), 3)), (Some(7), 5, 5, 5));
    // What the provider has seen is in what it says.
    let mut seen = sent(of_twelve(0), 3);
    seen.see(3);
    assert_eq!(joined(sent(of_twelve(0), 2), &seen), (Some(7), 5, 2, 2), "the other has nine, less two");
    assert_eq!(joined(of_twelve(0), &seen), (Some(9), 3, 0, 0));
}

#[test]
fn a_bucket_is_full_when_what_is_missing_has_come_in() {
    assert_eq!(Meter::default().fills_at(START), None);
    assert_eq!(of_twelve(0).fills_at(START), Some(START));
    let missing = of_twelve(5);
    for (after, left) in [(0, 5), (2, 3), (5, 0), (60, 0)] {
        let now = START + Duration::from_secs(after);
        assert_eq!(missing.fills_at(now), Some(now + Duration::from_secs(left)));
    }
    // What is promised is not taken.
    let mut promised = of_twelve(5);
    promised.promise(&Flows::of(Flow::at_once(4)));
    assert_eq!(promised.fills_at(START), Some(START + Duration::from_secs(5)));
    assert_eq!(promised.full(), Some(START + Duration::from_secs(9)), "as it will be");
}
