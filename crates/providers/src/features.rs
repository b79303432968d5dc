//! What a request may ask for beyond what everybody has: which betas and which fields stand for it. Both go, or neither.

use relay_headers::{Change, Headers, Value};
use relay_wire::Outline;

/// The header that lists what is asked for, on one line or on several.
const BETA: &str = "anthropic-beta";

/// One of them.
#[derive(PartialEq, Eq, Debug)]
pub struct Feature {
    /// What it is called in the documentation.
    pub name: &'static str,
    /// How its betas begin; a date follows.
    pub betas: &'static [&'static str],
    /// The members of the body that ask for it.
    pub fields: &'static [&'static str],
}

/// A judgement on tool calls, by Claude and for Claude Code alone: it carries paths of the client's machine, which are
/// nobody else's business. The request is made again without it if it is refused.
/// <https://code.claude.com/docs/en/auto-mode-config>
pub const SAFEGUARDS: Feature =
    Feature { name: "safeguards", betas: &["dangerous-tool-use-"], fields: &["safeguards"] };

/// What the models of other makers lack. Whatever else they do not know they ignore.
pub const FOREIGN: &[&Feature] = &[&SAFEGUARDS];

/// The same where one provider has models of several makers: nothing for Claude models, which their names tell.
pub fn unless_claude(model: &str) -> &'static [&'static Feature] {
    let is_claude = model.as_bytes().windows(6).any(|part| part.eq_ignore_ascii_case(b"claude"));
    if is_claude { &[] } else { FOREIGN }
}

/// Takes their betas out of the header. Everything else that stands there stays, letter by letter. True if there were any.
pub(crate) fn strip_betas(headers: &mut Headers, features: &[&Feature]) -> bool {
    let lacks = |beta: &[u8]| {
        let prefixes = features.iter().flat_map(|feature| feature.betas);
        prefixes.into_iter().any(|prefix| beta.starts_with(prefix.as_bytes()))
    };
    if !headers.members(BETA).any(lacks) {
        return false;
    }
    let lines: Vec<Vec<u8>> = headers
        .all(BETA)
        .map(|line| {
            let kept = line.split(|byte| *byte == b',').filter(|beta| !lacks(beta.trim_ascii()));
            kept.collect::<Vec<_>>().join(&b","[..]).trim_ascii().to_vec()
        })
        .collect();
    let mut lines = lines.iter();
    headers.revise(|header| {
        if !header.is(BETA) {
            return Change::Keep;
        }
        let left = lines.next().filter(|line| !line.is_empty());
        left.and_then(|line| Value::new(line).ok()).map_or(Change::Drop, Change::To)
    });
    true
}

/// Takes their fields out of the body.
pub(crate) fn strip_fields(outline: &mut Outline<'_>, features: &[&Feature]) {
    for field in features.iter().flat_map(|feature| feature.fields) {
        outline.remove(field);
    }
}

/// May the body have any of their fields? A text in it may look like one.
pub(crate) fn may_ask(body: &[u8], features: &[&Feature]) -> bool {
    let fields = features.iter().flat_map(|feature| feature.fields);
    fields.into_iter().any(|field| memchr::memmem::find(body, field.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn betas_that_a_provider_lacks_are_left_out_and_no_others() {
        let table: [(&[&str], &[&str]); 5] = [
            (&["a-1,dangerous-tool-use-2026-09-03,b-2"], &["a-1,b-2"]),
            (&["a-1 ,  dangerous-tool-use-2026-09-03", "dangerous-tool-use-2027-01-01", "c"], &["a-1", "c"]),
            (&["dangerous-tool-use-2026-09-03, b-2"], &["b-2"]),
            (&["dangerous-tool-use-2026-09-03"], &[]),
            (&["a-1 , b,", " not-dangerous-tool-use-1"], &["a-1 , b,", " not-dangerous-tool-use-1"]),
        ];
        for (lines, expect) in table {
            let list = |lines: &[&str]| {
                let mut headers = Headers::default();
                for line in lines {
                    headers.add(BETA, Value::new(line.as_bytes()).unwrap());
                }
                headers.add("x-other", Value::fixed("dangerous-tool-use-2026-09-03"));
                headers
            };
            let mut headers = list(lines);
            strip_betas(&mut headers, FOREIGN);
            assert_eq!(headers, list(expect), "{lines:?}");
        }
    }

    #[test]
    fn a_claude_model_is_told_by_its_name() {
        for model in ["anthropic/claude-opus-5.5", "us.anthropic.Claude-Opus-5", "CLAUDE"] {
            assert!(unless_claude(model).is_empty(), "{model}");
        }
        for model in ["z-ai/glm-5.3", "claud", ""] {
            assert_eq!(unless_claude(model), FOREIGN, "{model}");
        }
    }
}
