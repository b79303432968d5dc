//! Proves: a whole relay in one process, over in-memory pipes, against scripted upstreams, on paused time.
//!
//! A test reads as a story:
//!
//! ```no_run
//! # use relay_testkit::{replies, story};
//! # async fn example() {
//! let relay = story()
//!     .provider("a", [replies::overloaded()])
//!     .provider("b", [replies::stream("hello")])
//!     .start()
//!     .await;
//! assert_eq!(relay.ask("hi").await.text(), "hello");
//! assert_eq!(relay.asked(), ["a", "b"]);
//! # }
//! ```
//!
//! Pipes and not sockets, because Tokio's paused clock jumps ahead whenever the runtime has nothing to
//! do, also while an answer is on its way from outside of it.

pub mod bedrock;
pub mod client;
pub mod kept;
pub mod log;
pub mod replies;
pub mod story;
pub mod upstream;

pub use crate::client::{Answer, Client};
pub use crate::kept::Kept;
pub use crate::log::Log;
pub use crate::story::{Story, Told, story};
pub use crate::upstream::{Reply, Seen, Step};
