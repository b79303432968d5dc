//! Plain values: what headers say, what tokens add up to, how things are named.

use std::time::Duration;

use relay_core::select::{Candidate, Select};
use relay_core::{
    Breakage, Class, Extent, Families, Gauge, Key, KeyId, Provider, ProviderId, Quota, Roll, Strategy, Time,
    Unified, UnifiedStatus, Usage, Verdict,
};

const T: Time = Time::from_epoch(Duration::from_secs(1_000));

fn later(seconds: u64) -> Time {
    T + Duration::from_secs(seconds)
}

fn empty(reset: Option<Time>) -> Gauge {
    Gauge { limit: Some(50), remaining: Some(0), reset }
}

fn window(status: UnifiedStatus, reset: Time) -> Unified {
    Unified { status: Some(status), reset: Some(reset), ..Unified::default() }
}

#[test]
fn a_gauge_is_known_by_any_of_its_headers() {
    assert!(!Gauge::default().is_known());
    assert!(Gauge { limit: Some(0), ..Gauge::default() }.is_known());
    assert!(Gauge { remaining: Some(0), ..Gauge::default() }.is_known());
    assert!(Gauge { reset: Some(T), ..Gauge::default() }.is_known());
}

#[test]
fn headers_speak_of_limits_if_any_of_them_is_about_one() {
    let gauge = Gauge { limit: Some(1), ..Gauge::default() };
    let nothing = Quota {
        organization: Some("o".to_owned()),
        workspace: Some("w".to_owned()),
        should_retry: Some(true),
        ..Quota::default()
    };
    assert!(!nothing.speaks_of_limits());
    for quota in [
        Quota { requests: gauge, ..nothing.clone() },
        Quota { input: gauge, ..nothing.clone() },
        Quota { output: gauge, ..nothing.clone() },
        Quota { tokens: gauge, ..nothing.clone() },
        Quota { unified: Some(Unified::default()), ..nothing.clone() },
        Quota { retry_after: Some(Duration::ZERO), ..nothing.clone() },
    ] {
        assert!(quota.speaks_of_limits(), "{quota:?}");
    }
}

#[test]
fn something_is_spent_if_a_bucket_is_empty_or_a_window_rejected() {
    let left = Gauge { remaining: Some(1), ..empty(Some(later(5))) };
    let allowed = Some(window(UnifiedStatus::Warning, later(5)));
    let fine = Quota {
        requests: left,
        input: left,
        output: left,
        tokens: left,
        unified: allowed,
        ..Quota::default()
    };
    assert!(!fine.says_spent());
    assert_eq!(fine.reset(), None);
    let gone = empty(Some(later(9)));
    for quota in [
        Quota { requests: gone, ..fine.clone() },
        Quota { input: gone, ..fine.clone() },
        Quota { output: gone, ..fine.clone() },
        Quota { tokens: gone, ..fine.clone() },
        Quota { unified: Some(window(UnifiedStatus::Rejected, later(9))), ..fine.clone() },
    ] {
        assert!(quota.says_spent(), "{quota:?}");
        assert_eq!(quota.reset(), Some(later(9)), "{quota:?}");
    }
}

#[test]
fn the_reset_is_the_latest_of_what_is_used_up() {
    let quota = Quota { requests: empty(Some(later(2))), input: empty(Some(later(7))), ..Quota::default() };
    assert_eq!(quota.reset(), Some(later(7)));
    let longer = Quota { unified: Some(window(UnifiedStatus::Rejected, later(90))), ..quota.clone() };
    assert_eq!(longer.reset(), Some(later(90)));
    let soon = Quota { unified: Some(window(UnifiedStatus::Rejected, later(1))), ..quota };
    assert_eq!(soon.reset(), Some(later(7)));
    assert_eq!(Quota { requests: empty(None), ..Quota::default() }.reset(), None);
}

