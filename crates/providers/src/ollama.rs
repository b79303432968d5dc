//! Ollama, local or in its cloud. It loads and prefills for minutes before a first byte.
//! <https://docs.ollama.com/api/anthropic-compatibility>

use crate::adapter::{Adapter, Auth, Facts, Place};

pub(crate) struct Ollama;

impl Adapter for Ollama {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("http://localhost:11434"),
            owner: "ollama",
            first_byte: crate::SLOW_FIRST_BYTE,
            auth: Auth::OPTIONAL_BEARER,
            ..Facts::USUAL
        }
    }
}
