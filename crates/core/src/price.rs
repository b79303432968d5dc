//! What tokens cost, and what waiting is worth. It knows the models of one month; of others it knows what it is told.
//!
//! Prices are kept in nanodollars for a token: a thousand of them are a dollar for a million tokens.

use crate::fleet::plain;
use crate::usage::Usage;

/// When the usual prices were read.
pub const PRICED: &str = "November 2026";

/// Where they were read.
pub const SOURCE: &str = "https://platform.claude.com/docs/en/about-claude/pricing";

/// What a token of each kind costs, in nanodollars.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Price {
    /// Of a prompt, neither written to a cache nor read from one.
    pub input: u64,
    /// Of an answer.
    pub output: u64,
    /// Written to the cache, to live for five minutes.
    pub write: u64,
    /// Read from the cache.
    pub read: u64,
    /// With prompts above that many tokens, all cost so many times as much.
    pub beyond: Option<(u64, u64)>,
}

/// The prices of models.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prices(Vec<(String, Price)>);

/// What a second of waiting is worth, in nanodollars. Without another word, 5 cents: an hour of a programmer's is worth
/// $180.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Second(pub u64);

/// For how long a cached token is worth waiting, in nanoseconds: as long as writing it anew elsewhere costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Patience {
    /// If it lives for five minutes.
    pub(crate) short: u64,
    /// If it lives for an hour, and costs more to write.
    pub(crate) long: u64,
}

impl Price {
    /// As Anthropic's relate (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>): what is written to
    /// the cache costs a quarter more than other input, and what is read from it a tenth. In thousandths of a dollar for
    /// a million tokens.
    pub const fn of(input: u64, output: u64) -> Self {
        Self { input, output, write: input + input / 4, read: input / 10, beyond: None }
    }

    /// What is written to the cache to live for an hour: Anthropic's twice the price of input, where five minutes are one
    /// and a quarter.
    const fn long(&self) -> u64 {
        self.write.saturating_mul(8) / 5
    }

    /// What a call costs, in nanodollars.
    pub fn call(&self, usage: &Usage) -> u128 {
        let prompt = usage.uncached_input().saturating_add(usage.cache_read);
        let times = self.beyond.filter(|(most, _)| prompt > *most).map_or(1, |(_, times)| times);
        let long = usage.cache_write_long.min(usage.cache_write);
        let all = [
            (usage.input, self.input),
            (usage.cache_write - long, self.write),
            (long, self.long()),
            (usage.cache_read, self.read),
            (usage.output, self.output),
        ];
        let sum: u128 = all.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(*price)).sum();
        sum * u128::from(times)
    }
}

impl Prices {
    /// The list prices of Anthropic's models, read in [`PRICED`] from [`SOURCE`].
    const USUAL: [(&str, Price); 8] = [
        ("claude-fable-5-2", Price::of(8_000, 40_000)),
        ("claude-fable-5-1", Price { read: 250, ..Price::of(10_000, 50_000) }),
        ("claude-opus-5-5", Price::of(4_000, 20_000)),
        ("claude-opus-5", Price::of(5_000, 25_000)),
        ("claude-sonnet-5-5", Price::of(2_000, 10_000)),
        ("claude-sonnet-5", Price::of(2_000, 10_000)),
        ("claude-haiku-5-5", Price { beyond: Some((100_000, 5)), ..Price::of(100, 500) }),
        ("claude-haiku-4-5", Price::of(1_000, 5_000)),
    ];

    /// These, and the usual ones of other models.
    pub fn with(own: impl IntoIterator<Item = (String, Price)>) -> Self {
        let usual = Self::USUAL.iter().map(|(model, price)| ((*model).to_owned(), *price));
        Self(own.into_iter().map(|(model, price)| (plain(&model).to_owned(), price)).chain(usual).collect())
    }

    /// The price of a model, with or without the date of its snapshot. None if nobody has said it.
    pub fn of(&self, model: &str) -> Option<&Price> {
        let model = plain(model);
        self.0.iter().find(|(known, _)| known == model).map(|(_, price)| price)
    }

