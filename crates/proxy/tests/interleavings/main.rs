//! What threads can do to each other at the one lock, and with the leases that bodies carry: calls ask, wait, are called,
//! give up and end in every order, or in very many.
//!
//! What is checked is the relay's own code: `src/live.rs` and `src/live/locked.rs` are compiled into this program as they
//! are, and so is the state below them. Only what they stand on is the checker's: the lock, the clock, the dice, and what
//! runs a task. A failure prints the order in which it came about, which `shuttle::replay` plays again.

mod clock;
mod lock;
mod tasks;

#[path = "../../src/live.rs"]
#[expect(dead_code, reason = "what has no order is not asked for here")]
mod live;

mod order;
mod stage;

mod calls;
