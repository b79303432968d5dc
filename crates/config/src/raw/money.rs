//! Options that are dollars, and `prices`, which is of them. It knows how `0.05` is written.

use crate::problem::Spot;
use crate::raw::leaf::{Text, leaf_slot};
use crate::raw::read::{Field, Reader, Shape, Shown};
use crate::raw::table::{Form, section};
use crate::tree::Node;

/// Dollars, as billionths of one, up to a million of them.
#[derive(Clone, Copy)]
pub(crate) struct Dollars(pub(crate) u64);

/// Digits behind the point that are kept.
const DIGITS: usize = 9;
const DOLLAR: u64 = 10_u64.pow(9);
const MOST: u64 = 1_000_000 * DOLLAR;

impl Dollars {
    /// If it is the price of a million: what one costs, to the nearest nanodollar.
    pub(crate) const fn of_one(self) -> u64 {
        (self.0 + 500_000) / 1_000_000
    }

    /// The price of a million of which one costs so many nanodollars.
    pub(crate) const fn of_a_million(nanodollars: u64) -> Self {
        Self(nanodollars * 1_000_000)
    }
}

impl From<u64> for Dollars {
    fn from(billionths: u64) -> Self {
        Self(billionths)
    }
}

impl Shown for Dollars {
    fn shown(&self) -> String {
        text_of(self.0)
    }
}

impl Shape for Dollars {
    leaf_slot!();

    fn form() -> Form {
        Form::Dollars
    }

    fn read(reader: &mut Reader<'_>, node: &Node, spot: &Spot) -> Option<Self> {
        const WANTED: &str = "a number of dollars such as `0.05`";
        let said = reader.leaf(node, spot, WANTED)?;
        let dollars = parse(&said.text).map(Self);
        if dollars.is_none() {
            let problem = reader.findings.problem(spot, said.is_not(WANTED));
            if said.text.starts_with('$') {
                problem.hint("write the number alone");
            }
        }
        dollars
    }
}

/// Digits, perhaps with a point and at most nine more behind it.
fn parse(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > DIGITS {
        return None;
    }
    let billionths = format!("{whole}{part:0<DIGITS$}").parse().ok()?;
    Some(billionths).filter(|billionths| *billionths <= MOST)
}

/// As short as it can be written.
fn text_of(billionths: u64) -> String {
    let text = format!("{}.{:0>DIGITS$}", billionths / DOLLAR, billionths % DOLLAR);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

section! {
    /// What a model costs, in dollars for a million tokens.
    Price {
        /// Its name as it is asked for, with or without a date.
        model: Text => "glm-5.3";
        /// Of a prompt.
        input: Dollars => "0.6";
        /// Of an answer.
        output: Dollars => "2.2";
        /// Written to a prompt cache. Without it, a quarter more than `input`; what is to live for an hour costs 1.6 times as much as this.
        cache_write: Dollars => "0.6";
        /// Read from a prompt cache. Without it, a tenth of `input`.
        cache_read: Dollars => "0.11";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert_eq, proptest};

    #[test]
    fn dollars_are_decimal_numbers() {
        let table = [
            ("0", Some(0)),
            ("4", Some(4 * DOLLAR)),
            ("0.05", Some(50_000_000)),
            ("12.5", Some(12_500_000_000)),
            ("0.000000001", Some(1)),
            ("1000000", Some(MOST)),
            ("1000000.000000001", None),
            ("0.0000000001", None),
            ("99999999999999999999", None),
            ("", None),
            (".5", None),
            ("5.", None),
            ("-1", None),
            ("1e3", None),
            ("$1", None),
            ("1,5", None),
            (".nan", None),
        ];
        for (text, expect) in table {
            assert_eq!(parse(text), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(billionths in 0..=MOST) {
            prop_assert_eq!(parse(&text_of(billionths)), Some(billionths));
        }
    }
}