#[test]
fn tokens_add_up_kind_by_kind_and_never_wrap() {
    let one = Usage { input: 1, output: 2, cache_write: 3, cache_write_long: 2, cache_read: 4 };
    let ten = Usage { input: 10, output: 20, cache_write: 30, cache_write_long: 20, cache_read: 40 };
    let sum = Usage { input: 11, output: 22, cache_write: 33, cache_write_long: 22, cache_read: 44 };
    assert_eq!(one + ten, sum);
    let mut total = one;
    total += ten;
    assert_eq!(total, sum);
    assert_eq!(sum.less(one), ten);
    assert_eq!(one.less(ten), Usage::ZERO);
    assert_eq!(ten.uncached_input(), 40);
    let all = u64::MAX;
    let most = Usage { input: all, output: all, cache_write: all, cache_write_long: all, cache_read: all };
    assert_eq!(most + one, most);
    assert_eq!(most.uncached_input(), u64::MAX);
}

#[test]
fn verdicts_have_one_word_for_logs_each() {
    let table = [
        (Verdict::Served, "served"),
        (Verdict::Refused, "refused"),
        (Verdict::Unfit, "unfit"),
        (Verdict::Spent { until: T }, "spent"),
        (Verdict::Throttled { until: T }, "throttled"),
        (Verdict::AboutThisCall, "about_this_call"),
        (Verdict::OutOfMoney, "out_of_money"),
        (Verdict::KeyBad(Extent::Key), "key_bad"),
        (Verdict::Overloaded { until: None }, "overloaded"),
        (Verdict::Broken(Breakage::Status), "broken"),
        (Verdict::Broken(Breakage::Connect), "unreachable"),
        (Verdict::Broken(Breakage::Cut), "cut"),
        (Verdict::Broken(Breakage::Late), "late"),
        (Verdict::Broken(Breakage::Garbled), "garbled"),
    ];
    for (verdict, expect) in table {
        assert_eq!(verdict.name(), expect);
    }
}

#[test]
fn a_key_is_never_printed_whole_and_a_moment_is_printed_in_seconds() {
    let provider = ProviderId::of("a");
    let key = KeyId::of(provider, b"secret");
    assert_eq!(format!("{key:?}").len(), "key:0000".len());
    assert!(format!("{key:?}").starts_with("key:"));
    assert_eq!(format!("{provider:?}"), "provider:af63dc4c8601ec8c", "the FNV-1a hash of `a`");
    assert_eq!(format!("{:?}", T + Duration::from_millis(1)), "1000.001000s");
    assert_eq!(T.since_epoch(), Duration::from_secs(1_000));
}

#[test]
fn a_class_keeps_no_more_of_a_clients_name_than_it_must() {
    let long = "x".repeat(1_000);
    assert_eq!(Class::of(&long).as_str().len(), 128);
    assert_eq!(
        Families::default().class("claude-x-2025021").as_str(),
        "claude-x-2025021",
        "seven digits are no date"
    );
    assert_eq!(Families::default().class("claude-x-2025021a").as_str(), "claude-x-2025021a");
    assert_eq!(Families::default().class("claude-sonnet-4@x").as_str(), "claude-sonnet-4");
}

#[test]
fn a_provider_has_its_own_keys_only() {
    let (a, b) = (ProviderId::of("a"), ProviderId::of("b"));
    let own = Key::new(KeyId::of(a, b"1"), "");
    let provider = Provider::new("a", vec![own]);
    assert!(provider.has(KeyId::of(a, b"1")));
    assert!(!provider.has(KeyId::of(b, b"1")));
    assert_eq!((provider.id, Strategy::default()), (a, Strategy::Failover));
}

#[test]
fn a_weight_of_zero_counts_as_one() {
    for strategy in [Strategy::Weighted, Strategy::WeightedFailover, Strategy::LeastLoaded] {
        let chosen = |weight: u32| {
            let mut select = Select::new(strategy);
            let candidates = [(0, weight), (1, 1)].map(|(place, weight)| Candidate {
                place,
                priority: 0,
                weight,
                in_flight: 1,
            });
            (0..8).map(|eighth| select.pick(&candidates, Roll(eighth << 61))).collect::<Vec<_>>()
        };
        assert_eq!(chosen(0), chosen(1), "{strategy:?}");
    }
}

#[test]
fn a_strategy_knows_its_name_and_chooses_nobody_among_none() {
    for strategy in [Strategy::Failover, Strategy::RoundRobin, Strategy::Shuffle, Strategy::Random] {
        let mut select = Select::new(strategy);
        assert_eq!(select.strategy(), strategy);
        assert_eq!(select.pick(&[], Roll(0)), None);
    }
}
