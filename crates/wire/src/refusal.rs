//! The Anthropic error body: how the relay writes one, and what can be read of anybody's. It knows
//! shapes; it refuses to know what an error means (that is `core`'s verdict) or who is to blame.

use std::fmt;

use bytes::Bytes;
use http::StatusCode;

use crate::scan::{self, Kind, Value};

/// The event with which silence in a stream is filled, byte for byte as the Anthropic API writes it.
pub const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// The types of error that the Anthropic API has (platform.claude.com/docs/en/api/errors).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// 400, and every other fault of the client's that has no type of its own.
    InvalidRequest,
    /// 401
    Authentication,
    /// 402
    Billing,
    /// 403
    Permission,
    /// 404
    NotFound,
    /// 409
    Conflict,
    /// 413
    RequestTooLarge,
    /// 429
    RateLimit,
    /// 500, and every other fault of the server's that has no type of its own.
    Api,
    /// 504
    Timeout,
    /// 529
    Overloaded,
}

/// Anthropic's own status: too much is asked of all.
const OVERLOADED: StatusCode = match StatusCode::from_u16(529) {
    Ok(status) => status,
    Err(_) => panic!("it has three digits"),
};

/// What an error body says, as far as it could be read. Every part may be missing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Refusal {
    /// `error.type`, in the provider's own words.
    pub kind: Option<String>,
    /// `error.message`.
    pub message: Option<String>,
    /// `error.details.error_code`, or else `error.code`: a finer reason. A number as its digits.
    pub code: Option<String>,
    /// `request_id`.
    pub request_id: Option<String>,
}

impl ErrorKind {
    /// All of them, in the order of their statuses.
    pub const ALL: [Self; 11] = [
        Self::InvalidRequest,
        Self::Authentication,
        Self::Billing,
        Self::Permission,
        Self::NotFound,
        Self::Conflict,
        Self::RequestTooLarge,
        Self::RateLimit,
        Self::Api,
        Self::Timeout,
        Self::Overloaded,
    ];

    /// The word that stands in `error.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Billing => "billing_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::Conflict => "conflict_error",
            Self::RequestTooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
            Self::Api => "api_error",
            Self::Timeout => "timeout_error",
            Self::Overloaded => "overloaded_error",
        }
    }

    /// The status that the Anthropic API gives with it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Authentication => StatusCode::UNAUTHORIZED,
            Self::Billing => StatusCode::PAYMENT_REQUIRED,
            Self::Permission => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Api => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Overloaded => OVERLOADED,
        }
    }

    /// The kind whose word this is, if it is one of ours.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind that the Anthropic API gives with this status; for a status it does not use, the
    /// general one of whoever is at fault.
    pub fn from_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            409 => Self::Conflict,
            413 => Self::RequestTooLarge,
            429 => Self::RateLimit,
            529 => Self::Overloaded,
            500.. => Self::Api,
            _ => Self::InvalidRequest,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error body as the Anthropic API writes it.
pub fn write(kind: ErrorKind, message: &str, request_id: Option<&str>) -> Bytes {
    text(kind, message, request_id).into()
}

/// The same as an event, for a stream whose head has gone out.
pub fn event(kind: ErrorKind, message: &str, request_id: Option<&str>) -> Bytes {
    // JSON has no line ends inside its strings, so one `data:` line holds it.
    format!("event: error\ndata: {}\n\n", text(kind, message, request_id)).into()
}

/// Reads an error body, or its beginning, or the data of an `error` event.
///
/// Meant for the shapes in which Anthropic, OpenAI-style servers, Ollama, AWS, Google and `FastAPI` write
/// their errors. Of anything else, HTML for example, it reads nothing.
pub fn read(piece: &[u8]) -> Refusal {
    let piece = piece.trim_ascii_start();
    // Google wraps the errors of a stream into an array.
    let piece = piece.strip_prefix(b"[").unwrap_or(piece);

    let mut refusal = Refusal::default();
    let mut outer = Refusal::default();
    each_field(piece, |name, text| match name {
        "error" if text.starts_with(b"{") => refusal = read_error(text),
        "error" => refusal.message = word(text),
        "request_id" => outer.request_id = word(text),
        "type" => outer.kind = word(text).filter(|kind| kind != "error"),
        "message" | "Message" => outer.message = word(text),
        "detail" => outer.message = outer.message.take().or_else(|| read_detail(text)),
        "code" => outer.code = word(text),
        _ => {}
    });
    Refusal {
        kind: refusal.kind.or(outer.kind),
        message: refusal.message.or(outer.message),
        code: refusal.code.or(outer.code),
        request_id: outer.request_id,
    }
}

