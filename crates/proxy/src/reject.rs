//! Every way in which the relay itself says no. One table: what it is, and what the client is told.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use relay_core::{Exhausted, Time};
use relay_headers::{Response, Value};
use relay_transport::server::Fault;
use relay_wire::refusal::{self, ErrorKind};

use crate::clock::seconds_up;

/// `x-should-retry`: with `false`, Claude Code and the SDKs do not try again.
const X_SHOULD_RETRY: &str = "x-should-retry";
/// `request-id`: what clients show next to an error.
pub(crate) const REQUEST_ID: &str = "request-id";

/// The relay's own no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reject {
    /// Who asks is not known.
    Denied(Denied),
    /// A web page from elsewhere asks a relay that asks nobody who he is.
    Foreign,
    /// There is no such path.
    NoSuchPath,
    /// There is, but not by this method.
    WrongMethod {
        /// The methods there are.
        allow: &'static str,
    },
    /// There is no such model in the listing.
    NoSuchModel,
    /// `limit` of a listing is none: what is wrong with it, in the words of the API.
    Limit(&'static str),
    /// The relay has no key of that name, or no such provider.
    NoSuchKey,
    /// No provider of this relay has that.
    NotOffered(&'static str),
    /// The body is longer than the limit, in bytes.
    TooLarge(u64),
    /// The body broke off, or is not what its headers say.
    Unreadable,
    /// The client fell silent in the middle of its body.
    Slow,
    /// What came is no request.
    Faulty(Fault),
    /// The request has been here before.
    Looped,
    /// As many requests are served as may be.
    Busy,
    /// No provider is there for it.
    Nobody,
    /// A key of the pool was not accepted, and the body that went with it cannot be sent again.
    KeyRefused,
    /// No key is configured, and the client brought none.
    NoCredential,
    /// Keys are configured, and none of them is there: their files or commands give none.
    NoKeyYet {
        /// How long it is until commands that print keys are run again, if that is put off.
        renewed: Option<Duration>,
    },
    /// The client brought a credential of its own, which goes to no provider that there is.
    NotTaken,
    /// Every key rests.
    Spent {
        /// When the first is ready.
        until: Time,
        /// When this was said.
        now: Time,
    },
    /// No key is accepted by its provider.
    Barred {
        /// How long it is until the commands that print keys are run again, if they will be.
        renewed: Option<Duration>,
    },
    /// Every provider has too much to do.
    Overloaded,
    /// No provider could be reached, or it failed.
    Broken,
    /// A provider took longer than its deadline.
    Late,
    /// The stream broke off after its head was sent. Only ever seen inside a stream.
    Lost,
}

/// Why a credential is not accepted. The words are those of the old program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Denied {
    /// None was sent.
    Missing,
    /// `x-api-key` is not one of ours.
    ApiKey,
    /// `authorization` is not of the scheme `Bearer`.
    Scheme,
    /// The bearer is empty.
    EmptyBearer,
    /// The bearer is not one of ours.
    Bearer,
    /// `x-cc-relay-key` is not one of ours.
    RelayKey,
}

impl Denied {
    const fn message(self) -> &'static str {
        match self {
            Self::Missing => "missing x-api-key header",
            Self::ApiKey => "invalid x-api-key",
            Self::Scheme => "invalid authorization scheme",
            Self::EmptyBearer => "empty bearer token",
            Self::Bearer => "invalid bearer token",
            Self::RelayKey => "invalid x-cc-relay-key",
        }
    }

    /// Was a credential tried? Only then is there a guess to slow down.
    pub(crate) const fn is_guess(self) -> bool {
        matches!(self, Self::ApiKey | Self::Bearer | Self::RelayKey)
    }
}

const LOOPED: &str = "the request came back to this relay: the `base_url` of one of its providers, or of a relay behind it, \
                      leads here; write the URL of the provider itself";

const BARRED: &str =
    "no key of the relay can be used: their providers refuse them, or no money is left behind them";

/// What the client sees of a no.
struct Face {
    status: u16,
    kind: ErrorKind,
    message: String,
    /// Whole seconds, rounded up: a retry then is served if nobody else came.
    retry_after: Option<u64>,
    /// Retrying cannot help until an operator has acted.
    hopeless: bool,
}

impl Face {
    fn new(status: u16, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), retry_after: None, hopeless: false }
    }

    /// Something that only an operator can mend.
    fn hopeless(message: &str) -> Self {
        Self { hopeless: true, ..Self::new(503, ErrorKind::Api, message) }
    }
}

