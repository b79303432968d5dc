//! Stories over the whole relay: in-memory pipes, scripted upstreams, paused time. Each file is named
//! by what goes wrong, or by the law that it holds.

mod announced;
mod bedrock;
mod client_leaves;
mod cut_stream;
mod drain;
mod failover;
mod late_head;
mod limits;
mod logs;
mod loops;
mod pass_through;
mod pings;
mod recording;
mod restart;
mod slow_client;
mod spent_keys;
mod surface;
mod who_may_ask;
mod windows;
