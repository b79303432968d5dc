//! What the relay answers: its paths and their methods. Everything else is a no in the Anthropic envelope.

use http::Method;

use crate::reject::Reject;

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Surface<'a> {
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/messages/count_tokens`.
    CountTokens,
    /// `/v1/messages/batches…`, with the id of a batch if there is one.
    Batches(Option<&'a str>),
    /// `/v1/files…`, with the id of a file if there is one.
    Files(Option<&'a str>),
    /// `GET /v1/models`.
    Models,
    /// `GET /v1/models/{id}`.
    Model(&'a str),
    /// `GET /v1/providers`.
    Providers,
    /// `POST /v1/providers/{name}/reset`, or `…/{name}/keys/{key_id}/reset`: what is held against keys is forgotten.
    Reset {
        /// As the path says it.
        provider: &'a str,
        /// None for all of them.
        key: Option<&'a str>,
    },
    /// `GET /health`: the process lives.
    Health,
    /// `GET /ready`: and takes requests.
    Ready,
    /// `HEAD /api/hello`: Claude Code warms its connection up.
    Hello,
}

const POST: &[Method] = &[Method::POST];
const READ: &[Method] = &[Method::GET, Method::HEAD];
const KEPT: &[Method] = &[Method::GET, Method::HEAD, Method::POST, Method::DELETE];

impl<'a> Surface<'a> {
    /// What that method on that path is for. The query plays no part.
    pub(crate) fn of(method: &Method, path: &'a str) -> Result<Self, Reject> {
        let found = Self::find(path).filter(|_| !climbs(path));
        let (surface, methods, allow) = found.ok_or(Reject::NoSuchPath)?;
        if methods.contains(method) { Ok(surface) } else { Err(Reject::WrongMethod { allow }) }
    }

    fn find(path: &'a str) -> Option<(Self, &'static [Method], &'static str)> {
        let read = |surface| Some((surface, READ, "GET, HEAD"));
        let kept = |surface| Some((surface, KEPT, "GET, HEAD, POST, DELETE"));
        match path {
            "/v1/messages" => Some((Self::Messages, POST, "POST")),
            "/v1/messages/count_tokens" => Some((Self::CountTokens, POST, "POST")),
            "/v1/messages/batches" => kept(Self::Batches(None)),
            "/v1/files" => kept(Self::Files(None)),
            "/v1/models" => read(Self::Models),
            "/v1/providers" => read(Self::Providers),
            "/health" => read(Self::Health),
            "/ready" => read(Self::Ready),
            "/api/hello" => read(Self::Hello),
            _ => {
                let below = |prefix: &str| path.strip_prefix(prefix).filter(|rest| !rest.is_empty());
                let first = |rest: &'a str| rest.split('/').next().filter(|id| !id.is_empty());
                if let Some(id) = below("/v1/messages/batches/").and_then(first) {
                    kept(Self::Batches(Some(id)))
                } else if let Some(id) = below("/v1/files/").and_then(first) {
                    kept(Self::Files(Some(id)))
                } else if let Some(reset) = below("/v1/providers/").and_then(reset) {
                    Some((reset, POST, "POST"))
                } else {
                    below("/v1/models/").and_then(|id| read(Self::Model(id)))
                }
            }
        }
    }

    /// May anyone ask, so that an orchestrator needs no key?
    pub(crate) const fn is_public(self) -> bool {
        matches!(self, Self::Health | Self::Ready | Self::Hello)
    }

    /// Does the relay answer it by itself, to those whom it knows?
    pub(crate) const fn is_listing(self) -> bool {
        matches!(self, Self::Models | Self::Model(_) | Self::Providers | Self::Reset { .. })
    }
}

/// Whose keys are meant, behind `/v1/providers/`.
fn reset(rest: &str) -> Option<Surface<'_>> {
    let segments = rest.strip_suffix("/reset")?;
    let mut segments = segments.split('/');
    let provider = segments.next().filter(|name| !name.is_empty())?;
    match (segments.next(), segments.next(), segments.next()) {
        (None, ..) => Some(Surface::Reset { provider, key: None }),
        (Some("keys"), Some(key), None) if !key.is_empty() => {
            Some(Surface::Reset { provider, key: Some(key) })
        }
        _ => None,
    }
}

/// Could a server read the path as one that leads elsewhere? What follows `/v1/files/` goes upstream with a key of
/// the pool, and must not reach anything else there. No id has a dot segment, a backslash or an escape in it.
fn climbs(path: &str) -> bool {
    let strange = |byte: u8| matches!(byte, b'\\' | b'%' | b';');
    let passed_on = path.starts_with("/v1/files/") || path.starts_with("/v1/messages/");
    let dots = |segment: &str| segment == "." || segment == ".." || segment.is_empty();
    passed_on && (path.bytes().any(strange) || path.split('/').skip(1).any(dots))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// W63 of the old program: `count_tokens`, batches and files were 404, and a 404 was no Anthropic error.
    #[test]
    fn w63_every_path_has_its_meaning() {
        let table = [
            (Method::POST, "/v1/messages", Ok(Surface::Messages)),
            (Method::GET, "/v1/messages", Err(Reject::WrongMethod { allow: "POST" })),
            (Method::POST, "/v1/messages/count_tokens", Ok(Surface::CountTokens)),
            (Method::POST, "/v1/messages/batches", Ok(Surface::Batches(None))),
            (
                Method::GET,
                "/v1/messages/batches/msgbatch_1/results",
                Ok(Surface::Batches(Some("msgbatch_1"))),
            ),
            (Method::DELETE, "/v1/files/file_1", Ok(Surface::Files(Some("file_1")))),
            (Method::PUT, "/v1/files", Err(Reject::WrongMethod { allow: "GET, HEAD, POST, DELETE" })),
            (Method::GET, "/v1/models", Ok(Surface::Models)),
            (Method::GET, "/v1/models/claude-opus-5", Ok(Surface::Model("claude-opus-5"))),
            (Method::GET, "/v1/models/anthropic/claude", Ok(Surface::Model("anthropic/claude"))),
            (Method::POST, "/v1/models", Err(Reject::WrongMethod { allow: "GET, HEAD" })),
            (Method::GET, "/v1/providers", Ok(Surface::Providers)),
            (Method::POST, "/v1/providers/a/reset", Ok(Surface::Reset { provider: "a", key: None })),
            (
                Method::POST,
                "/v1/providers/a/keys/1f/reset",
                Ok(Surface::Reset { provider: "a", key: Some("1f") }),
            ),
            (Method::GET, "/v1/providers/a/reset", Err(Reject::WrongMethod { allow: "POST" })),
            (Method::POST, "/v1/providers/a", Err(Reject::NoSuchPath)),
            (Method::POST, "/v1/providers//reset", Err(Reject::NoSuchPath)),
            (Method::POST, "/v1/providers/a/keys/reset", Err(Reject::NoSuchPath)),
            (Method::GET, "/health", Ok(Surface::Health)),
            (Method::GET, "/ready", Ok(Surface::Ready)),
            (Method::HEAD, "/api/hello", Ok(Surface::Hello)),
            (Method::GET, "/", Err(Reject::NoSuchPath)),
            (Method::POST, "/v1/messages/", Err(Reject::NoSuchPath)),
            (Method::POST, "/v1/complete", Err(Reject::NoSuchPath)),
            (Method::GET, "/v1/models/", Err(Reject::NoSuchPath)),
            (Method::GET, "/v1/models/provider/claude%2Fopus", Ok(Surface::Model("provider/claude%2Fopus"))),
            // What could climb out of what is passed on, with a key of the pool.
            (Method::GET, "/v1/files/../organizations/api_keys", Err(Reject::NoSuchPath)),
            (Method::GET, "/v1/files/./x", Err(Reject::NoSuchPath)),
            (Method::GET, "/v1/files/x/..", Err(Reject::NoSuchPath)),
            (Method::GET, "/v1/files/%2e%2e/organizations/users", Err(Reject::NoSuchPath)),
            (Method::GET, "/v1/files/..%2f..%2fevil", Err(Reject::NoSuchPath)),
            (Method::GET, "/v1/files/..;/x", Err(Reject::NoSuchPath)),
            (Method::GET, "/v1/files/\\..\\x", Err(Reject::NoSuchPath)),
            (Method::GET, "/v1/files//x", Err(Reject::NoSuchPath)),
            (Method::GET, "/v1/messages/batches/../../evil", Err(Reject::NoSuchPath)),
            (Method::GET, "/v1/files/file_1..2/content", Ok(Surface::Files(Some("file_1..2")))),
        ];
        for (method, path, expect) in table {
            assert_eq!(Surface::of(&method, path), expect, "{method} {path}");
        }
    }
}
