//! DeepSeek, behind an endpoint that speaks as Anthropic does. Names that begin with `claude-opus` it takes for its larger
//! model, and other names of Claude models for the smaller one.
//! <https://api-docs.deepseek.com/guides/anthropic_api>

use crate::adapter::{Adapter, Auth, Facts, Place};

pub(crate) struct DeepSeek;

impl Adapter for DeepSeek {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("https://api.deepseek.com/anthropic"),
            models: &["deepseek-v4-pro", "deepseek-flash"],
            owner: "deepseek",
            auth: Auth::API_KEY,
            ..Facts::USUAL
        }
    }
}
