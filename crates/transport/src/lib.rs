//! Carries requests and their answers: [`Transport`] to upstreams and back, [`server`] from clients.
//!
//! A [`Transport`] keeps connections and sends requests over them. An HTTP/1.1 connection is
//! driven by whoever waits for it: first the future of [`Transport::send`], then the body of the
//! response, [`Incoming`]. So a request costs no task, no channel and no wake-up but those of its
//! socket, and dropping future or body cancels it. HTTP/2 connections are shared and have a task.
//!
//! Knows bytes, connections, protocols and deadlines. Refuses to know providers, keys, models and
//! what is worth trying again: it uses no other crate of this program.
//!
//! Below it lies the trait [`Dial`], so that tests run over pipes in memory.

mod deadline;
mod dial;
mod error;
mod forward_proxy;
mod h1;
mod h2;
mod inbox;
mod incoming;
mod origin;
mod pool;
mod quiet;
mod request;
pub mod server;
mod spawn;
mod stats;
mod timings;
pub mod tls;
mod transport;

pub use deadline::{Deadlines, Watchdog};
pub use dial::{Connected, Dial, DialError, Dialing, Io, Tcp, Timing};
pub use error::{BodyError, Cause, Kind, Malformed, Phase, SendError};
pub use forward_proxy::{ProxyError, ProxyRules, ProxyVariables};
pub use incoming::Incoming;
pub use origin::{Origin, OriginError, Scheme};
pub use quiet::Quiet;
pub use request::RequestBody;
pub use spawn::{Spawner, Task};
pub use stats::Stats;
pub use timings::{Protocol, Timings, TlsVersion};
pub use transport::{Http2, Settings, Transport};
