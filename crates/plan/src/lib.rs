//! Foresees: what keys will carry. The relay's own decisions run on a virtual clock, and a simulated provider, whose
//! buckets are written apart from the relay's, judges them.
//!
//! It knows calls as sizes and times. It refuses to know what is said in them, and every socket.

pub mod dice;
pub mod estate;
pub mod forecast;
pub mod optimum;
mod plot;
pub mod recording;
pub mod report;
mod upstream;
pub mod workload;
pub mod world;

pub use crate::dice::Dice;
pub use crate::estate::{Assumed, Estate, Unsaid};
pub use crate::forecast::{Advice, Forecast, Question};
pub use crate::optimum::{Demand, Pool, float, optimum, optimum_of, pool, pools};
pub use crate::recording::Recording;
pub use crate::report::Report;
pub use crate::workload::{Agents, Arrival, CLAUDE_CODE, Kind, Mix, Profile, Replay, Workload};
pub use crate::world::{Choice, Outcome, Served, Setting, World};
