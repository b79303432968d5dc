//! What its answer must know of a request.

use super::answer::Counted;
use crate::dialect::{Names, ids};

/// See the module.
pub(crate) struct Asked {
    /// How long it is, in bytes.
    pub(super) bytes: usize,
    /// About how many tokens it has.
    pub(super) prompt: u64,
    pub(super) names: Names,
}

/// Bytes of an answer that make a token, most likely, in tenths.
const TENTHS_OF_BYTES: u64 = 35;

impl Asked {
    pub(crate) fn of(body: &[u8]) -> Self {
        let prompt = relay_wire::measure::measure(body).unwrap_or_default();
        Self { bytes: body.len(), prompt, names: Names::of(body) }
    }

    /// What was used, most likely, where nobody says it, or not yet: of an answer of so many bytes.
    pub(super) const fn uncounted(&self, said: usize) -> Counted {
        Counted { input: self.prompt, cached: 0, output: said as u64 * 10 / TENTHS_OF_BYTES }
    }

    /// The name of its nth call of a tool, as the client is to know it.
    pub(super) fn call(&self, answer: &str, nth: usize, id: &str) -> String {
        if id.is_empty() { ids::given(answer, self.bytes, nth) } else { ids::inward(id).into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was as long as its letters, a token for each three or four.
    #[test]
    fn an_image_in_a_prompt_is_no_text() {
        let letters = "A".repeat(1 << 20);
        let image = format!(
            r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{letters}"}}}}"#
        );
        let body = format!(r#"{{"messages":[{{"role":"user","content":[{image}]}}]}}"#);
        assert!(Asked::of(body.as_bytes()).uncounted(0).input < 2_000);
    }
}
