//! Options with a unit: times and sizes. They know how `1m30s` and `64MiB` are written.

use std::time::Duration;

use crate::problem::Spot;
use crate::raw::leaf::{leaf_slot, whole};
use crate::raw::read::{Field, Reader, Shape, Shown};
use crate::raw::table::Form;
use crate::tree::Node;

/// A time from `LEAST` to `MOST` milliseconds. A bare number counts `BARE` nanoseconds each; where
/// that is 0, a unit must be written.
pub(crate) struct Lapse<const BARE: u64, const LEAST: u64, const MOST: u64>(pub(crate) Duration);

/// A time that is written with its unit: `1m30s`.
pub(crate) type Timed<const LEAST: u64, const MOST: u64> = Lapse<0, LEAST, MOST>;

/// A time in milliseconds, as the options of the old program count.
pub(crate) type Millis<const LEAST: u64, const MOST: u64> = Lapse<1_000_000, LEAST, MOST>;

/// A number of bytes from `LEAST` to `MOST`.
pub(crate) struct Size<const LEAST: u64, const MOST: u64>(pub(crate) u64);

/// 2^20 bytes.
pub(crate) const MIB: u64 = 1 << 20;

/// 10^6 bytes.
pub(crate) const MB: u64 = 1_000_000;

/// Units of time, in milliseconds.
const TIMES: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Units of size, in bytes. The longer are tried first.
const SIZES: [(&str, u64); 10] = [
    ("kib", 1 << 10),
    ("mib", MIB),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", MB),
    ("gb", 1_000 * MB),
    ("tb", 1_000_000 * MB),
    ("b", 1),
    ("", 1),
];

impl<const BARE: u64, const LEAST: u64, const MOST: u64> From<Duration> for Lapse<BARE, LEAST, MOST> {
    fn from(time: Duration) -> Self {
        Self(time)
    }
}

impl<const BARE: u64, const LEAST: u64, const MOST: u64> Shown for Lapse<BARE, LEAST, MOST> {
    fn shown(&self) -> String {
        if Self::IN_MILLIS { self.0.as_millis().to_string() } else { time_text(self.0) }
    }
}

impl<const BARE: u64, const LEAST: u64, const MOST: u64> Lapse<BARE, LEAST, MOST> {
    const IN_MILLIS: bool = BARE == 1_000_000;

    fn parse(text: &str, quoted: bool) -> Option<Duration> {
        match whole(text) {
            Some(0) => Some(Duration::ZERO),
            Some(_) if quoted || BARE == 0 => None,
            Some(number) => u64::try_from(number).ok()?.checked_mul(BARE).map(Duration::from_nanos),
            None => parse_time(text),
        }
    }

    fn range() -> String {
        if Self::IN_MILLIS {
            return format!("between {LEAST} and {MOST}");
        }
        let text = |millis| time_text(Duration::from_millis(millis));
        format!("between `{}` and `{}`", text(LEAST), text(MOST))
    }
}

impl<const BARE: u64, const LEAST: u64, const MOST: u64> Shape for Lapse<BARE, LEAST, MOST> {
    leaf_slot!();

    fn form() -> Form {
        let unit = match BARE {
            0 => None,
            1 => Some("nanoseconds"),
            _ => Some("milliseconds"),
        };
        Form::Lapse { unit }
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        let wanted = if Self::IN_MILLIS { "a number of milliseconds" } else { "a time such as `1m30s`" };
        let said = reader.leaf(node, spot, wanted)?;
        let below_zero = whole(&said.text).is_some_and(|number| number < 0);
        match Self::parse(&said.text, said.quoted) {
            Some(time) if (LEAST..=MOST).contains(&millis(time)) => Some(Self(time)),
            Some(_) => {
                reader.findings.problem(spot, said.is_not(&Self::range()));
                None
            }
            None if below_zero && Self::IN_MILLIS => {
                reader.findings.problem(spot, said.is_not(&Self::range()));
                None
            }
            None => {
                let problem = reader.findings.problem(spot, said.is_not(wanted));
                if BARE == 0 && said.variable.is_none() && whole(&said.text).is_some_and(|number| number > 0)
                {
                    problem.hint(format!("write its unit: `{}s`, or `{}ms`", said.text, said.text));
                }
                None
            }
        }
    }
}

