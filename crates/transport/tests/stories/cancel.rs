//! Dropping a request, in every phase, is noticed by the upstream at once.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use relay_transport::{Dial, Dialing, Origin, Transport};

use crate::pipe::{Ask, hello, pipes, pipes_with, post, send, settings};

/// Polls once; whether it is not yet ready.
fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Stuck(Arc<AtomicBool>);

impl Dial for Stuck {
    fn dial<'a>(&'a self, _: &'a Origin) -> Dialing<'a> {
        let dropped = Dropped(self.0.clone());
        Box::pin(async move {
            let _dropped = dropped;
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn while_connecting_the_attempt_is_given_up() {
    let dropped = Arc::new(AtomicBool::new(false));
    let transport = Transport::new(settings(), Arc::new(Stuck(dropped.clone())));
    {
        let mut sending = pin!(send(&transport, hello()));
        assert!(is_pending(sending.as_mut()));
        assert!(!dropped.load(Ordering::SeqCst));
    }
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn while_shaking_hands_the_connection_is_closed() {
    let (transport, mut upstream) = pipes();
    let origin = Origin::parse("https://upstream.test").unwrap();
    {
        let mut sending = pin!(transport.ask(&origin, hello(), crate::pipe::DEADLINES));
        assert!(is_pending(sending.as_mut()));
    }
    let hello = upstream.accept().await.closed().await;
    assert_eq!(hello.first(), Some(&0x16), "a TLS handshake record");
    assert_eq!(transport.stats().open, 0);
}

#[tokio::test]
async fn while_sending_the_connection_is_closed() {
    let (transport, mut upstream) = pipes_with(1024, |_| {});
    {
        let mut sending = pin!(send(&transport, post(Bytes::from(vec![b'x'; 9999]))));
        assert!(is_pending(sending.as_mut()));
    }
    assert_eq!(upstream.accept().await.closed().await.len(), 1024);
    assert_eq!(transport.stats().open, 0);
}

#[tokio::test]
async fn while_waiting_for_the_head_the_connection_is_closed() {
    let (transport, mut upstream) = pipes();
    {
        let mut sending = pin!(send(&transport, hello()));
        assert!(is_pending(sending.as_mut()));
    }
    assert!(upstream.accept().await.closed().await.ends_with(b"hello"));
    assert_eq!(transport.stats().open, 0);
}

#[tokio::test]
async fn in_the_body_the_connection_is_closed() {
    let (transport, mut upstream) = pipes();
    let (mut body, mut peer) =
        tokio::join!(async { send(&transport, hello()).await.unwrap().into_body() }, async {
            let mut peer = upstream.accept().await;
            peer.answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n").await;
            peer
        });
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "x");
    drop(body);
    assert_eq!(peer.closed().await, b"");
    assert_eq!(transport.stats().open, 0);
}

#[tokio::test]
async fn before_the_body_is_touched_the_connection_is_closed() {
    let (transport, mut upstream) = pipes();
    let (response, mut peer) = tokio::join!(async { send(&transport, hello()).await.unwrap() }, async {
        let mut peer = upstream.accept().await;
        peer.answer(crate::pipe::OK).await;
        peer
    });
    drop(response);
    assert_eq!(peer.closed().await, b"");
    assert_eq!(transport.stats().open, 0);
}
