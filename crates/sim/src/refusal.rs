//! Every way in which the provider says no, and the envelope in which it says so.
//!
//! <https://platform.claude.com/docs/en/api/errors> is the source of the types and statuses.

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// An error as the provider words it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Its type, which implies the status.
    pub kind: Kind,
    /// The status, where it is not the usual one of that type.
    pub status: StatusCode,
    /// What is wrong.
    pub message: String,
    /// `error.details.error_code`.
    pub error_code: Option<&'static str>,
    /// Headers beyond those of every answer, such as `retry-after`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// `error.type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// 400 `invalid_request_error`
    Invalid,
    /// 401 `authentication_error`
    Authentication,
    /// 402 `billing_error`
    Billing,
    /// 403 `permission_error`
    Permission,
    /// 404 `not_found_error`
    NotFound,
    /// 409 `conflict_error`
    Conflict,
    /// 413 `request_too_large`
    TooLarge,
    /// 429 `rate_limit_error`
    RateLimit,
    /// 500 `api_error`
    Api,
    /// 504 `timeout_error`
    Timeout,
    /// 529 `overloaded_error`
    Overloaded,
}

impl Refusal {
    /// A refusal with the usual status of its kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, status: kind.status(), message: message.into(), error_code: None, headers: Vec::new() }
    }

    /// The same with one more header.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// The envelope of an answer, or, without a request id, of an `event: error`.
    pub(crate) fn body(&self, request_id: Option<&str>) -> Value {
        let mut error = json!({"type": self.kind.name(), "message": self.message});
        if let Some(code) = self.error_code {
            error["details"] = json!({"error_code": code});
        }
        let mut body = json!({"type": "error", "error": error});
        if let Some(id) = request_id {
            body["request_id"] = json!(id);
        }
        body
    }
}

impl Kind {
    /// As written in `error.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Billing => "billing_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::Conflict => "conflict_error",
            Self::TooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
            Self::Api => "api_error",
            Self::Timeout => "timeout_error",
            Self::Overloaded => "overloaded_error",
        }
    }

    /// The status it usually comes with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Authentication => StatusCode::UNAUTHORIZED,
            Self::Billing => StatusCode::PAYMENT_REQUIRED,
            Self::Permission => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Api => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Overloaded => StatusCode::from_u16(529).expect("529 is a three-digit status"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Kind, Refusal};

    #[test]
    fn the_envelope_is_the_providers() {
        let refusal = Refusal::not_found("model: claude-none");
        assert_eq!(
            refusal.body(Some("req_1")),
            json!({
                "type": "error",
                "error": {"type": "not_found_error", "message": "model: claude-none"},
                "request_id": "req_1",
            })
        );
        assert_eq!(Refusal::new(Kind::Overloaded, "Overloaded").status.as_u16(), 529);
    }
}
