//! Z.AI: GLM models behind an endpoint that speaks as Anthropic does.
//! <https://docs.z.ai/devpack/tool/claude>

use crate::adapter::{Adapter, Auth, Facts};
use crate::kind::Kind;

pub(crate) struct Zai;

impl Adapter for Zai {
    fn kind(&self) -> Kind {
        Kind::Zai
    }

    fn facts(&self) -> &'static Facts {
        &Facts {
            base_url: Some("https://api.z.ai/api/anthropic"),
            models: &[
                "glm-5.3",
                "glm-5.3-flash",
                "glm-5.2",
                "glm-5.1",
                "glm-5-turbo",
                "glm-4.7",
                "glm-4.5-air",
            ],
            owner: "zhipu",
            first_byte: crate::FIRST_BYTE,
            auth: Auth::Bearer,
            offers: &[],
        }
    }
}
