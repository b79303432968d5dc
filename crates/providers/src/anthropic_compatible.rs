//! Anything else that speaks as Anthropic does, wherever it is.

use crate::adapter::{Adapter, Auth, Facts};
use crate::features::{is_claude, unless_claude};

pub(crate) struct AnthropicCompatible;

impl Adapter for AnthropicCompatible {
    fn facts(&self) -> &'static Facts {
        &Facts {
            owner: "compatible",
            auth: Auth::OPTIONAL_API_KEY,
            errs_late: true,
            lacks: unless_claude,
            signed_only: is_claude,
            ..Facts::USUAL
        }
    }
}
