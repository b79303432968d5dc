//! What Bedrock understands of what requests may ask for. It refuses a request for what it does not know as a whole, so that
//! is left out, with its fields.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html>

use crate::features::{self, Feature};

/// How the betas begin that it knows; a date follows. Seen in its documentation, and in what it did not refuse.
const KNOWN: &[&str] = &[
    "computer-use-",
    "context-1m-",
    "context-management-",
    "dev-full-thinking-",
    "effort-",
    "fine-grained-tool-streaming-",
    "interleaved-thinking-",
    "output-128k-",
    "thinking-binding-controls-",
    "token-efficient-tools-",
    "tool-examples-",
    "tool-search-tool-",
];

/// What it lacks: whatever has no beta that it knows.
const LACKS: &[&Feature] = &[
    &features::SAFEGUARDS,
    &features::STRUCTURED_OUTPUTS,
    &features::TASK_BUDGETS,
    &features::MCP,
    &features::CONTAINERS,
    &features::FALLBACKS,
    &features::FAST_MODE,
];

/// Does it know that beta, for that model?
pub(super) fn is_known(_model: &str, beta: &str) -> bool {
    KNOWN.iter().any(|known| beta.starts_with(known))
}

/// What it lacks for that model.
pub(super) fn lacks(_model: &str) -> &'static [&'static Feature] {
    LACKS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A beta and its fields are kept together, or left out together.
    #[test]
    fn of_what_it_lacks_it_knows_no_beta_and_of_the_rest_each() {
        for feature in features::ALL {
            let lacking = lacks("m").contains(feature);
            for beta in feature.betas {
                assert_eq!(is_known("m", &format!("{beta}2026-01-01")), !lacking, "{beta}");
            }
        }
    }
}
