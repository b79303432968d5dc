//! How providers write moments, numbers and durations. It knows the forms; it refuses to know which header
//! holds which.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::Offset;

/// A moment in RFC 3339.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    usual_timestamp(text.as_bytes()).or_else(|| text.parse().ok())
}

/// An HTTP date in the one form that may be sent (RFC 9110, section 5.6.7: IMF-fixdate, which is a
/// form of RFC 2822). A wrong day of the week does no harm.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    const PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    usual_date(text.as_bytes()).or_else(|| PARSER.parse_timestamp(text).ok())
}

/// `2026-11-20T12:00:00Z`, letter by letter: nearly every answer has several, and reading every form that
/// is allowed costs twice as much.
fn usual_timestamp(text: &[u8]) -> Option<Timestamp> {
    let (date, time) = (text.first_chunk::<11>()?, text.get(11..)?.strip_suffix(b"Z")?);
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T'] = *date else { return None };
    utc([y0, y1, y2, y3], digits([m0, m1])?, [d0, d1], time)
}

/// `Fri, 20 Nov 2026 12:00:00 GMT`, letter by letter, for the same reason.
fn usual_date(text: &[u8]) -> Option<Timestamp> {
    let (date, time) = (text.first_chunk::<17>()?, text.get(17..)?.strip_suffix(b" GMT")?);
    let [w0, w1, w2, b',', b' ', d0, d1, b' ', m0, m1, m2, b' ', y0, y1, y2, y3, b' '] = *date else {
        return None;
    };
    if !DAYS.contains(&&[w0, w1, w2]) {
        return None;
    }
    let month = (1..).zip(MONTHS).find(|(_, name)| **name == [m0, m1, m2])?.0;
    utc([y0, y1, y2, y3], month, [d0, d1], time)
}

const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The moment at `time`, which is `12:00:00`, of that day.
fn utc(year: [u8; 4], month: i8, day: [u8; 2], time: &[u8]) -> Option<Timestamp> {
    let &[h0, h1, b':', m0, m1, b':', s0, s1] = time else { return None };
    let [y0, y1, y2, y3] = year;
    let year = i16::from(digits([y0, y1])?) * 100 + i16::from(digits([y2, y3])?);
    let (hour, minute, second) = (digits([h0, h1])?, digits([m0, m1])?, digits([s0, s1])?);
    let time = DateTime::new(year, month, digits(day)?, hour, minute, second, 0).ok()?;
    Offset::UTC.to_timestamp(time).ok()
}

/// A number of two digits.
fn digits(digits: [u8; 2]) -> Option<i8> {
    let [tens, ones] = digits.map(|digit| digit.wrapping_sub(b'0'));
    let number = || i8::try_from(tens * 10 + ones).ok();
    (tens < 10 && ones < 10).then(number)?
}

/// A number in digits, perhaps with a fraction, of that unit. What lies below a nanosecond is cut off.
pub(super) fn decimal(text: &str, unit: Duration) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let whole = u128::from(whole.parse::<u64>().ok()?) * unit.as_nanos();
    let fraction = &fraction[..fraction.len().min(9)];
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction = fraction.parse::<u128>().ok()? * unit.as_nanos() / scale;
    let nanos = whole + fraction;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).ok()?))
}

/// A duration as Go writes it: numbers with units, such as `6m0s`, `1.5s` or `1h2m3.5s`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        total = total.checked_add(decimal(number, unit_of(unit)?)?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

fn unit_of(name: &str) -> Option<Duration> {
    match name {
        "ns" => Some(Duration::from_nanos(1)),
        "us" | "µs" | "μs" => Some(Duration::from_micros(1)),
        "ms" => Some(Duration::from_millis(1)),
        "s" => Some(Duration::from_secs(1)),
        "m" => Some(Duration::from_mins(1)),
        "h" => Some(Duration::from_hours(1)),
        "d" => Some(Duration::from_hours(24)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read_as_the_general_ones() {
        let parser = DateTimeParser::new().relaxed_weekday(true);
        for (timestamp, date) in [
            ("2026-11-20T12:00:00Z", "Fri, 20 Nov 2026 12:00:00 GMT"),
            ("2026-01-01T00:00:00Z", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("2024-02-29T23:59:59Z", "Mon, 29 Feb 2024 23:59:59 GMT"),
            ("1969-12-31T09:08:07Z", "Sun, 31 Dec 1969 09:08:07 GMT"),
            ("0099-05-10T12:34:56Z", "Sat, 10 May 0099 12:34:56 GMT"),
        ] {
            let expect: Timestamp = timestamp.parse().unwrap();
            assert_eq!(usual_timestamp(timestamp.as_bytes()), Some(expect), "{timestamp}");
            assert_eq!(usual_date(date.as_bytes()), Some(expect), "{date}");
            // However one byte is changed, it is read as before or left to the general reader.
            for (text, at) in
                [timestamp, date].into_iter().flat_map(|text| (0..text.len()).map(move |at| (text, at)))
            {
                for byte in b' '..=b'~' {
                    let mut other = text.as_bytes().to_vec();
                    other[at] = byte;
                    let other = std::str::from_utf8(&other).unwrap();
                    if let Some(read) = usual_timestamp(other.as_bytes()) {
                        assert_eq!(Ok(read), other.parse().map_err(drop), "{other}");
                    }
                    if let Some(read) = usual_date(other.as_bytes()) {
                        assert_eq!(Ok(read), parser.parse_timestamp(other).map_err(drop), "{other}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_longer_or_shorter_is_not_of_the_usual_form() {
        for text in
            ["", "2026-11-20T12:00:00", "2026-11-20T12:00:00.5Z", "Fri, 20 Nov 2026 12:00:00  GMT", "Z"]
        {
            assert_eq!(
                (usual_timestamp(text.as_bytes()), usual_date(text.as_bytes())),
                (None, None),
                "{text}"
            );
        }
    }
}
