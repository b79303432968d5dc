//! Why limits could not be read, and what can be done about it. Never a body, never a secret.

use http::StatusCode;
use relay_transport::SendError;
use relay_wire::rate_limits::NoPage;

use crate::keyring::Absent;

/// Why limits could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Its file does not give it.
    #[error("the admin key is not there")]
    NoKey(#[source] Absent),
    /// The address, the path or the key do not make a request.
    #[error("the provider cannot be asked")]
    Unaskable,
    /// There was no answer.
    #[error("the provider did not answer")]
    Unsent(#[source] SendError),
    /// It is not the list.
    #[error("the provider answered {0}")]
    Status(StatusCode),
    /// The answer broke off, or is too long.
    #[error("the answer could not be read to its end")]
    Unread(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is something else.
    #[error("the answer is no list of limits")]
    NoPage(#[source] NoPage),
    /// It took too long.
    #[error("the provider took too long")]
    Late,
    /// There were too many pages.
    #[error("the list has no end")]
    Endless,
    /// The Admin API key is of another organization than the key beside it.
    #[error("the admin key is of the organization `{answered}`, and the key of `{own}`")]
    Stranger {
        /// As the answer to the Admin API key says.
        answered: String,
        /// As answers to the key itself say.
        own: String,
    },
}

impl Failure {
    /// What can be done about it.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoKey(_) => "put the admin key into the first line of `limits_admin_key_file`",
            Self::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                "`limits_admin_key` takes an Admin API key (sk-ant-admin…) of the organization; keys for messages do not do"
            }
            Self::Status(StatusCode::NOT_FOUND) => {
                "there is no Rate Limits API at the provider's `base_url`: remove `limits_admin_key`"
            }
            Self::Stranger { .. } => {
                "write the admin key beside a key of its own organization; nothing was taken over"
            }
            Self::Unaskable
            | Self::Unsent(_)
            | Self::Status(_)
            | Self::Unread(_)
            | Self::NoPage(_)
            | Self::Late
            | Self::Endless => "it is asked again by itself; until then limits are learned from answers",
        }
    }
}