impl Reject {
    /// The no that follows from nobody serving a call, unless a provider's own words are at hand. `renewed` is how long
    /// it is until keys that are not accepted are made anew, if they will be.
    pub(crate) fn exhausted(why: Exhausted, now: Time, renewed: Option<Duration>) -> Self {
        match why {
            Exhausted::Nobody => Self::Nobody,
            Exhausted::Spent { until } => Self::Spent { until, now },
            Exhausted::Barred => Self::Barred { renewed },
            Exhausted::Overloaded => Self::Overloaded,
            Exhausted::Words | Exhausted::Broken => Self::Broken,
            Exhausted::Late => Self::Late,
        }
    }

    /// The table.
    fn face(&self) -> Face {
        match self {
            Self::Denied(denied) => Face::new(401, ErrorKind::Authentication, denied.message()),
            Self::Foreign => Face::new(
                403,
                ErrorKind::Permission,
                "web pages from elsewhere are not served without a key of the relay (`auth.clients`)",
            ),
            Self::NoSuchPath => Face::new(404, ErrorKind::NotFound, "there is no such path"),
            Self::WrongMethod { allow } => {
                Face::new(405, ErrorKind::InvalidRequest, format!("this path takes {allow}"))
            }
            Self::NoSuchKey => Face::new(
                404,
                ErrorKind::NotFound,
                "the relay has no such key; `/v1/providers` shows those that it has",
            ),
            Self::Limit(fault) => Face::new(400, ErrorKind::InvalidRequest, format!("limit: {fault}")),
            Self::NoSuchModel => Face::new(404, ErrorKind::NotFound, "there is no such model"),
            Self::NotOffered(what) => {
                Face::new(404, ErrorKind::NotFound, format!("no provider of this relay offers {what}"))
            }
            Self::TooLarge(limit) => Face::new(
                413,
                ErrorKind::RequestTooLarge,
                format!("the body exceeds the maximum allowed size of {limit} bytes"),
            ),
            Self::Unreadable => Face::new(400, ErrorKind::InvalidRequest, "the body could not be read"),
            Self::Slow => Face::new(408, ErrorKind::Timeout, "the rest of the body did not come in time"),
            Self::Faulty(fault) => faulty(*fault),
            Self::Looped => Face { status: 508, ..Face::hopeless(LOOPED) },
            Self::Busy => Face {
                retry_after: Some(1),
                ..Face::new(503, ErrorKind::Overloaded, "the relay is at maximum capacity")
            },
            Self::Nobody => {
                Face::new(404, ErrorKind::NotFound, "no provider of this relay serves this model")
            }
            Self::KeyRefused => Face::new(
                503,
                ErrorKind::Api,
                "a key of the relay was not accepted, and what was uploaded is gone; another try goes to another key",
            ),
            Self::NoCredential => Face::new(
                401,
                ErrorKind::Authentication,
                "no key is configured for this provider and the request brought none",
            ),
            Self::NoKeyYet { renewed } => keyless("no key of the relay is there at the moment", *renewed),
            Self::NotTaken => Face::new(
                401,
                ErrorKind::Authentication,
                "no provider of this relay takes the credential that the request brought",
            ),
            Self::Spent { until, now } => spent(*until, *now),
            Self::Barred { renewed } => keyless(BARRED, *renewed),
            Self::Overloaded => Face::new(529, ErrorKind::Overloaded, "every provider is overloaded"),
            Self::Broken => Face::new(502, ErrorKind::Api, "upstream connection failed"),
            Self::Late => Face::new(504, ErrorKind::Timeout, "upstream took too long to answer"),
            Self::Lost => Face::new(502, ErrorKind::Api, "upstream connection was lost"),
        }
    }

    /// The status the client sees.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.face().status).unwrap_or(StatusCode::BAD_GATEWAY)
    }

    /// The whole answer.
    pub(crate) fn response(&self, request_id: &str) -> Response<Bytes> {
        let face = self.face();
        let body = refusal::write(face.kind, &face.message, Some(request_id));
        let mut response = Response::new(body);
        response.status = self.status();
        let headers = &mut response.headers;
        headers.add("content-type", Value::fixed("application/json"));
        if let Ok(id) = Value::new(request_id.as_bytes()) {
            headers.add(REQUEST_ID, id);
        }
        if let Some(seconds) = face.retry_after {
            headers.add("retry-after", seconds);
        }
        if face.hopeless {
            headers.add(X_SHOULD_RETRY, Value::fixed("false"));
        }
        if let Self::WrongMethod { allow } = self {
            headers.add("allow", Value::fixed(allow));
        }
        response
    }

    /// The same as the last event of a stream whose head is already out.
    pub(crate) fn event(&self, request_id: &str) -> Bytes {
        let face = self.face();
        refusal::event(face.kind, &face.message, Some(request_id))
    }
}

