//! MiniMax, behind an endpoint that speaks as Anthropic does.
//! <https://platform.minimax.io/docs/api-reference/text-anthropic-api>

use crate::adapter::{Adapter, Auth, Facts};
use crate::kind::Kind;

pub(crate) struct MiniMax;

impl Adapter for MiniMax {
    fn kind(&self) -> Kind {
        Kind::MiniMax
    }

    fn facts(&self) -> &'static Facts {
        &Facts {
            base_url: Some("https://api.minimax.io/anthropic"),
            models: &[
                "MiniMax-M3",
                "MiniMax-M2.7",
                "MiniMax-M2.7-highspeed",
                "MiniMax-M2.5",
                "MiniMax-M2.5-highspeed",
                "MiniMax-M2.1",
            ],
            owner: "minimax",
            first_byte: crate::FIRST_BYTE,
            auth: Auth::Bearer,
            offers: &[],
        }
    }
}
