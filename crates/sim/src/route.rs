//! Which paths there are. It knows methods and paths, and how large a body each takes.

use http::Method;

const MIB: u64 = 1024 * 1024;

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route<'a> {
    Hello,
    Messages,
    CountTokens,
    Models,
    Model(&'a str),
    CreateBatch,
    Batches,
    Batch(&'a str),
    CancelBatch(&'a str),
    BatchResults(&'a str),
    Upload,
    Files,
    File(&'a str),
    FileContent(&'a str),
    DeleteFile(&'a str),
    /// For administrators.
    RateLimits,
    WorkspaceRateLimits(&'a str),
}

impl<'a> Route<'a> {
    /// The route of a method and path, if there is one.
    pub(crate) fn find(method: &Method, path: &'a str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let parts = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
        let (get, post) = (method == Method::GET, method == Method::POST);
        Some(match parts {
            [Some("api"), Some("hello"), None, ..] if get || method == Method::HEAD => Self::Hello,
            [Some("v1"), Some("messages"), None, ..] if post => Self::Messages,
            [Some("v1"), Some("messages"), Some("count_tokens"), None, ..] if post => Self::CountTokens,
            [Some("v1"), Some("messages"), Some("batches"), rest @ ..] => Self::batch(method, rest)?,
            [Some("v1"), Some("models"), None, ..] if get => Self::Models,
            [Some("v1"), Some("models"), Some(id), None, ..] if get && !id.is_empty() => Self::Model(id),
            [Some("v1"), Some("files"), None, ..] if get => Self::Files,
            [Some("v1"), Some("files"), None, ..] if post => Self::Upload,
            [Some("v1"), Some("files"), Some(id), None, ..] if get => Self::File(id),
            [Some("v1"), Some("files"), Some(id), None, ..] if method == Method::DELETE => {
                Self::DeleteFile(id)
            }
            [Some("v1"), Some("files"), Some(id), Some("content"), None, _] if get => Self::FileContent(id),
            [Some("v1"), Some("organizations"), rest @ ..] if get => Self::organization(rest)?,
            _ => return None,
        })
    }

    fn organization(rest: [Option<&'a str>; 4]) -> Option<Self> {
        match rest {
            [Some("rate_limits"), None, ..] => Some(Self::RateLimits),
            [Some("workspaces"), Some(id), Some("rate_limits"), None] => Some(Self::WorkspaceRateLimits(id)),
            _ => None,
        }
    }

    fn batch(method: &Method, rest: [Option<&'a str>; 3]) -> Option<Self> {
        let (get, post) = (method == Method::GET, method == Method::POST);
        match rest {
            [None, ..] if post => Some(Self::CreateBatch),
            [None, ..] if get => Some(Self::Batches),
            [Some(id), None, _] if get => Some(Self::Batch(id)),
            [Some(id), Some("cancel"), None] if post => Some(Self::CancelBatch(id)),
            [Some(id), Some("results"), None] if get => Some(Self::BatchResults(id)),
            _ => None,
        }
    }

    /// The largest body it takes, in bytes: 32 MB, 256 MB for a batch, 500 MB for a file
    /// (<https://platform.claude.com/docs/en/api/overview>).
    pub(crate) fn body_limit(self) -> u64 {
        match self {
            Self::CreateBatch => 256 * MIB,
            Self::Upload => 500 * MIB,
            _ => 32 * MIB,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::Route;

    #[test]
    fn every_path_has_its_route_and_no_other() {
        let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
        let cases = [
            (&Method::HEAD, "/api/hello", Some(Route::Hello)),
            (&post, "/v1/messages", Some(Route::Messages)),
            (&post, "/v1/messages/count_tokens", Some(Route::CountTokens)),
            (&get, "/v1/models", Some(Route::Models)),
            (&get, "/v1/models/claude-opus-5", Some(Route::Model("claude-opus-5"))),
            (&post, "/v1/messages/batches", Some(Route::CreateBatch)),
            (&get, "/v1/messages/batches", Some(Route::Batches)),
            (&get, "/v1/messages/batches/b", Some(Route::Batch("b"))),
            (&post, "/v1/messages/batches/b/cancel", Some(Route::CancelBatch("b"))),
            (&get, "/v1/messages/batches/b/results", Some(Route::BatchResults("b"))),
            (&post, "/v1/files", Some(Route::Upload)),
            (&get, "/v1/files", Some(Route::Files)),
            (&get, "/v1/files/f", Some(Route::File("f"))),
            (&delete, "/v1/files/f", Some(Route::DeleteFile("f"))),
            (&get, "/v1/files/f/content", Some(Route::FileContent("f"))),
            (&get, "/v1/organizations/rate_limits", Some(Route::RateLimits)),
            (&get, "/v1/organizations/workspaces/w/rate_limits", Some(Route::WorkspaceRateLimits("w"))),
            (&get, "/v1/organizations", None),
            (&get, "/v1/organizations/rate_limits/w", None),
            (&post, "/v1/organizations/rate_limits", None),
            (&get, "/v1/messages", None),
            (&post, "/v1/messages/", None),
            (&post, "/v1/messages/other", None),
            (&get, "/v1/files/f/content/more", None),
            (&get, "/v1/messages/batches/b/results/more", None),
            (&delete, "/v1/files", None),
            (&get, "/v1/models/", None),
            (&get, "/", None),
            (&get, "*", None),
            (&post, "/v2/messages", None),
        ];
        for (method, path, expected) in cases {
            assert_eq!(Route::find(method, path), expected, "{method} {path}");
        }
    }
}
