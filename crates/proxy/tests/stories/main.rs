//! Stories over the whole relay: in-memory pipes, scripted upstreams, paused time. Each file is named
//! by what goes wrong, or by the law that it holds.

mod accounting;
mod announced;
mod bedrock;
mod client_leaves;
mod counting;
mod cut_stream;
mod drain;
mod failover;
mod late_head;
mod limits;
mod logs;
mod loops;
mod openai;
mod pass_through;
mod pings;
mod recording;
mod restart;
mod slow_client;
mod spent_keys;
mod surface;
mod who_may_ask;
mod windows;

use std::future::poll_fn;
use std::task::Poll;

/// All of them at once, and what each gave.
async fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(given) = future.as_mut().poll(context) {
                *done = Some(given);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
