//! What a transport does, seen from both of its ends: over pipes with a scripted server, and over
//! loopback with hyper's.

#[path = "stories/pipe.rs"]
mod pipe;
#[path = "stories/servers.rs"]
mod servers;

#[path = "stories/answers.rs"]
mod answers;
#[path = "stories/cancel.rs"]
mod cancel;
#[path = "stories/deadlines.rs"]
mod deadlines;
#[path = "stories/differential.rs"]
mod differential;
#[path = "stories/forward.rs"]
mod forward;
#[path = "stories/http2.rs"]
mod http2;
#[path = "stories/pool.rs"]
mod pool;
#[path = "stories/requests.rs"]
mod requests;
#[path = "stories/retry.rs"]
mod retry;
#[path = "stories/secure.rs"]
mod secure;
