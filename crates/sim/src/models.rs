//! The models on offer: what each is called, how much it takes, and how it treats thinking.
//!
//! The table is Anthropic's list of November 2026 (<https://platform.claude.com/docs/en/api/models>).
//! It knows facts about models; it refuses to know who may use them.

use serde_json::{Value, json};

/// One model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Model {
    /// As clients name it. The same id with a date (`-20251001`) names the same model.
    pub id: String,
    /// As people read it.
    pub display_name: String,
    /// RFC 3339.
    pub created_at: String,
    /// The context window: the greatest prompt, in tokens.
    pub max_input_tokens: u64,
    /// The greatest `max_tokens`.
    pub max_tokens: u64,
    /// Models of one class share limits.
    pub class: String,
    /// The values of `thinking.type` it takes.
    pub thinking: Vec<ThinkingMode>,
    /// Who can read its thinking blocks.
    pub binding: Binding,
    /// Prefixes below this are not cached, in tokens.
    pub min_cached: u64,
}

/// A value of `thinking.type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThinkingMode {
    /// `enabled`, with `budget_tokens`.
    Enabled,
    /// `adaptive`.
    Adaptive,
    /// `disabled`.
    Disabled,
}

/// To what a thinking block is bound. A block which is bound elsewhere is dropped silently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binding {
    /// Every model and account reads it.
    Free,
    /// Only the model that made it reads it.
    Model,
    /// Only the model that made it reads it, and only for the organization it was made for.
    Account,
}

/// A row of the table: id, name, day, window and output in thousands of tokens, thinking, binding,
/// least cached prefix.
type Row = (&'static str, &'static str, &'static str, u64, u64, &'static [ThinkingMode], Binding, u64);

const ADAPTIVE_ALWAYS: &[ThinkingMode] = &[ThinkingMode::Adaptive];
const ADAPTIVE: &[ThinkingMode] = &[ThinkingMode::Adaptive, ThinkingMode::Disabled];
const BUDGET: &[ThinkingMode] = &[ThinkingMode::Enabled, ThinkingMode::Disabled];

/// Ids, windows, output limits and bindings are Anthropic's own. The days of `claude-opus-5` and
/// `claude-sonnet-5` were not to be found and only keep the order of the list.
const KNOWN: &[Row] = &[
    ("claude-fable-5-2", "Claude Fable 5.2", "2026-11-09", 1000, 128, ADAPTIVE_ALWAYS, Binding::Model, 1024),
    ("claude-haiku-5-5", "Claude Haiku 5.5", "2026-10-07", 1000, 128, ADAPTIVE, Binding::Account, 512),
    ("claude-sonnet-5-5", "Claude Sonnet 5.5", "2026-09-28", 1000, 128, ADAPTIVE, Binding::Account, 512),
    ("claude-opus-5-5", "Claude Opus 5.5", "2026-09-22", 1000, 128, ADAPTIVE_ALWAYS, Binding::Model, 512),
    ("claude-fable-5-1", "Claude Fable 5.1", "2026-09-01", 1000, 128, ADAPTIVE_ALWAYS, Binding::Model, 1024),
    ("claude-sonnet-5", "Claude Sonnet 5", "2026-06-15", 1000, 128, ADAPTIVE, Binding::Free, 1024),
    ("claude-opus-5", "Claude Opus 5", "2026-06-01", 1000, 128, ADAPTIVE, Binding::Free, 512),
    ("claude-haiku-4-5", "Claude Haiku 4.5", "2025-10-15", 200, 64, BUDGET, Binding::Free, 4096),
];

impl ThinkingMode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Adaptive => "adaptive",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Enabled, Self::Adaptive, Self::Disabled].into_iter().find(|mode| mode.name() == name)
    }
}

/// The models which the provider offers in November 2026, newest first. Each is a class of its own.
pub fn known_models() -> Vec<Model> {
    KNOWN
        .iter()
        .map(|&(id, display_name, day, window, output, thinking, binding, min_cached)| Model {
            id: id.to_owned(),
            display_name: display_name.to_owned(),
            created_at: format!("{day}T00:00:00Z"),
            max_input_tokens: window * 1000,
            max_tokens: output * 1000,
            class: id.to_owned(),
            thinking: thinking.to_vec(),
            binding,
            min_cached,
        })
        .collect()
}

/// The model which a client means by `name`.
pub(crate) fn find<'a>(models: &'a [Model], name: &str) -> Option<&'a Model> {
    models.iter().find(|model| {
        name.strip_prefix(model.id.as_str()).is_some_and(|rest| rest.is_empty() || is_date(rest))
    })
}

/// One row of `GET /v1/models`.
pub(crate) fn describe(model: &Model) -> Value {
    let takes = |mode| json!({"supported": model.thinking.contains(&mode)});
    json!({
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": model.created_at,
        "max_input_tokens": model.max_input_tokens,
        "max_tokens": model.max_tokens,
        "capabilities": {
            "thinking": {
                "supported": true,
                "types": {
                    "enabled": takes(ThinkingMode::Enabled),
                    "adaptive": takes(ThinkingMode::Adaptive),
                },
            },
        },
    })
}

fn is_date(rest: &str) -> bool {
    rest.strip_prefix('-')
        .is_some_and(|date| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::{find, known_models};

    #[test]
    fn a_model_is_found_by_its_id_with_or_without_a_date_and_by_nothing_else() {
        let models = known_models();
        let found = |name| find(&models, name).map(|model| model.id.as_str());
        assert_eq!(found("claude-haiku-4-5"), Some("claude-haiku-4-5"));
        assert_eq!(found("claude-haiku-4-5-20251001"), Some("claude-haiku-4-5"));
        assert_eq!(found("claude-opus-5-5"), Some("claude-opus-5-5"));
        assert_eq!(found("claude-opus-5"), Some("claude-opus-5"));
        for unknown in ["claude-opus-5-5[1m]", "claude-opus", "claude-haiku-4-5-2025", "gpt-5", ""] {
            assert_eq!(found(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_list_is_newest_first() {
        let models = known_models();
        assert_eq!(models.len(), 8);
        assert!(models.windows(2).all(|pair| pair[0].created_at > pair[1].created_at));
    }
}
