//! The headers of limits by example: every name, and every form of what stands behind it.

use relay_headers::Value;

use super::*;

/// 2026-11-20 12:00:00 UTC, in seconds since the Unix epoch.
const NOON: u64 = 1_795_176_000;
/// The same, as a `Date` header has it.
const NOON_DATE: &str = "Fri, 20 Nov 2026 12:00:00 GMT";

fn at(seconds: u64) -> Time {
    Time::from_epoch(Duration::from_secs(seconds))
}

fn read(now: u64, headers: &[(&'static str, &str)]) -> Quota {
    let mut list = Headers::default();
    for (name, value) in headers {
        list.add(name, Value::new(value.as_bytes()).unwrap());
    }
    quota(&list, Pool::Ordinary, at(now))
}

#[test]
fn a_faster_answer_is_told_of_limits_of_its_own_and_others_of_theirs() {
    let mut list = Headers::default();
    for (name, value) in [
        ("anthropic-fast-input-tokens-limit", "100000"),
        ("anthropic-fast-input-tokens-remaining", "7000"),
        ("anthropic-fast-input-tokens-reset", "2026-11-20T12:00:03Z"),
        ("anthropic-fast-output-tokens-limit", "20000"),
        ("anthropic-fast-output-tokens-remaining", "0"),
        ("anthropic-fast-tokens-limit", "1"),
        ("anthropic-priority-input-tokens-remaining", "2"),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-input-tokens-limit", "30000"),
        ("anthropic-ratelimit-tokens-remaining", "3"),
        ("retry-after", "4"),
    ] {
        list.add(name, Value::new(value.as_bytes()).unwrap());
    }
    let limit = |limit| Gauge { limit: Some(limit), ..Gauge::default() };
    let waits = Some(Duration::from_secs(4));
    let fast = Quota {
        input: Gauge { remaining: Some(7_000), reset: Some(at(NOON + 3)), ..limit(100_000) },
        output: Gauge { remaining: Some(0), ..limit(20_000) },
        retry_after: waits,
        ..Quota::default()
    };
    assert_eq!(quota(&list, Pool::Fast, at(NOON)), fast);
    let ordinary = Quota {
        requests: limit(50),
        input: limit(30_000),
        tokens: Gauge { remaining: Some(3), ..Gauge::default() },
        retry_after: waits,
        ..Quota::default()
    };
    assert_eq!(quota(&list, Pool::Ordinary, at(NOON)), ordinary);
}

#[test]
fn w29_the_whole_family_of_anthropic_is_read() {
    let quota = read(
        NOON,
        &[
            ("anthropic-organization-id", "0b6f-org"),
            ("anthropic-workspace-id", "wrkspc_1"),
            ("anthropic-ratelimit-requests-limit", "1000"),
            ("anthropic-ratelimit-requests-remaining", "999"),
            ("anthropic-ratelimit-requests-reset", "2026-11-20T12:00:01Z"),
            ("anthropic-ratelimit-input-tokens-limit", "2000000"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-20T13:00:30.5+01:00"),
            ("anthropic-ratelimit-output-tokens-remaining", "400000"),
            ("anthropic-ratelimit-tokens-reset", "1795176060"),
            ("retry-after", "12"),
            ("x-should-retry", "false"),
        ],
    );
    let expect = Quota {
        organization: Some("0b6f-org".to_owned()),
        workspace: Some("wrkspc_1".to_owned()),
        requests: Gauge { limit: Some(1000), remaining: Some(999), reset: Some(at(NOON + 1)) },
        input: Gauge {
            limit: Some(2_000_000),
            remaining: Some(0),
            reset: Some(at(NOON) + Duration::from_millis(30_500)),
        },
        output: Gauge { remaining: Some(400_000), ..Gauge::default() },
        tokens: Gauge { reset: Some(at(NOON + 60)), ..Gauge::default() },
        unified: None,
        retry_after: Some(Duration::from_secs(12)),
        should_retry: Some(false),
    };
    assert_eq!(quota, expect);
}

#[test]
fn no_header_tells_nothing() {
    assert_eq!(read(NOON, &[("date", NOON_DATE)]), Quota::default());
}

#[test]
fn values_that_cannot_be_read_are_ignored_one_by_one() {
    let quota = read(
        NOON,
        &[
            ("anthropic-organization-id", " "),
            ("anthropic-ratelimit-requests-limit", "-1"),
            ("anthropic-ratelimit-requests-remaining", "many"),
            ("anthropic-ratelimit-requests-reset", "2026-13-45T00:00:00Z"),
            ("anthropic-ratelimit-tokens-limit", " 7 "),
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-reset-requests", "soon"),
            ("x-ratelimit-reset-tokens", "1.5.5s"),
            ("anthropic-ratelimit-unified-status", "maybe"),
            ("anthropic-ratelimit-unified-reset", "1e9"),
            ("retry-after", "later"),
            ("retry-after-ms", "-5"),
            ("x-should-retry", "perhaps"),
            ("date", "today"),
        ],
    );
    let expect = Quota {
        requests: Gauge { limit: Some(60), ..Gauge::default() },
        tokens: Gauge { limit: Some(7), ..Gauge::default() },
        ..Quota::default()
    };
    assert_eq!(quota, expect);
}

#[test]
fn the_headers_of_anthropic_go_before_those_of_others() {
    let quota = read(
        NOON,
        &[
            ("anthropic-ratelimit-tokens-limit", "1"),
            ("anthropic-ratelimit-tokens-remaining", "2"),
            ("anthropic-ratelimit-tokens-reset", "2026-11-20T12:00:03Z"),
            ("x-ratelimit-limit-tokens", "4"),
            ("x-ratelimit-remaining-tokens", "5"),
            ("x-ratelimit-reset-tokens", "6s"),
        ],
    );
    assert_eq!(quota.tokens, Gauge { limit: Some(1), remaining: Some(2), reset: Some(at(NOON + 3)) });
}

#[test]
fn a_moment_is_taken_relative_to_the_date_of_its_answer() {
    // Our clock is an hour behind theirs.
    let now = NOON - 3600;
    let quota = read(
        now,
        &[
            ("date", NOON_DATE),
            ("anthropic-ratelimit-requests-reset", "2026-11-20T12:00:10Z"),
            ("anthropic-ratelimit-tokens-reset", "2026-11-20T11:59:50Z"),
            ("anthropic-ratelimit-unified-reset", "1795176300"),
            ("x-ratelimit-reset-tokens", "1s"),
            ("retry-after", "Fri, 20 Nov 2026 12:00:30 GMT"),
        ],
    );
    assert_eq!(quota.requests.reset, Some(at(now + 10)));
    assert_eq!(quota.tokens.reset, Some(at(now - 10)));
    assert_eq!(quota.unified.unwrap().reset, Some(at(now + 300)));
    assert_eq!(quota.retry_after, Some(Duration::from_secs(30)));
}

#[test]
fn the_time_to_wait_is_read_in_every_form() {
    for (headers, expect) in [
        (&[("retry-after", "0")][..], Some(0)),
        (&[("retry-after", "124633")], Some(124_633_000)),
        (&[("retry-after", "1.5")], Some(1_500)),
        (&[("retry-after", "0.0005")], Some(0)),
        (&[("retry-after-ms", "250")], Some(250)),
        (&[("retry-after-ms", "250"), ("retry-after", "7")], Some(250)),
        (&[("retry-after-ms", "x"), ("retry-after", "7")], Some(7_000)),
        (&[("retry-after", "Fri, 20 Nov 2026 12:00:30 GMT")], Some(30_000)),
        (&[("retry-after", "Fri, 20 Nov 2026 11:00:00 GMT")], Some(0)),
        (&[("retry-after", "Mon, 20 Nov 2026 12:00:30 GMT")], Some(30_000)),
        (&[("retry-after", "-1")], None),
        (&[("retry-after", "1e3")], None),
        (&[("retry-after", "inf")], None),
        (&[("retry-after", ".5")], None),
        (&[("retry-after", "5.")], None),
        (&[("retry-after", "+5")], None),
        (&[("retry-after", "1.+5")], None),
        (&[("retry-after", "1.0000000005x")], None),
        (&[("retry-after", "99999999999999999999")], None),
        // A moment where a wait belongs, and what can be neither.
        (&[("retry-after", "1795176030")], Some(30_000)),
        (&[("retry-after", "1795176030000")], Some(30_000)),
        (&[("retry-after", "18446744073709551615")], None),
    ] {
        let wait = read(NOON, headers).retry_after;
        assert_eq!(wait.map(|wait| wait.as_millis()), expect, "{headers:?}");
    }
}

#[test]
fn whether_to_retry_is_said_in_two_words_only() {
    for (text, expect) in [("true", Some(true)), ("false", Some(false)), ("True", None), ("1", None)] {
        assert_eq!(read(NOON, &[("x-should-retry", text)]).should_retry, expect, "{text}");
    }
}

#[test]
fn w29_a_reset_of_other_servers_is_a_duration_or_a_moment() {
    for (text, expect) in [
        ("6m0s", Some(360_000)),
        ("1.5s", Some(1_500)),
        ("20ms", Some(20)),
        ("1h2m3.5s", Some(3_723_500)),
        ("2d", Some(172_800_000)),
        ("0s", Some(0)),
        ("1500us", Some(1)),
        ("2000000ns", Some(2)),
        ("12", Some(12_000)),
        ("0.25", Some(250)),
        ("31622400", Some(31_622_400_000)),
        ("1795176030", Some(30_000)),
        ("1795176030.5", Some(30_500)),
        ("1795176030250", Some(30_250)),
        ("2026-11-20T12:00:30Z", Some(30_000)),
        ("6", Some(6_000)),
        ("6x", None),
        ("s", None),
        ("6m5", None),
        ("-6s", None),
        ("6 m", None),
    ] {
        for now in [NOON, NOON + 86_400] {
            let headers = [("x-ratelimit-reset-requests", text), ("date", NOON_DATE)];
            let reset = read(now, &headers).requests.reset;
            assert_eq!(reset.map(|reset| reset.since(at(now)).as_millis()), expect, "{text}");
        }
    }
    // What lies between the longest wait and today is a moment long past.
    let headers = [("x-ratelimit-reset-tokens", "31622401"), ("date", NOON_DATE)];
    assert_eq!(read(NOON, &headers).tokens.reset, Some(at(31_622_401)));
    let headers = [("x-ratelimit-reset-tokens", "999999999999"), ("date", NOON_DATE)];
    assert_eq!(read(NOON, &headers).tokens.reset, None);
}

#[test]
fn the_windows_of_a_subscription_are_read() {
    for (text, status) in [
        ("allowed", UnifiedStatus::Allowed),
        ("allowed_warning", UnifiedStatus::Warning),
        ("rejected", UnifiedStatus::Rejected),
    ] {
        let unified = read(NOON, &[("anthropic-ratelimit-unified-status", text)]).unified;
        assert_eq!(unified, Some(Unified { status: Some(status), ..Unified::default() }));
    }
    let windows = [
        ("anthropic-ratelimit-unified-5h-reset", "1795176001"),
        ("anthropic-ratelimit-unified-7d-reset", "1795176002"),
        ("anthropic-ratelimit-unified-7d_opus-reset", "1795176003"),
        ("anthropic-ratelimit-unified-7d_sonnet-reset", "1795176004"),
        ("anthropic-ratelimit-unified-7d_oi-reset", "1795176005"),
    ];
    for (claim, seconds) in [
        ("five_hour", Some(1)),
        ("seven_day", Some(2)),
        ("seven_day_opus", Some(3)),
        ("seven_day_sonnet", Some(4)),
        ("seven_day_overage_included", Some(5)),
        ("thirty_day", None),
    ] {
        let claimed = [&windows[..], &[("anthropic-ratelimit-unified-representative-claim", claim)]].concat();
        let unified = read(NOON, &claimed).unified.unwrap();
        assert_eq!(unified.reset, seconds.map(|seconds| at(NOON + seconds)));
        assert_eq!(unified.claim.as_deref(), Some(claim));

        let general = [&claimed[..], &[("anthropic-ratelimit-unified-reset", "1795176009")]].concat();
        assert_eq!(read(NOON, &general).unified.unwrap().reset, Some(at(NOON + 9)));
    }
}

/// The 429 of an account whose window of one family of models was used up, as it was captured on 2026-08-02 and
/// published by those whom it met; its moments are moved to the time of these tests.
#[test]
fn every_window_of_a_captured_answer_is_read() {
    let quota = read(
        NOON,
        &[
            ("anthropic-ratelimit-unified-5h-reset", "1795176212"),
            ("anthropic-ratelimit-unified-5h-status", "allowed"),
            ("anthropic-ratelimit-unified-5h-utilization", "0.0"),
            ("anthropic-ratelimit-unified-7d-reset", "1795227812"),
            ("anthropic-ratelimit-unified-7d-status", "allowed_warning"),
            ("anthropic-ratelimit-unified-7d-surpassed-threshold", "0.75"),
            ("anthropic-ratelimit-unified-7d-utilization", "0.94"),
            ("anthropic-ratelimit-unified-7d_oi-reset", "1795227812"),
            ("anthropic-ratelimit-unified-7d_oi-status", "rejected"),
            ("anthropic-ratelimit-unified-7d_oi-surpassed-threshold", "1.0"),
            ("anthropic-ratelimit-unified-7d_oi-utilization", "1.0"),
            ("anthropic-ratelimit-unified-fallback-percentage", "0.5"),
            ("anthropic-ratelimit-unified-overage-disabled-reason", "org_level_disabled"),
            ("anthropic-ratelimit-unified-overage-status", "rejected"),
            ("anthropic-ratelimit-unified-representative-claim", "seven_day_overage_included"),
            ("anthropic-ratelimit-unified-reset", "1795227812"),
            ("anthropic-ratelimit-unified-status", "rejected"),
            ("retry-after", "51811"),
            ("x-should-retry", "true"),
        ],
    );
    let window = |name, status, used, reset| WindowReading {
        name: WindowName::of(name).unwrap(),
        status: Some(status),
        used: Some(Share(used)),
        reset: Some(at(reset)),
    };
    let expect = Unified {
        status: Some(UnifiedStatus::Rejected),
        reset: Some(at(1_795_227_812)),
        claim: Some("seven_day_overage_included".to_owned()),
        windows: vec![
            window("5h", UnifiedStatus::Allowed, 0, 1_795_176_212),
            window("7d", UnifiedStatus::Warning, 940_000, 1_795_227_812),
            window("7d_oi", UnifiedStatus::Rejected, 1_000_000, 1_795_227_812),
        ],
        overage: Some(UnifiedStatus::Rejected),
        overage_in_use: false,
    };
    assert_eq!(quota.unified, Some(expect));
    assert_eq!(quota.retry_after, Some(Duration::from_secs(51_811)));
}

#[test]
fn how_much_of_a_window_is_used_is_a_decimal_fraction() {
    for (text, expect) in [
        ("0", Some(0)),
        ("0.0", Some(0)),
        ("0.02", Some(20_000)),
        ("0.4711", Some(471_100)),
        ("1", Some(1_000_000)),
        ("1.01", Some(1_010_000)),
        ("0.33333333333333333", Some(333_333)),
        ("10.000001", None),
        ("42", None),
        ("-0.1", None),
        ("5e-05", None),
        (".5", None),
        ("50%", None),
        ("NaN", None),
        ("", None),
    ] {
        let headers = [
            ("anthropic-ratelimit-unified-5h-utilization", text),
            ("anthropic-ratelimit-unified-5h-status", "allowed"),
        ];
        let windows = read(NOON, &headers).unified.unwrap().windows;
        assert_eq!(windows.len(), 1);
        assert_eq!(windows[0].used, expect.map(Share), "{text}");
        assert_eq!(windows[0].status, Some(UnifiedStatus::Allowed), "its other values stand");
    }
}

#[test]
fn what_is_called_like_a_window_is_one_and_nothing_else_is() {
    for (name, is_one) in [
        ("5h", true),
        ("7d", true),
        ("7d_opus", true),
        ("7d_oi", true),
        ("30d_later", true),
        ("90m", true),
        ("2w", true),
        ("overage", false),
        ("fallback", false),
        ("slow", false),
        ("h", false),
        ("0h", false),
        ("5x", false),
        ("+5h", false),
        ("99999999999999999999d", false),
        ("7d_a_name_that_no_window_ever_had", false),
    ] {
        let header = format!("anthropic-ratelimit-unified-{name}-utilization").leak();
        let unified = read(NOON, &[(header, "0.5")]).unified;
        let names: Vec<_> = unified.iter().flat_map(|unified| &unified.windows).collect();
        assert_eq!(names.len(), usize::from(is_one), "{name}");
    }
}

#[test]
fn overage_is_read_as_far_as_a_decision_needs_it() {
    for (headers, overage, in_use) in [
        (
            &[("anthropic-ratelimit-unified-overage-status", "allowed")][..],
            Some(UnifiedStatus::Allowed),
            false,
        ),
        (&[("anthropic-ratelimit-unified-overage-in-use", "true")], None, true),
        (
            &[
                ("anthropic-ratelimit-unified-overage-status", "rejected"),
                ("anthropic-ratelimit-unified-overage-in-use", "false"),
            ],
            Some(UnifiedStatus::Rejected),
            false,
        ),
    ] {
        let unified = read(NOON, headers).unified.unwrap();
        assert_eq!((unified.overage, unified.overage_in_use), (overage, in_use), "{headers:?}");
    }
}

#[test]
fn no_answer_makes_the_relay_keep_more_windows_than_there_can_be() {
    let names: Vec<&'static str> =
        (1..40).map(|hours| &*format!("anthropic-ratelimit-unified-{hours}h-utilization").leak()).collect();
    let headers: Vec<_> = names.into_iter().map(|name| (name, "0.1")).collect();
    assert_eq!(read(NOON, &headers).unified.unwrap().windows.len(), MOST_WINDOWS);
}

#[test]
fn the_longest_duration_does_not_wrap() {
    assert_eq!(duration("18446744073709551615s1s"), None);
    assert_eq!(duration("18446744073709551615h"), None);
    assert_eq!(duration(""), None);
    let reset = read(NOON, &[("x-ratelimit-reset-tokens", "18446744073709551615s")]).tokens.reset;
    assert_eq!(reset, None, "nobody waits for so long");
}

#[test]
fn a_moment_that_is_years_ahead_is_none() {
    let (soon, late) = ("2026-11-21T12:00:00Z", "2099-08-22T12:00:00Z");
    let (soon_date, late_date) = ("Sat, 21 Nov 2026 12:00:00 GMT", "Sat, 22 Aug 2099 12:00:00 GMT");
    let tomorrow = Time::from_epoch(Duration::from_secs(NOON) + Duration::from_hours(24));
    let resets = |text: &'static str| {
        let names = [
            "anthropic-ratelimit-tokens-reset",
            "x-ratelimit-reset-tokens",
            "anthropic-ratelimit-unified-5h-reset",
            "anthropic-ratelimit-unified-reset",
        ];
        names.map(|name| {
            let quota = read(NOON, &[(name, text)]);
            let window = |unified: relay_core::Unified| {
                unified.reset.or_else(|| unified.windows.first().and_then(|window| window.reset))
            };
            quota.tokens.reset.or_else(|| quota.unified.and_then(window))
        })
    };
    assert_eq!(resets(soon), [Some(tomorrow); 4]);
    assert_eq!(resets(late), [None; 4]);
    assert_eq!(resets("4090651200"), [None; 4], "the same in seconds");
    let pause = |text: &'static str| read(NOON, &[("retry-after", text)]).retry_after;
    assert_eq!(pause(soon_date), Some(Duration::from_hours(24)));
    for text in [late_date, "4090651200", "999999999"] {
        assert_eq!(pause(text), None, "{text}");
    }
}

#[test]
fn names_are_the_same_in_any_letters() {
    let quota = read(
        NOON,
        &[("Retry-After", "12"), ("ANTHROPIC-RateLimit-Requests-Limit", "7"), ("X-Should-Retry", "true")],
    );
    assert_eq!(quota.retry_after, Some(Duration::from_secs(12)));
    assert_eq!((quota.requests.limit, quota.should_retry), (Some(7), Some(true)));
}

#[test]
fn how_long_to_wait_stands_in_words_too() {
    let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
    for (words, expect) in [
        (
            "Rate limit reached on tokens per min: Limit 10000, Used 9000. Please try again in 1m12.5s. Visit",
            seconds(72.5),
        ),
        ("You exceeded your current quota. Please retry in 17.25s.", seconds(17.25)),
        ("Please try again in 350ms", seconds(0.35)),
        ("Please try again in a moment.", None),
        ("Please try again in 99999999999h", None),
        ("retry in ", None),
        ("", None),
    ] {
        assert_eq!(wait_in_words(words), expect, "{words}");
    }
}