fn faulty(fault: Fault) -> Face {
    let kind = match fault {
        Fault::Late => ErrorKind::Timeout,
        _ => ErrorKind::InvalidRequest,
    };
    Face::new(fault.status().as_u16(), kind, fault.to_string())
}

/// No key can be used, and it may be known when another can.
fn keyless(what: &str, renewed: Option<Duration>) -> Face {
    match renewed {
        None => Face::hopeless(&format!("{what}; see its log")),
        Some(wait) => {
            let face = Face::new(503, ErrorKind::Api, format!("{what}; it gets a new one"));
            Face { retry_after: Some(seconds_up(wait)), ..face }
        }
    }
}

fn spent(until: Time, now: Time) -> Face {
    let seconds = seconds_up(until.since(now));
    let message = format!("all keys at capacity, retry in {seconds} s, at {}", clock(until));
    Face { retry_after: Some(seconds), ..Face::new(429, ErrorKind::RateLimit, message) }
}

/// RFC 3339 in UTC, rounded up to the second.
fn clock(time: Time) -> String {
    let up = time + Duration::from_nanos(999_999_999);
    let seconds = i64::try_from(up.since_epoch().as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_rejects() {
        let at = |millis| Time::from_epoch(Duration::from_millis(millis));
        let spent = Reject::Spent { until: at(90_500), now: at(30_000) };
        let table = [
            (Reject::Denied(Denied::ApiKey), 401, "authentication_error", None),
            (Reject::NoSuchPath, 404, "not_found_error", None),
            (Reject::WrongMethod { allow: "POST" }, 405, "invalid_request_error", None),
            (Reject::NotOffered("files"), 404, "not_found_error", None),
            (Reject::TooLarge(5), 413, "request_too_large", None),
            (Reject::Unreadable, 400, "invalid_request_error", None),
            (Reject::Slow, 408, "timeout_error", None),
            (Reject::Faulty(Fault::Large), 431, "invalid_request_error", None),
            (Reject::Faulty(Fault::Late), 408, "timeout_error", None),
            (Reject::Busy, 503, "overloaded_error", Some("1")),
            (Reject::Nobody, 404, "not_found_error", None),
            (Reject::Foreign, 403, "permission_error", None),
            (Reject::NoCredential, 401, "authentication_error", None),
            (Reject::NoKeyYet { renewed: None }, 503, "api_error", None),
            (Reject::NoKeyYet { renewed: Some(Duration::from_millis(2_001)) }, 503, "api_error", Some("3")),
            (Reject::NotTaken, 401, "authentication_error", None),
            (spent, 429, "rate_limit_error", Some("61")),
            (Reject::Barred { renewed: None }, 503, "api_error", None),
            (Reject::Barred { renewed: Some(Duration::from_millis(2_001)) }, 503, "api_error", Some("3")),
            (Reject::Overloaded, 529, "overloaded_error", None),
            (Reject::Broken, 502, "api_error", None),
            (Reject::Late, 504, "timeout_error", None),
        ];
        for (reject, status, kind, retry_after) in table {
            let response = reject.response("req_1");
            assert_eq!(response.status.as_u16(), status, "{reject:?}");
            let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!(body["type"], "error");
            assert_eq!(body["error"]["type"], kind, "{reject:?}");
            assert_eq!(body["request_id"], "req_1");
            assert_eq!(response.headers.text(REQUEST_ID), Some("req_1"));
            assert_eq!(response.headers.text("retry-after"), retry_after, "{reject:?}");
            let event = reject.event("req_1");
            assert!(event.starts_with(b"event: error\ndata: {") && event.ends_with(b"}\n\n"), "{event:?}");
        }
    }

    #[test]
    fn a_key_that_is_dead_upstream_never_looks_like_the_clients() {
        let response = Reject::Barred { renewed: None }.response("r");
        assert_eq!(response.status, 503);
        assert_eq!(response.headers.text(X_SHOULD_RETRY), Some("false"));
    }

    #[test]
    fn a_429_names_the_moment() {
        let at = |millis| Time::from_epoch(Duration::from_millis(millis));
        let said = Reject::Spent { until: at(90_001), now: at(30_000) }.response("r");
        assert!(String::from_utf8_lossy(&said.body).contains("1970-01-01T00:01:31Z"), "{said:?}");
    }
}
