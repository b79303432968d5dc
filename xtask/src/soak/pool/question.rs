//! A call as bytes. Knows how the simulated provider counts a prompt and what it is told in it;
//! refuses to know when it is sent.

use bytes::Bytes;
use relay_plan::Kind;
use relay_sim::tokens;
use serde_json::json;

use crate::soak::pool::load::Manner;

/// The model that everybody asks for: one class, and so one set of limits an organization.
pub(super) const MODEL: &str = "claude-opus-5";
/// The provider counts these before and behind the text of a single message.
const AROUND: &str = "toolssystemuser{typetexttext}";
/// More than any answer has, as clients say it: nobody can tell the kinds apart by it.
const MAX_TOKENS: u64 = 16_000;
const WORDS: &str = "the quick brown fox jumps over the lazy dog ";

/// The body of a call of that kind. Its number stands first, so that no two begin alike.
pub(super) fn body(kind: &Kind, manner: Manner, number: usize) -> Bytes {
    let opening = format!("Call {number}.\nsim: tokens {}\n", kind.output);
    let length = usize::try_from(tokens::bytes_within(kind.input)).expect("prompts fit into memory");
    let n_filler = length.saturating_sub(opening.len() + AROUND.len());
    let filler: String = WORDS.chars().cycle().take(n_filler).collect();
    let body = json!({
        "model": MODEL,
        "max_tokens": MAX_TOKENS,
        "stream": manner == Manner::Streamed,
        "messages": [{"role": "user", "content": opening + &filler}],
    });
    Bytes::from(body.to_string())
}

#[cfg(test)]
mod tests {
    use relay_sim::prefix::segments;
    use serde_json::Value;

    use super::*;
    use crate::soak::pool::load::kinds;

    #[test]
    fn a_body_has_exactly_the_tokens_of_its_kind() {
        for kind in kinds() {
            for (manner, number) in [(Manner::Streamed, 1), (Manner::Whole, 12_345)] {
                let body: Value = serde_json::from_slice(&body(&kind, manner, number)).unwrap();
                assert_eq!(segments(&body).last().unwrap().tokens, kind.input, "{}", kind.name);
                assert_eq!(body["stream"], manner == Manner::Streamed);
                assert!(
                    body["messages"][0]["content"]
                        .as_str()
                        .unwrap()
                        .contains(&format!("sim: tokens {}\n", kind.output))
                );
            }
        }
    }
}
