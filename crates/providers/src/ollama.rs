//! Ollama, local or in its cloud. It loads and prefills for minutes before a first byte.
//! <https://docs.ollama.com/api/anthropic-compatibility>

use crate::adapter::{Adapter, Auth, Facts, Place};
use crate::features::FOREIGN;

pub(crate) struct Ollama;

impl Adapter for Ollama {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::At("http://localhost:11434"),
            models: &[],
            knows_long: false,
            owner: "ollama",
            first_byte: crate::SLOW_FIRST_BYTE,
            auth: Auth::OPTIONAL_BEARER,
            identity: None,
            offers: &[],
            errs_late: false,
            lacks: |_| FOREIGN,
            takes_beta: |_, _| true,
        }
    }
}
