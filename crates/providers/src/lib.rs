//! Adapts: one file per provider, all of one shape.
//!
//! Nothing here does I/O or reads a clock. A provider is a page of facts: where it is, how it wants
//! to be addressed, and what its answers mean.

pub mod adapter;
pub mod features;
pub mod models;
pub mod secret;

pub mod compatible;

use std::time::Duration;

mod cloud;
mod dialect;
mod sigv4;

pub use crate::adapter::{
    Account, Adapter, Ask, Auth, Credential, Facts, Garbled, Head, Identity, Offer, Order, Piece, Place,
    Scheme, Setting, Target, Translator, Unsupported, Upstream,
};
pub use crate::models::Models;
pub use crate::secret::Secret;

/// How long a provider may take to the first byte, unless it or the configuration says otherwise: what
/// Claude Code itself waits for the head of an answer.
const FIRST_BYTE: Duration = Duration::from_mins(10);

/// The same for a provider that loads a model and prefills a long prompt first: users report sixteen minutes.
const SLOW_FIRST_BYTE: Duration = Duration::from_hours(1);

/// The table of all providers: of each the file, the adapter in it, which is its kind as well, and its name.
macro_rules! providers {
    ($($module:ident, $adapter:ident, $name:literal;)*) => {
        $(mod $module;)*

        /// A kind of provider: the `type:` of the configuration.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`: see the file of that name.")] $adapter,)*
        }

        /// Their names and adapters, in the order of [`Kind`].
        const TABLE: &[(Kind, &str, &dyn Adapter)] =
            &[$((Kind::$adapter, $name, &$module::$adapter),)*];
    };
}

// In the order of the book.
providers! {
    anthropic, Anthropic, "anthropic";
    zai, Zai, "zai";
    minimax, MiniMax, "minimax";
    deepseek, DeepSeek, "deepseek";
    moonshot, Moonshot, "moonshot";
    openrouter, OpenRouter, "openrouter";
    ollama, Ollama, "ollama";
    anthropic_compatible, AnthropicCompatible, "anthropic_compatible";
    azure, Azure, "azure";
    bedrock, Bedrock, "bedrock";
    vertex, Vertex, "vertex";
    openai, OpenAi, "openai";
}

impl Kind {
    /// All of them, in the order of the book.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(kind, ..)| *kind)
    }

    /// Its name in the configuration.
    pub const fn as_str(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.as_str() == name)
    }

    /// What speaks with it.
    pub const fn adapter(self) -> &'static dyn Adapter {
        TABLE[self as usize].2
    }

    /// The same without the rest.
    pub fn facts(self) -> &'static Facts {
        self.adapter().facts()
    }
}
