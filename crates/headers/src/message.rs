//! A request and an answer: what `http` calls so, with our headers.

use http::{Method, StatusCode, Uri};

use crate::headers::Headers;

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Request<B> {
    /// Its method.
    pub method: Method,
    /// What it is for: mostly a path and a query.
    pub target: Uri,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: B,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Response<B> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: B,
}

impl<B> Request<B> {
    /// The same with another body.
    pub fn map<C>(self, map: impl FnOnce(B) -> C) -> Request<C> {
        let Self { method, target, headers, body } = self;
        Request { method, target, headers, body: map(body) }
    }
}

impl<B> Response<B> {
    /// `200`, without a header.
    pub fn new(body: B) -> Self {
        Self { status: StatusCode::OK, headers: Headers::default(), body }
    }

    /// The same with another body.
    pub fn map<C>(self, map: impl FnOnce(B) -> C) -> Response<C> {
        let Self { status, headers, body } = self;
        Response { status, headers, body: map(body) }
    }
}

impl<B> From<http::Request<B>> for Request<B> {
    fn from(request: http::Request<B>) -> Self {
        let (head, body) = request.into_parts();
        Self { method: head.method, target: head.uri, headers: (&head.headers).into(), body }
    }
}

impl<B> From<http::Response<B>> for Response<B> {
    fn from(response: http::Response<B>) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status, headers: (&head.headers).into(), body }
    }
}

impl<B> From<Response<B>> for http::Response<B> {
    fn from(response: Response<B>) -> Self {
        let mut converted = Self::new(response.body);
        *converted.status_mut() = response.status;
        *converted.headers_mut() = (&response.headers).into();
        converted
    }
}
