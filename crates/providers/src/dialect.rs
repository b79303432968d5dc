//! Providers that do not speak as Anthropic does: what is asked of them, and what they answer, in Anthropic's words. What all
//! such dialects have in common is here.

mod blocks;
pub(crate) mod chat;
mod habits;
mod ids;
mod names;
mod refused;
mod schema;
mod written;

pub(crate) use self::habits::Habits;
use self::names::Names;
pub(crate) use self::refused::says;