    /// For how long what such a model has cached is worth waiting.
    pub(crate) fn patience(&self, model: Option<&str>, Second(second): Second) -> Patience {
        /// What it costs to write a token anew, and not to read it, where no price is known: about as for an Opus model.
        const UNKNOWN: Price = Price { input: 0, output: 0, write: 5_000, read: 0, beyond: None };
        let price = model.and_then(|model| self.of(model)).unwrap_or(&UNKNOWN);
        let worth = |write: u64| {
            let nanos = u128::from(write.saturating_sub(price.read)) * 1_000_000_000;
            // What costs nothing may take as long as it likes.
            nanos.checked_div(second.into()).map_or(u64::MAX, |nanos| nanos.try_into().unwrap_or(u64::MAX))
        };
        Patience { short: worth(price.write), long: worth(price.long()) }
    }
}

impl Default for Prices {
    fn default() -> Self {
        Self::with([])
    }
}

impl Default for Second {
    fn default() -> Self {
        Self(50_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLION: u64 = 1_000_000;

    #[test]
    fn a_call_costs_what_the_table_says_and_an_unknown_model_nobody_knows_what() {
        let table = [
            ("claude-opus-5-5-20260922", Usage { input: MILLION, ..Usage::ZERO }, Some(4_000)),
            ("claude-opus-5-5[1m]", Usage { output: MILLION, ..Usage::ZERO }, Some(20_000)),
            ("claude-opus-5", Usage { cache_write: MILLION, ..Usage::ZERO }, Some(6_250)),
            (
                "claude-opus-5",
                Usage { cache_write: 3 * MILLION, cache_write_long: MILLION, ..Usage::ZERO },
                Some(22_500),
            ),
            ("claude-sonnet-5", Usage { cache_read: MILLION, ..Usage::ZERO }, Some(200)),
            ("claude-fable-5-1", Usage { cache_read: MILLION, ..Usage::ZERO }, Some(250)),
            ("claude-haiku-5-5", Usage { input: 100_000, ..Usage::ZERO }, Some(10)),
            ("claude-haiku-5-5", Usage { input: 100_000, cache_read: 100_000, ..Usage::ZERO }, Some(55)),
            ("claude-opus-4-1", Usage { input: 1, ..Usage::ZERO }, None),
            ("glm-5.3", Usage::ZERO, None),
        ];
        for (model, usage, expect) in table {
            let price = Prices::default().of(model).map(|price| price.call(&usage));
            assert_eq!(price, expect.map(|millis: u128| millis * 1_000_000), "{model}: {usage:?}");
        }
    }

    #[test]
    fn prices_of_ones_own_come_before_the_usual_ones() {
        let own =
            [("glm-5.3".to_owned(), Price::of(600, 2_200)), ("claude-opus-5".to_owned(), Price::of(1, 2))];
        let prices = Prices::with(own);
        assert_eq!(prices.of("glm-5.3").map(|price| price.output), Some(2_200));
        assert_eq!(prices.of("claude-opus-5-20260801").map(|price| price.output), Some(2));
        assert_eq!(prices.of("claude-sonnet-5").map(|price| price.output), Some(10_000));
    }

    #[test]
    fn a_cached_token_is_worth_the_time_that_writing_it_anew_costs() {
        let prices = Prices::default();
        let table = [
            (Some("claude-opus-5"), 50_000_000, 115_000, 190_000),
            (Some("claude-opus-5"), 25_000_000, 230_000, 380_000),
            (Some("claude-haiku-5-5"), 50_000_000, 2_300, 3_800),
            (Some("glm-5.3"), 50_000_000, 100_000, 160_000),
            (None, 50_000_000, 100_000, 160_000),
            (None, 0, u64::MAX, u64::MAX),
            (None, u64::MAX, 0, 0),
        ];
        for (model, second, short, long) in table {
            assert_eq!(
                prices.patience(model, Second(second)),
                Patience { short, long },
                "{model:?} {second}"
            );
        }
        assert_eq!(prices.patience(None, Second::default()), prices.patience(None, Second(50_000_000)));
    }
}
