//! Pretends: a provider that behaves like the Anthropic API, closely enough that its clients
//! cannot tell.
//!
//! It judges what is put before it, so its rules (limits, prompt cache, validation, signatures)
//! are written here a second time and share no code with the relay. Time is Tokio's clock plus
//! [`Settings::epoch`]; chance is a seed; the network is whatever connection it is given.
//!
//! ```
//! use relay_sim::{Fault, Script, Settings, Sim};
//!
//! let sim = Sim::new(Settings::demo());
//! sim.script(Script::new(Fault::rate_limited(Some(2))).for_key("amber-1"));
//! assert!(sim.seen().is_empty());
//! assert_eq!(sim.report().keys.len(), 4);
//! ```
//!
//! Serve it with [`Sim::listen`] on a socket or with [`Sim::serve`] on any pipe. What a user message
//! can make the simulated model do is a table in `directive.rs`; what the host can make the
//! provider do wrong is [`Fault`].
//!
//! [`bucket`], [`limiter`], [`prefix`], [`cache`] and [`tokens`] are pure and may be used alone.

pub mod bucket;
pub mod cache;
pub mod limiter;
pub mod prefix;
pub mod tokens;

mod answer;
mod auth;
mod batches;
mod body;
mod canned;
mod clock;
mod conversation;
mod digest;
mod directive;
mod entry;
mod exchange;
mod fault;
mod files;
mod message;
mod messages;
mod meters;
mod models;
mod multipart;
mod output;
mod page;
mod rate_limits;
mod record;
mod refusal;
mod request;
mod route;
mod schema;
mod script;
mod serve;
mod settings;
mod signature;
mod sim;
mod thinking;
mod window;

pub use crate::{
    limiter::{Account, Gauge, Holder, Meter},
    models::{Binding, Model, ThinkingMode, known_models},
    record::{Outcome, Record, Totals, Usage},
    refusal::{Kind, Refusal},
    script::{Answers, Break, Fault, Lasting, Script},
    settings::{ClassLimit, Estimate, Key, Limit, Memory, Organization, Pace, Settings, Window, Workspace},
    sim::{ClassTotals, KeyTotals, Report, Sim},
};