impl<const LEAST: u64, const MOST: u64> From<u64> for Size<LEAST, MOST> {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl<const LEAST: u64, const MOST: u64> Shown for Size<LEAST, MOST> {
    fn shown(&self) -> String {
        size_text(self.0)
    }
}

impl<const LEAST: u64, const MOST: u64> Shape for Size<LEAST, MOST> {
    leaf_slot!();

    fn form() -> Form {
        Form::Size
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        let wanted = "a size such as `64MiB`";
        let said = reader.leaf(node, spot, wanted)?;
        let below_zero = whole(&said.text).is_some_and(|number| number < 0);
        match parse_size(&said.text) {
            Some(bytes) if (LEAST..=MOST).contains(&bytes) => return Some(Self(bytes)),
            None if !below_zero => reader.findings.problem(spot, said.is_not(wanted)),
            _ => {
                let range = format!("between {} and {}", size_text(LEAST), size_text(MOST));
                reader.findings.problem(spot, said.is_not(&range))
            }
        };
        None
    }
}

/// `1h30m`, `2m`, `5s`, `250ms`: numbers with units, the larger first or not.
fn parse_time(text: &str) -> Option<Duration> {
    let mut millis = 0_u64;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        let (_, unit) = TIMES.iter().find(|(name, _)| *name == &rest[..letters])?;
        millis = millis.checked_add(number.checked_mul(*unit)?)?;
        rest = &rest[letters..];
    }
    Some(Duration::from_millis(millis))
}

/// A time as it would be written: `1m30s`.
pub(crate) fn time_text(time: Duration) -> String {
    let mut rest = millis(time);
    let mut parts = Vec::new();
    for (name, unit) in TIMES.iter().rev() {
        if rest / unit > 0 {
            parts.push(format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.concat() }
}

/// `64MiB`, `500MB`, or a bare number of bytes.
fn parse_size(text: &str) -> Option<u64> {
    if let Some(number) = whole(text) {
        return u64::try_from(number).ok();
    }
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let name = text[digits..].trim().to_ascii_lowercase();
    let (_, unit) = SIZES.iter().find(|(known, _)| *known == name)?;
    number.checked_mul(*unit)
}

/// A size as it would be written: in the largest unit that divides it.
pub(crate) fn size_text(bytes: u64) -> String {
    const SHOWN: [(&str, u64); 6] =
        [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", MIB), ("KiB", 1 << 10), ("GB", 1_000 * MB), ("MB", MB)];
    let divides = |(_, unit): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(*unit);
    match SHOWN.iter().filter(divides).max_by_key(|(_, unit)| *unit) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn times_are_numbers_with_units() {
        let table = [
            ("5s", Some(5_000)),
            ("250ms", Some(250)),
            ("2m", Some(120_000)),
            ("1h30m", Some(5_400_000)),
            ("1m500ms", Some(60_500)),
            ("5", None),
            ("s", None),
            ("", None),
            ("1.5s", None),
            ("5 s", None),
            ("5S", None),
            ("-5s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ];
        for (text, expect) in table {
            assert_eq!(parse_time(text), expect.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes_are_numbers_with_units() {
        let table = [
            ("64MiB", Some(64 << 20)),
            ("500MB", Some(500_000_000)),
            ("500 mb", Some(500_000_000)),
            ("1024", Some(1024)),
            ("1_024", Some(1024)),
            ("10kb", Some(10_000)),
            ("2GiB", Some(2 << 30)),
            ("7b", Some(7)),
            ("MiB", None),
            ("64M", None),
            ("1.5MiB", None),
            ("-1", None),
            ("", None),
            ("99999999999TiB", None),
        ];
        for (text, expect) in table {
            assert_eq!(parse_size(text), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(value in any::<u32>()) {
            let time = Duration::from_millis(u64::from(value));
            prop_assert_eq!(parse_time(&time_text(time)), Some(time));
            prop_assert_eq!(parse_size(&size_text(u64::from(value))), Some(u64::from(value)));
        }
    }
}
