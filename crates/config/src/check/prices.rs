//! What models cost: dollars for a million tokens become nanodollars for one.

use relay_core::Price;

use crate::problem::Findings;
use crate::raw::Root;

pub(super) fn prices(root: &Root, findings: &mut Findings) -> Vec<(String, Price)> {
    let mut prices: Vec<(String, Price)> = Vec::new();
    for (spot, written) in &root.prices.items {
        let (model, input, output) = (&written.model, &written.input, &written.output);
        if let (Some(model), Some(input), Some(output)) = (model.get(), input.get(), output.get()) {
            if prices.iter().any(|(known, _)| *known == model.text) {
                findings.problem(&written.model.spot, "has a price already").hint("keep one of them");
            }
            let mut price = Price::of(input.of_one(), output.of_one());
            if let Some(write) = written.cache_write.get() {
                price.write = write.of_one();
            }
            if let Some(read) = written.cache_read.get() {
                price.read = read.of_one();
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
