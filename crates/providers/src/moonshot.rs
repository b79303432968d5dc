//! Moonshot: Kimi models behind an endpoint that speaks as Anthropic does. In China it is at
//! `https://api.moonshot.cn/anthropic`.
//! <https://platform.moonshot.ai/docs/guide/agent-support>

use crate::adapter::{Adapter, Facts, Place};

pub(crate) struct Moonshot;

impl Adapter for Moonshot {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("https://api.moonshot.ai/anthropic"),
            models: &["kimi-k3"],
            owner: "moonshot",
            ..Facts::USUAL
        }
    }
}
