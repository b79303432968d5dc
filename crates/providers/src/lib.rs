//! Adapts: one file per provider, all of one shape.
//!
//! Nothing here does I/O or reads a clock. A provider is a page of facts: where it is, how it wants
//! to be addressed, and what its answers mean.

pub mod adapter;
pub mod kind;
pub mod secret;

pub mod compatible;

mod anthropic;
mod minimax;
mod ollama;
mod zai;

use std::time::Duration;

pub use crate::adapter::{
    Adapter, Ask, Auth, Credential, Facts, Head, Offer, Piece, Target, Unsupported, Upstream,
};
pub use crate::kind::Kind;
pub use crate::secret::Secret;

/// How long a provider may take to the first byte, unless it or the configuration says otherwise: what
/// Claude Code itself waits for the head of an answer.
const FIRST_BYTE: Duration = Duration::from_mins(10);

/// The same for a provider that loads a model and prefills a long prompt first: users report sixteen minutes.
const SLOW_FIRST_BYTE: Duration = Duration::from_hours(1);

/// All of them, in the order of the book.
pub static ADAPTERS: &[&dyn Adapter] =
    &[&anthropic::Anthropic, &zai::Zai, &minimax::MiniMax, &ollama::Ollama];

/// The adapter of a kind; none if this version cannot serve it.
pub fn adapter(kind: Kind) -> Option<&'static dyn Adapter> {
    ADAPTERS.iter().copied().find(|adapter| adapter.kind() == kind)
}

/// The facts of a kind, also of one that this version cannot serve.
pub fn facts(kind: Kind) -> &'static Facts {
    const CLOUD: Facts = Facts {
        base_url: None,
        models: &[],
        owner: "cloud",
        first_byte: FIRST_BYTE,
        auth: Auth::Cloud,
        offers: &[],
    };
    adapter(kind).map_or(&CLOUD, Adapter::facts)
}
