//! Moonshot: Kimi models behind an endpoint that speaks as Anthropic does. In China it is at
//! `https://api.moonshot.cn/anthropic`.
//! <https://platform.moonshot.ai/docs/guide/agent-support>

use crate::adapter::{Adapter, Auth, Facts, Place};
use crate::features::FOREIGN;

pub(crate) struct Moonshot;

impl Adapter for Moonshot {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("https://api.moonshot.ai/anthropic"),
            models: &["kimi-k3"],
            knows_long: false,
            owner: "moonshot",
            first_byte: crate::FIRST_BYTE,
            auth: Auth::BEARER,
            identity: None,
            offers: &[],
            errs_late: false,
            lacks: |_| FOREIGN,
            takes_beta: |_, _| true,
        }
    }
}