/// Is it an error, whatever its status says? Told by the beginning of a body.
pub fn is_one(piece: &[u8]) -> bool {
    let mut is = false;
    each_field(piece.trim_ascii_start(), |name, text| {
        is |= match name {
            "error" => text.starts_with(b"{"),
            "type" => word(text).as_deref() == Some("error"),
            _ => false,
        };
    });
    is
}

/// Reads what stands in the field `error`.
fn read_error(piece: &[u8]) -> Refusal {
    let mut refusal = Refusal::default();
    let mut detail = None;
    each_field(piece, |name, text| match name {
        "type" => refusal.kind = word(text),
        "message" => refusal.message = word(text),
        "code" => refusal.code = word(text),
        "details" => each_field(text, |name, text| {
            if name == "error_code" {
                detail = word(text);
            }
        }),
        _ => {}
    });
    refusal.code = detail.or(refusal.code);
    refusal
}

/// Reads what stands in the field `detail`, as servers in Python write it: a text, or what is wrong with each field.
fn read_detail(piece: &[u8]) -> Option<String> {
    let Some(first) = piece.strip_prefix(b"[") else { return word(piece) };
    let mut words = None;
    each_field(first, |name, text| {
        if name == "msg" {
            words = word(text);
        }
    });
    words
}

/// Calls `each` with name and text of every member of the object that begins in `piece`, as far as
/// they can be read; where the piece ends inside a value, with what there is of it.
fn each_field(piece: &[u8], mut each: impl FnMut(&str, &[u8])) {
    let Ok(mut members) = scan::members(piece) else { return };
    for member in members.by_ref().map_while(Result::ok) {
        if let Some(name) = member.key.as_str() {
            each(&name, member.value.text());
        }
    }
    if let Some((key, text)) = members.unfinished()
        && let Some(name) = key.as_str()
    {
        each(&name, text);
    }
}

/// A string, or the digits of a number.
fn word(text: &[u8]) -> Option<String> {
    let value = Value::read(text).ok()?;
    match value.kind() {
        Kind::Number => std::str::from_utf8(value.text()).ok().map(str::to_owned),
        _ => value.as_str().map(std::borrow::Cow::into_owned),
    }
}

