//! The bytes of a request, as the upstream sees them.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use relay_transport::{Kind, Phase, RequestBody};

use crate::pipe::{OK, hello, pipes, pipes_with, post, send, text};

fn chunks(texts: &'static [&'static str]) -> RequestBody {
    let frames = texts.iter().map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from_static(text.as_bytes()))));
    RequestBody::stream(StreamBody::new(Frames(frames.collect::<Vec<_>>().into_iter())))
}

/// Frames one by one.
struct Frames<I>(I);

impl<I: Iterator + Unpin> futures_core::Stream for Frames<I> {
    type Item = I::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<I::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}
