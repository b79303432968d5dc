//! One window at a time.

use super::*;

const T: Time = Time::from_epoch(Duration::from_secs(10_000_000));

fn name(text: &str) -> WindowName {
    WindowName::of(text).unwrap()
}

fn at(seconds: u64) -> Time {
    T + Duration::from_secs(seconds)
}

fn reading(used: Option<u32>, reset: Option<u64>) -> WindowReading {
    WindowReading { used: used.map(Share), reset: reset.map(at), ..WindowReading::of(name("5h")) }
}

/// When an answer was asked for, what it told of how much is used, and when it is reset.
type Answer = (u64, Option<u32>, Option<u64>);

/// Windows after answers.
fn after(told: &[Answer]) -> Windows {
    let mut windows = Windows::default();
    for (asked, used, reset) in told {
        windows.learn(&reading(*used, *reset), &Class::of("m"), at(*asked), at(100));
    }
    windows
}

#[test]
fn a_name_says_how_long_a_window_lasts() {
    for (text, seconds) in
        [("5h", 18_000), ("7d", 604_800), ("7d_opus", 604_800), ("2w", 1_209_600), ("90m", 5_400)]
    {
        assert_eq!(name(text).length(), Duration::from_secs(seconds));
        assert_eq!(name(text).as_str(), text);
    }
    for text in ["", "h", "5", "5y", "0h", "h5", "-5h", "+5h", "367d", "_5h", "overage", "5ü"] {
        assert_eq!(WindowName::of(text), None, "{text}");
    }
}

#[test]
fn a_window_is_about_the_models_that_its_name_says() {
    let bears =
        |text: &str, class: &str| About::of(name(text), None).map(|about| about.bears_on(&Class::of(class)));
    for (text, class, expect) in [
        ("5h", "glm-5.3", Some(true)),
        ("7d_opus", "claude-opus-4", Some(true)),
        ("7d_opus", "us.anthropic.claude-opus-5-v1:0", Some(true)),
        ("7d_opus", "claude-sonnet-4", Some(false)),
        ("7d_opus", "octopus", Some(false)),
        ("7d_fable", "claude-fable-5-2", Some(true)),
        ("7d_oi", "claude-fable-5-2", None),
    ] {
        assert_eq!(bears(text, class), expect, "{text} {class}");
    }
    let odd = About::of(name("7d_oi"), Some(&Class::of("claude-fable-5"))).unwrap();
    assert!(odd.bears_on(&Class::of("claude-fable-5")) && !odd.bears_on(&Class::of("claude-opus-5")));
}

#[test]
fn what_is_used_falls_only_with_the_word_of_a_newer_answer_about_a_later_window() {
    let table: [(&[Answer], Option<u32>, Option<u64>); 14] = [
        (&[(1, Some(500), Some(9_000)), (2, Some(400), Some(9_000))], Some(500), Some(9_000)),
        (&[(2, Some(400), Some(9_000)), (1, Some(500), Some(9_000))], Some(500), Some(9_000)),
        // A second more or less is the same window.
        (&[(1, Some(500), Some(9_000)), (2, Some(400), Some(9_001))], Some(500), Some(9_000)),
        (&[(1, Some(500), Some(9_000)), (2, Some(400), Some(9_060))], Some(500), Some(9_000)),
        (&[(1, Some(500), Some(9_060)), (2, Some(400), Some(9_000))], Some(500), Some(9_060)),
        (&[(1, Some(500), Some(9_000)), (2, Some(10), Some(17_000))], Some(10), Some(17_000)),
        (&[(2, Some(10), Some(17_000)), (1, Some(500), Some(9_000))], Some(10), Some(17_000)),
        (&[(2, Some(500), Some(9_000)), (1, Some(10), Some(17_000))], Some(500), Some(9_000)),
        // It is reset sooner than was said: what is used is used.
        (&[(1, Some(500), Some(17_000)), (2, Some(400), Some(9_000))], Some(500), Some(9_000)),
        (&[(1, Some(500), Some(9_000)), (2, None, None)], Some(500), Some(9_000)),
        (&[(1, Some(500), None), (2, Some(400), None)], Some(500), None),
        (&[(1, Some(500), None), (2, Some(400), Some(9_000))], Some(500), Some(9_000)),
        (&[(1, None, Some(9_000))], None, Some(9_000)),
        // No window lasts longer than its name says.
        (&[(1, Some(500), Some(900_000))], Some(500), Some(18_100)),
    ];
    for (told, used, reset) in table {
        let windows = after(told);
        let window = windows.current(at(100)).next().unwrap();
        assert_eq!((window.used(at(100)), window.reset()), (used.map(Share), reset.map(at)), "{told:?}");
    }
}

#[test]
fn a_window_that_has_ended_is_not_taken_in_and_one_that_ends_is_unused_from_then_on() {
    assert_eq!(after(&[(1, Some(500), Some(100))]), Windows::default());
    let windows = after(&[(1, Some(500), Some(200))]);
    assert_eq!(windows.iter().next().unwrap().used(at(199)), Some(Share(500)));
    assert_eq!(windows.iter().next().unwrap().used(at(200)), Some(Share(0)));
    assert_eq!(windows.strain(&Class::of("m"), at(200)), EVEN);
}

#[test]
fn a_window_is_spent_when_all_of_it_is_used_or_when_it_rejects() {
    for (used, status, expect) in [
        (Some(999_999), UnifiedStatus::Warning, false),
        (Some(1_000_000), UnifiedStatus::Allowed, true),
        (Some(0), UnifiedStatus::Rejected, true),
        (None, UnifiedStatus::Rejected, true),
        (None, UnifiedStatus::Allowed, false),
    ] {
        let mut windows = Windows::default();
        let told = WindowReading { status: Some(status), ..reading(used, Some(9_000)) };
        windows.learn(&told, &Class::of("m"), at(1), at(100));
        let window = windows.iter().next().unwrap();
        assert_eq!(window.is_spent(at(100)), expect, "{used:?} {status:?}");
        assert!(!window.is_spent(at(9_000)), "it was reset");
    }
}

#[test]
fn no_more_windows_are_kept_than_there_can_be() {
    let mut windows = Windows::default();
    for hours in 1..100 {
        let told = WindowReading::of(name(&format!("{hours}h")));
        windows.learn(&told, &Class::of("m"), T, T);
    }
    assert_eq!(windows.iter().count(), MOST);
}

#[test]
fn strain_is_what_is_left_of_the_time_over_what_is_left_of_the_window() {
    let strain =
        |used, left: u64| after(&[(1, Some(used), Some(100 + left))]).strain(&Class::of("m"), at(100));
    for (used, left, expect) in [
        (0, 18_000, EVEN),
        (500_000, 9_000, EVEN),
        (550_000, 9_000, EVEN),
        (750_000, 9_000, EVEN + 1),
        (990_000, 9_000, EVEN + 6),
        (0, 9_000, EVEN - 1),
        (500_000, 1, 0),
        (1_000_000, 9_000, SPENT),
        (1_010_000, 9_000, SPENT),
    ] {
        assert_eq!(strain(used, left), expect, "{used} {left}");
    }
    assert_eq!(Windows::default().strain(&Class::of("m"), T), EVEN);
}
