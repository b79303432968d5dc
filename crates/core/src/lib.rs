//! Decides: who may serve a call, when, and what was learned from the answer.
//!
//! Values in, values out. Nothing here knows what time it is, rolls dice, opens a socket or
//! reads a file: a [`Time`] and a [`Roll`] are passed in, so every decision can be replayed.
//! The modules are listed in reading order; [`State`] is the whole interface.

pub mod time;

mod index;
mod name;

pub mod fleet;
pub mod select;

mod concurrency;
mod flow;
mod meter;

pub mod limits;
pub mod price;
pub mod quota;
pub mod text;
pub mod usage;
pub mod window;

pub mod verdict;

mod account;
pub mod affinity;
mod estimate;
mod key;
mod owner;
mod prefix;
mod queue;
mod rest;
mod turns;

pub mod fact;
pub mod plan;

pub mod event;
pub mod memory;
pub mod state;

pub use crate::affinity::{Conversation, Leaving, Stay};
pub use crate::event::Event;
pub use crate::fact::{Fact, Learned};
pub use crate::fleet::{
    Accounting, Caps, Class, ClientId, Families, Fleet, Key, KeyId, Ownership, Provider, ProviderId,
};
pub use crate::flow::PIECE;
pub use crate::key::Totals;
pub use crate::limits::Counted;
pub use crate::memory::Memory;
pub use crate::plan::{Exhausted, Foretold, Lease, Met, Need, Plan, Size, Step, Subject, Whose};
pub use crate::prefix::Prefix;
pub use crate::price::{Price, Prices, Second};
pub use crate::queue::{Ticket, Woken};
pub use crate::quota::{Gauge, Quota, Unified, UnifiedStatus, WindowReading};
pub use crate::rest::{FIRST_REPROBE, LONGEST_UNPROBED, Unready};
pub use crate::select::Strategy;
pub use crate::state::{
    Around, Ask, CallsReport, Count, Holder, KeyReport, LimitReport, Pool, PoolWindow, ProviderReport,
    Report, State, WindowReport,
};
pub use crate::text::Text;
pub use crate::time::{Roll, Time};
pub use crate::usage::Usage;
pub use crate::verdict::{Breakage, Effect, Extent, Fault, Reason, Verdict};
pub use crate::window::{Share, WindowName};
