//! Ollama, local or in its cloud. It loads and prefills for minutes before a first byte.
//! <https://docs.ollama.com/api/anthropic-compatibility>

use crate::adapter::{Adapter, Auth, Facts};
use crate::kind::Kind;

pub(crate) struct Ollama;

impl Adapter for Ollama {
    fn kind(&self) -> Kind {
        Kind::Ollama
    }

    fn facts(&self) -> &'static Facts {
        &Facts {
            base_url: Some("http://localhost:11434"),
            models: &[],
            owner: "ollama",
            first_byte: crate::SLOW_FIRST_BYTE,
            auth: Auth::OptionalBearer,
            offers: &[],
        }
    }
}
