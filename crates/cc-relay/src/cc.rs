//! Claude Code's `settings.json`, changed without losing anything of it.
//!
//! ```text
//! files ─ bytes ─► document ─► change (what is set, what it replaces) ─► document ─ bytes ─► files
//!                                 ▲                                                            │
//!                               record ◄───────────── what `remove` must know ─────────────────┘
//! ```
//!
//! What is decided ([`change`]) is apart from what is done ([`files`]): the first is bytes in and bytes out,
//! and a property test holds that taking a change back gives the same bytes again.

pub(crate) mod change;
pub(crate) mod document;
pub(crate) mod files;
pub(crate) mod record;

mod layout;

/// The token that opens nothing: it only keeps Claude Code from asking for a login.
pub(crate) use relay_proxy::PLACEHOLDER;

/// Where Claude Code sends its requests
/// (this and the others: <https://code.claude.com/docs/en/settings>, <https://code.claude.com/docs/en/llm-gateway>).
pub(crate) const BASE_URL: &str = "ANTHROPIC_BASE_URL";

/// What Claude Code sends as `Authorization: Bearer`, before any other credential that it has.
pub(crate) const AUTH_TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";

/// `1`: Claude Code asks `/v1/models` which models it may offer.
pub(crate) const MODEL_DISCOVERY: &str = "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY";

/// How many tokens Claude Code takes the context of a model to be that it does not know.
pub(crate) const CONTEXT_TOKENS: &str = "CLAUDE_CODE_MAX_CONTEXT_TOKENS";

/// Every variable that may be set, in the order in which they are.
pub(crate) const VARIABLES: [&str; 4] = [BASE_URL, AUTH_TOKEN, MODEL_DISCOVERY, CONTEXT_TOKENS];

/// Set to anything, they make Claude Code talk to a cloud, past [`BASE_URL`].
pub(crate) const CLOUDS: [&str; 3] =
    ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"];

/// Where a relay listens unless it is told otherwise.
pub(crate) const USUAL_URL: &str = "http://127.0.0.1:8787";
