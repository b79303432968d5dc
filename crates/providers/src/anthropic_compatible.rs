//! Anything else that speaks as Anthropic does, wherever it is.

use crate::adapter::{Adapter, Auth, Facts, Place};
use crate::features::unless_claude;

pub(crate) struct AnthropicCompatible;

impl Adapter for AnthropicCompatible {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::Anywhere,
            models: &[],
            knows_long: false,
            owner: "compatible",
            first_byte: crate::FIRST_BYTE,
            auth: Auth::OPTIONAL_API_KEY,
            identity: None,
            offers: &[],
            errs_late: true,
            lacks: unless_claude,
            takes_beta: |_, _| true,
        }
    }
}
