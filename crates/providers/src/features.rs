//! What a request may ask for beyond what everybody has: which betas and which fields stand for it. Both go, or neither.

use relay_headers::{Change, Headers, Value};
use relay_wire::Outline;

/// The header that lists what is asked for, on one line or on several.
pub(crate) const BETA: &str = "anthropic-beta";

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

/// Editing of the context by the provider.
/// <https://platform.claude.com/docs/en/build-with-claude/context-editing>
pub const CONTEXT_MANAGEMENT: Feature =
    Feature { name: "context management", betas: &["context-management-"], fields: &["context_management"] };

/// How hard a model tries.
/// <https://platform.claude.com/docs/en/build-with-claude/effort>
pub const EFFORT: Feature =
    Feature { name: "effort", betas: &["effort-"], fields: &["output_config.effort"] };

/// Answers of a given form.
/// <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>
pub const STRUCTURED_OUTPUTS: Feature = Feature {
    name: "structured outputs",
    betas: &["structured-outputs-"],
    fields: &["output_config.format", "output_format"],
};

/// How much a task may take.
pub const TASK_BUDGETS: Feature =
    Feature { name: "task budgets", betas: &["task-budgets-"], fields: &["output_config.task_budget"] };

/// Servers of tools that the provider asks.
/// <https://platform.claude.com/docs/en/agents-and-tools/mcp-connector>
pub const MCP: Feature = Feature { name: "MCP servers", betas: &["mcp-client-"], fields: &["mcp_servers"] };

/// Code that the provider runs, with files and skills.
pub const CONTAINERS: Feature =
    Feature { name: "containers", betas: &["code-execution-", "skills-"], fields: &["container"] };

/// Other models that the provider asks if one refuses.
pub const FALLBACKS: Feature =
    Feature { name: "fallbacks", betas: &["fallback-credit-"], fields: &["fallbacks"] };

/// What becomes of thoughts that belong to another conversation.
pub const BLOCK_BINDING: Feature = Feature {
    name: "binding of thoughts",
    betas: &["thinking-binding-controls-"],
    fields: &["thinking.block_binding"],
};

/// Faster answers for more money.
pub const FAST_MODE: Feature = Feature { name: "fast mode", betas: &["fast-mode-"], fields: &["speed"] };

/// All that is known of by name.
pub const ALL: &[&Feature] = &[
    &SAFEGUARDS,
    &CONTEXT_MANAGEMENT,
    &EFFORT,
    &STRUCTURED_OUTPUTS,
    &TASK_BUDGETS,
    &MCP,
    &CONTAINERS,
    &FALLBACKS,
    &BLOCK_BINDING,
    &FAST_MODE,
];

/// What the models of other makers lack. Whatever else they do not know they ignore.
pub const FOREIGN: &[&Feature] = &[&SAFEGUARDS];

/// The same where one provider has models of several makers: nothing for Claude models, which their names tell.
pub fn unless_claude(model: &str) -> &'static [&'static Feature] {
    if is_claude(model) { &[] } else { FOREIGN }
}

/// Is it a Claude model, by its name?
pub fn is_claude(model: &str) -> bool {
    model.as_bytes().windows(6).any(|part| part.eq_ignore_ascii_case(b"claude"))
}

/// Takes out thoughts that nobody has signed.
pub(crate) fn strip_unsigned(outline: &mut Outline<'_>) {
    let left =
        outline.value("messages").and_then(|messages| relay_wire::thoughts::without_unsigned(&messages));
    if let Some(left) = left {
        outline.set("messages", left);
    }
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

/// Takes their fields out of the body. Of a field in a field only that is taken out; what is empty then goes too.
pub(crate) fn strip_fields(outline: &mut Outline<'_>, features: &[&Feature]) {
    for field in features.iter().flat_map(|feature| feature.fields) {
        let Some((outer, inner)) = field.split_once('.') else {
            outline.remove(field);
            continue;
        };
        let Some(value) = outline.value(outer) else { continue };
        // What is no object has no fields.
        let Ok(mut nested) = Outline::new(&value) else { continue };
        let edits = nested.remove(inner).edits();
        if edits.is_empty() {
            continue;
        }
        let left = edits.apply().to_bytes();
        if relay_wire::scan::members(&left).is_ok_and(|mut members| members.next().is_none()) {
            outline.remove(outer);
        } else {
            outline.set(outer, left);
        }
    }
}

/// May the body have any of their fields? A text in it may look like one.
pub(crate) fn may_ask(body: &[u8], features: &[&Feature]) -> bool {
    let fields = features.iter().flat_map(|feature| feature.fields);
    let names = fields.into_iter().map(|field| field.rsplit('.').next().unwrap_or(field));
    names.into_iter().any(|name| memchr::memmem::find(body, name.as_bytes()).is_some())
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
