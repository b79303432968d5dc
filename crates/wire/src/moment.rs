//! A moment that a sentence names. It knows how date and time are written; it refuses to know what they are of.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use relay_core::Time;

/// `2026-09-09 05:38:28`, or with a `T` between.
const LENGTH: usize = 19;

/// The first date with a time that stands in `words`. Without a `Z` behind it, it is of a place so many hours east of
/// Greenwich.
pub fn in_words(words: &str, east: i8) -> Option<Time> {
    let windows = words.as_bytes().windows(LENGTH).enumerate();
    windows.filter(|(_, window)| is_moment(window)).find_map(|(at, window)| {
        let text = std::str::from_utf8(window).ok()?;
        let civil: DateTime = text.replace(' ', "T").parse().ok()?;
        let is_utc = words.as_bytes().get(at + LENGTH) == Some(&b'Z');
        let place = if is_utc { Offset::UTC } else { Offset::from_hours(east).ok()? };
        let moment: Timestamp = place.to_timestamp(civil).ok()?;
        Some(Time::from_epoch(moment.as_duration().try_into().ok()?))
    })
}

/// Digits where digits are, and what is between them.
fn is_moment(window: &[u8]) -> bool {
    const SHAPE: &[u8; LENGTH] = b"dddd-dd-ddTdd:dd:dd";
    window.iter().zip(SHAPE).all(|(byte, shape)| match shape {
        b'd' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b' '),
        other => byte == other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_moment_is_found_wherever_it_stands() {
        let at = |seconds| Some(Time::from_epoch(Duration::from_secs(seconds)));
        let table = [
            (
                "Usage limit reached for 5 hour. Your limit will reset at 2026-09-09 05:38:28",
                at(1_788_903_508),
            ),
            ("已达到 5\n小时的使用上限。您的限额将在 2026-09-09 05:38:28 重置。", at(1_788_903_508)),
            ("reset at 2026-08-14T00:00:00Z", at(1_786_665_600)),
            ("2026-13-14 00:00:00, and later 2026-08-14 08:00:00", at(1_786_665_600)),
            ("1969-08-14 08:00:00", None),
            ("2026-08-14", None),
            ("at 05:38:28", None),
            ("", None),
        ];
        for (words, expect) in table {
            assert_eq!(in_words(words, 8), expect, "{words}");
        }
    }
}
