//! What models cost: dollars for a million tokens become nanodollars for one.

use relay_core::Price;

use crate::problem::Findings;
use crate::raw::Root;
use crate::raw::money::Dollars;

pub(super) fn prices(root: &Root, findings: &mut Findings) -> Vec<(String, Price)> {
    let mut prices: Vec<(String, Price)> = Vec::new();
    for (spot, written) in &root.prices.items {
        let (model, input, output) = (&written.model, &written.input, &written.output);
        if let (Some(model), Some(input), Some(output)) = (model.get(), input.get(), output.get()) {
            if prices.iter().any(|(known, _)| *known == model.text) {
                findings.problem(&written.model.spot, "has a price already").hint("keep one of them");
            }
            let mut price = Price::of(each(*input), each(*output));
            if let Some(write) = written.cache_write.get() {
                price.write = each(*write);
            }
            if let Some(read) = written.cache_read.get() {
                price.read = each(*read);
            }
            prices.push((model.text.clone(), price));
        } else if !(model.is_bad() || input.is_bad() || output.is_bad()) {
            findings
                .problem(spot, "needs `model`, `input` and `output`")
                .hint("the last two in dollars for a million tokens");
        }
    }
    prices
}

/// What one of a million costs, to the nearest nanodollar.
const fn each(Dollars(billionths): Dollars) -> u64 {
    (billionths + 500_000) / 1_000_000
}

/// The same, back.
pub(crate) const fn of_a_million(nanodollars: u64) -> u64 {
    nanodollars * 1_000_000
}
