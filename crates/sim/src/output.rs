//! What the provider is about to answer, before pace and faults: a status, headers and content.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use crate::{message::Event, refusal::Refusal};

/// An answer in the making.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) status: StatusCode,
    pub(crate) content: Content,
    /// Output tokens of an answer that is not streamed.
    pub(crate) tokens: u64,
}

/// What it carries.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Nothing,
    Json(Value),
    Bytes { content_type: String, bytes: Bytes },
    Events(Vec<Event>),
}

impl Output {
    pub(crate) fn nothing() -> Self {
        Self { status: StatusCode::OK, content: Content::Nothing, tokens: 0 }
    }

    pub(crate) fn json(value: Value) -> Self {
        Self { status: StatusCode::OK, content: Content::Json(value), tokens: 0 }
    }

    pub(crate) fn bytes(content_type: impl Into<String>, bytes: Bytes) -> Self {
        let content = Content::Bytes { content_type: content_type.into(), bytes };
        Self { status: StatusCode::OK, content, tokens: 0 }
    }

    pub(crate) fn refusal(refusal: &Refusal, request_id: &str) -> Self {
        Self { status: refusal.status, content: Content::Json(refusal.body(Some(request_id))), tokens: 0 }
    }
}
