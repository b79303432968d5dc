//! Times of the command line, such as `1m30s`. It knows how they are written, and refuses to know what they are for.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// A time with its unit, up to the longest there may be.
pub(super) fn at_most(text: &str, most: Duration) -> Result<Duration, String> {
    // A number that is too large for a time is no time to whoever reads it: both are told the same.
    let time = read(text).ok_or_else(|| {
        format!("write a time with its unit, such as 10s, 1m30s or 8h, of at most {}", shown(most))
    })?;
    if time > most { Err(format!("at most {} is possible", shown(most))) } else { Ok(time) }
}

fn read(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()
}

/// As it would be written, in hours and what is left of them.
pub(super) fn shown(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let written: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if written.is_empty() { "0s".to_owned() } else { written.concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_with_its_unit() {
        let table = [
            ("10s", Some(10_000)),
            ("1m30s", Some(90_000)),
            ("250ms", Some(250)),
            ("0s", Some(0)),
            ("2d", Some(172_800_000)),
            ("10", None),
            ("-3s", None),
            ("soon", None),
            ("", None),
            ("1 month", None),
        ];
        for (text, millis) in table {
            let expect = millis.map(Duration::from_millis);
            assert_eq!(at_most(text, Duration::from_hours(48)).ok(), expect, "{text}");
        }
    }

    #[test]
    fn a_duration_that_is_too_long_or_no_duration_is_told_with_the_longest_there_may_be() {
        let week = Duration::from_hours(168);
        assert_eq!(at_most("168h", week), Ok(week));
        for (text, expect) in [
            ("169h", "at most 168h is possible"),
            ("8d", "at most 168h is possible"),
            ("99999999999999d", "write a time with its unit, such as 10s, 1m30s or 8h, of at most 168h"),
            (
                "9999999999999999999999h",
                "write a time with its unit, such as 10s, 1m30s or 8h, of at most 168h",
            ),
        ] {
            assert_eq!(at_most(text, week).unwrap_err(), expect, "{text}");
        }
    }

    #[test]
    fn a_duration_is_shown_as_it_is_written() {
        for text in ["168h", "1h30m", "1m1s", "0s"] {
            assert_eq!(shown(read(text).unwrap()), text);
        }
    }
}
