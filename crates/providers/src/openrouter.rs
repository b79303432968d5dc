//! OpenRouter: models of many makers behind an endpoint that speaks as Anthropic does.
//! <https://openrouter.ai/docs/api/api-reference/anthropic-messages/create-messages>

use crate::adapter::{Adapter, Facts, Place};
use crate::features::{is_claude, unless_claude};

pub(crate) struct OpenRouter;

impl Adapter for OpenRouter {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("https://openrouter.ai/api"),
            models: &["anthropic/claude-opus-5.5", "anthropic/claude-sonnet-5.5"],
            owner: "openrouter",
            errs_late: true,
            lacks: unless_claude,
            signed_only: is_claude,
            ..Facts::USUAL
        }
    }
}
