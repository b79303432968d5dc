//! What tokens cost. It knows the models of one month, and says of others that it does not.

use relay_core::{Families, Usage};

use crate::optimum::float;

/// Dollars for a million tokens.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Price {
    input: f64,
    output: f64,
    /// Reads from the cache, as a part of input.
    read: f64,
}

/// When the prices were read.
pub const PRICED: &str = "November 2026";

/// Where they were read.
pub const SOURCE: &str = "https://platform.claude.com/docs/en/about-claude/pricing";

/// By class of models.
const PRICES: [(&str, Price); 8] = [
    ("claude-fable-5-2", Price { input: 8.0, output: 40.0, read: READ }),
    ("claude-fable-5-1", Price { input: 10.0, output: 50.0, read: 0.025 }),
    ("claude-opus-5-5", Price { input: 4.0, output: 20.0, read: READ }),
    ("claude-opus-5", Price { input: 5.0, output: 25.0, read: READ }),
    ("claude-sonnet-5-5", Price { input: 2.0, output: 10.0, read: READ }),
    ("claude-sonnet-5", Price { input: 2.0, output: 10.0, read: READ }),
    ("claude-haiku-5-5", Price { input: 0.1, output: 0.5, read: READ }),
    ("claude-haiku-4-5", Price { input: 1.0, output: 5.0, read: READ }),
];

/// Reads from the cache cost a tenth of input, and writes that live for five minutes a quarter more than it. How long
/// they live is not recorded, so those that live for an hour, and cost twice as much as input, count as the others.
const READ: f64 = 0.1;
const WRITE: f64 = 1.25;

/// With prompts above this many tokens, this class costs that much.
const LONG: (&str, u64, Price) = ("claude-haiku-5-5", 100_000, Price { input: 0.5, output: 2.5, read: READ });

/// Dollars for one call to that model. None if its price is not known.
pub fn price(model: &str, usage: &Usage) -> Option<f64> {
    let class = Families::default().class(model);
    let (_, mut price) = *PRICES.iter().find(|(known, _)| *known == class.as_str())?;
    let prompt = usage.input + usage.cache_write + usage.cache_read;
    let (long, most, dearer) = LONG;
    if class.as_str() == long && prompt > most {
        price = dearer;
    }
    let written = float(usage.cache_write) * WRITE + float(usage.cache_read) * price.read;
    let input = (float(usage.input) + written) * price.input;
    Some((input + float(usage.output) * price.output) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_costs_what_the_table_says_and_an_unknown_model_nobody_knows_what() {
        let million = 1_000_000;
        let table = [
            ("claude-opus-5-5-20260922", Usage { input: million, ..Usage::ZERO }, Some(4.0)),
            ("claude-opus-5-5", Usage { output: million, ..Usage::ZERO }, Some(20.0)),
            ("claude-opus-5", Usage { cache_write: million, ..Usage::ZERO }, Some(6.25)),
            ("claude-sonnet-5", Usage { cache_read: million, ..Usage::ZERO }, Some(0.2)),
            ("claude-fable-5-1", Usage { cache_read: million, ..Usage::ZERO }, Some(0.25)),
            ("claude-haiku-5-5", Usage { input: 100_000, ..Usage::ZERO }, Some(0.01)),
            ("claude-haiku-5-5", Usage { input: 100_000, cache_read: 100_000, ..Usage::ZERO }, Some(0.055)),
            ("claude-opus-4-1", Usage { input: 1, ..Usage::ZERO }, None),
            ("glm-5.3", Usage::ZERO, None),
        ];
        for (model, usage, expect) in table {
            let price = price(model, &usage);
            assert_eq!(price.is_some(), expect.is_some(), "{model}");
            let (price, expect) = (price.unwrap_or_default(), expect.unwrap_or_default());
            assert!((price - expect).abs() < 1e-9, "{model}: {price}");
        }
    }
}
