//! Foresees: what keys will carry. The relay's own decisions run on a virtual clock, and a simulated provider, whose
//! buckets are written apart from the relay's, judges them.
//!
//! It knows calls as sizes and times. It refuses to know what is said in them, and every socket.

pub mod dice;
pub mod optimum;
mod upstream;
pub mod workload;
pub mod world;

pub use crate::dice::Dice;
pub use crate::optimum::{Pool, float, optimum, pools};
pub use crate::workload::{Agents, Arrival, Kind, Mix};
pub use crate::world::{Outcome, Served, Setting, World};