fn text(kind: ErrorKind, message: &str, request_id: Option<&str>) -> String {
    let message = serde_json::Value::from(message);
    let id = request_id.map(|id| format!(r#","request_id":{}"#, serde_json::Value::from(id)));
    let id = id.unwrap_or_default();
    format!(r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}}{id}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_that_means_it() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_status(kind.status()), kind);
        }
    }

    #[test]
    fn an_error_is_told_from_a_message_by_how_it_begins() {
        let whole = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        for error in [whole, &whole[..20], r#" {"error":{"message":"No credits","code":402}}"#] {
            assert!(is_one(error.as_bytes()), "{error}");
        }
        let message =
            r#"{"id":"msg_1","type":"message","content":[{"type":"error","error":{}}],"error":null}"#;
        for at in 0..message.len() {
            assert!(!is_one(&message.as_bytes()[..at]), "{at}");
        }
        assert!(!is_one(b"<html>") && !is_one(b""));
    }

    fn check(body: &str, kind: &str, message: &str, code: &str, request_id: &str) {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let expect = Refusal {
            kind: some(kind),
            message: some(message),
            code: some(code),
            request_id: some(request_id),
        };
        assert_eq!(read(body.as_bytes()), expect, "{body}");
    }

    #[test]
    fn what_is_written_is_the_anthropic_shape() {
        assert_eq!(
            write(ErrorKind::Overloaded, "all keys\nare \"busy\"", Some("req_1")),
            r#"{"type":"error","error":{"type":"overloaded_error","message":"all keys\nare \"busy\""},"request_id":"req_1"}"#
        );
        assert_eq!(
            write(ErrorKind::Api, "broken", None),
            r#"{"type":"error","error":{"type":"api_error","message":"broken"}}"#
        );
        assert_eq!(
            event(ErrorKind::Timeout, "a\r\nb", None),
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"timeout_error\",\"message\":\"a\\r\\nb\"}}\n\n"
        );
    }

    #[test]
    fn a_ping_is_one_event_and_ends_at_a_boundary() {
        let mut reader = crate::sse::Reader::default();
        let mut names = Vec::new();
        reader.feed(PING, |event| names.push((event.name.to_vec(), event.text().map(<[u8]>::to_vec))));
        assert_eq!(names, [(b"ping".to_vec(), Some(br#"{"type": "ping"}"#.to_vec()))]);
        assert!(reader.at_boundary());
    }

    #[test]
    fn every_kind_is_found_by_its_name_and_by_its_status() {
        let statuses = [400, 401, 402, 403, 404, 409, 413, 429, 500, 504, 529];
        for (kind, status) in ErrorKind::ALL.into_iter().zip(statuses) {
            assert_eq!(ErrorKind::from_name(kind.as_str()), Some(kind));
            assert_eq!(ErrorKind::from_status(StatusCode::from_u16(status).unwrap()), kind);
        }
        assert_eq!(ErrorKind::from_name("bad_request"), None);
        for (status, kind) in [
            (405, ErrorKind::InvalidRequest),
            (408, ErrorKind::Timeout),
            (422, ErrorKind::InvalidRequest),
            (502, ErrorKind::Api),
            (503, ErrorKind::Api),
        ] {
            assert_eq!(ErrorKind::from_status(StatusCode::from_u16(status).unwrap()), kind);
        }
    }

    #[test]
    fn errors_are_read_in_the_shapes_in_which_providers_write_them() {
        check(
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed"},"request_id":"req_1"}"#,
            "rate_limit_error",
            "This request would exceed",
            "",
            "req_1",
        );
        check(
            r#"{"type":"error","error":{"details":{"error_code":"enforced_spend_limit_reached"},"type":"billing_error","message":"m","code":"x"}}"#,
            "billing_error",
            "m",
            "enforced_spend_limit_reached",
            "",
        );
        check(r#"{"error":{"code":"1302","message":"m"}}"#, "", "m", "1302", "");
        check(
            r#"{"error":{"message":"m","type":"insufficient_quota","param":null,"code":429}}"#,
            "insufficient_quota",
            "m",
            "429",
            "",
        );
        check(r#"{"error":"model not found"}"#, "", "model not found", "", "");
        check(
            r#"{"object":"error","message":"m","type":"BadRequestError","code":400}"#,
            "BadRequestError",
            "m",
            "400",
            "",
        );
        check(r#" [{"error":{"code":429,"message":"m","status":"S"}}]"#, "", "m", "429", "");
        check(r#"{"Message":"throttled"}"#, "", "throttled", "", "");
        check(r#"{"detail":"Not Found"}"#, "", "Not Found", "", "");
        check(
            r#"{"detail":[{"loc":["body"],"msg":"Field required","type":"t"}]}"#,
            "",
            "Field required",
            "",
            "",
        );
        check(r#"{"message":"outer","error":{"message":"inner"}}"#, "", "inner", "", "");
    }

    #[test]
    fn a_piece_is_read_as_far_as_it_came() {
        let whole =
            r#"{"type":"error","error":{"type":"api_error","message":"m","details":{"error_code":"c","x":"#;
        check(whole, "api_error", "m", "c", "");
        check(r#"{"type":"error","error":{"type":"api_error","message":"m"#, "api_error", "", "", "");
        check(r#"{"error":{"message":"m"},"request_id":"req"#, "", "m", "", "");
        check(r#"{"error":{"message":"m"},"request_id":"req_1"} trailing"#, "", "m", "", "req_1");
    }

    #[test]
    fn of_garbage_nothing_is_read() {
        for body in
            ["", " ", "<html>503</html>", "null", "[", "[]", "{}", r#"{"error":null}"#, r#"{"error":[1]}"#]
        {
            assert_eq!(read(body.as_bytes()), Refusal::default(), "{body}");
        }
        assert_eq!(read(b"\xff\xfe{\"error\":\"x\"}"), Refusal::default());
        check(r#"{"error":{"type":7,"message":{"a":1},"code":true}}"#, "7", "", "", "");
    }
}
