//! DeepSeek, behind an endpoint that speaks as Anthropic does. Names that begin with `claude-opus` it takes for its larger
//! model, and other names of Claude models for the smaller one.
//! <https://api-docs.deepseek.com/guides/anthropic_api>

use crate::adapter::{Adapter, Auth, Facts, Place};
use crate::features::FOREIGN;

pub(crate) struct DeepSeek;

impl Adapter for DeepSeek {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("https://api.deepseek.com/anthropic"),
            models: &["deepseek-v4-pro", "deepseek-flash"],
            knows_long: false,
            owner: "deepseek",
            first_byte: crate::FIRST_BYTE,
            auth: Auth::API_KEY,
            identity: None,
            offers: &[],
            errs_late: false,
            lacks: |_| FOREIGN,
            takes_beta: |_, _| true,
        }
    }
}
