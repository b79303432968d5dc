//! What the machine is to a cloud becomes a secret: its variables, profiles and roles, as the cloud's own library finds
//! them. It asks, and knows when to ask again; which key is used is not its business.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_providers::{Identity, Secret};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::keyring::{Absent, COMMAND_DEADLINE, Place};

/// A token is asked for again so long before it runs out: every library of these clouds renews theirs by then.
const EARLY: Duration = Duration::from_mins(5);

/// How often is looked for another one where nobody says when it runs out. The libraries know, and ask only then.
const UNTOLD: Duration = Duration::from_mins(4);

/// What the machine is to the clouds that are asked so.
#[derive(Debug)]
pub(crate) struct Identities {
    #[cfg(feature = "aws")]
    aws: tokio::sync::OnceCell<aws_credential_types::provider::SharedCredentialsProvider>,
    #[cfg(feature = "google")]
    google: tokio::sync::OnceCell<google_cloud_auth::credentials::AccessTokenCredentials>,
    #[cfg(feature = "azure")]
    azure: azure::Chain,
    /// When each is to be asked for again.
    due: watch::Sender<BTreeMap<Place, Instant>>,
}

/// A secret, and for how long it serves, if that is told.
struct Token {
    secret: Secret,
    lasts: Option<Duration>,
}

impl Identities {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(feature = "aws")]
            aws: tokio::sync::OnceCell::new(),
            #[cfg(feature = "google")]
            google: tokio::sync::OnceCell::new(),
            #[cfg(feature = "azure")]
            azure: azure::Chain::default(),
            due: watch::Sender::default(),
        }
    }

    /// The secret that stands for it now.
    pub(crate) async fn secret(&self, place: Place, identity: Identity) -> Result<Secret, Absent> {
        let name = name(identity);
        let asked = tokio::time::timeout(COMMAND_DEADLINE, self.ask(identity)).await;
        let told = asked.unwrap_or_else(|_| Err("it took too long".to_owned()));
        let Token { secret, lasts } = told.map_err(|why| Absent::Identity(name, why))?;
        let again = Instant::now() + lasts.map_or(UNTOLD, |lasts| lasts.saturating_sub(EARLY));
        self.due.send_modify(|due| {
            due.insert(place, again);
        });
        Ok(secret)
    }

    /// When one of them is to be asked for again.
    pub(crate) async fn run_out(&self) {
        let mut due = self.due.subscribe();
        loop {
            let first = due.borrow_and_update().values().min().copied();
            let over = async {
                match first {
                    Some(first) => tokio::time::sleep_until(first).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                // The sender is here.
                _ = due.changed() => {}
            }
        }
    }

    async fn ask(&self, identity: Identity) -> Result<Token, String> {
        match identity {
            #[cfg(feature = "aws")]
            Identity::Aws => self.aws().await,
            #[cfg(feature = "google")]
            Identity::Google => self.google().await,
            #[cfg(feature = "azure")]
            Identity::Azure => self.azure.token().await,
            #[expect(unreachable_patterns, reason = "a build may be without some of them")]
            _ => Err("this program was built without it; write `keys`".to_owned()),
        }
    }

    /// `ID:SECRET`, or `ID:SECRET:TOKEN`.
    #[cfg(feature = "aws")]
    async fn aws(&self) -> Result<Token, String> {
        use aws_credential_types::provider::ProvideCredentials as _;

        let load = async || {
            let loaded = aws_config::defaults(aws_config::BehaviorVersion::latest()).load().await;
            loaded.credentials_provider().ok_or_else(|| "none is configured".to_owned())
        };
        let provider = self.aws.get_or_try_init(load).await?;
        let found = provider.provide_credentials().await.map_err(|why| relay_telemetry::chain(&why))?;
        let mut text =
            zeroize::Zeroizing::new(format!("{}:{}", found.access_key_id(), found.secret_access_key()));
        if let Some(token) = found.session_token() {
            text.push(':');
            text.push_str(token);
        }
        let lasts =
            found.expiry().map(|at| at.elapsed().map_or_else(|ahead| ahead.duration(), |_| Duration::ZERO));
        // What is never told to run out does not, but may be another one by tomorrow.
        Ok(Token { secret: Secret::new(text.as_str()), lasts: lasts.or(Some(Duration::from_hours(1))) })
    }

    #[cfg(feature = "google")]
    async fn google(&self) -> Result<Token, String> {
        const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
        let build = async || {
            let builder = google_cloud_auth::credentials::Builder::default().with_scopes([SCOPE]);
            builder.build_access_token_credentials().map_err(|why| relay_telemetry::chain(&why))
        };
        let credentials = self.google.get_or_try_init(build).await?;
        let found = credentials.access_token().await.map_err(|why| relay_telemetry::chain(&why))?;
        Ok(Token { secret: Secret::new(found.token.as_str()), lasts: None })
    }
}

const fn name(identity: Identity) -> &'static str {
    match identity {
        Identity::Aws => "AWS",
        Identity::Azure => "Azure",
        Identity::Google => "Google",
    }
}

#[cfg(feature = "azure")]
mod azure {
    use std::sync::Arc;
    use std::time::SystemTime;

    use azure_core::credentials::TokenCredential;
    use azure_identity::{AzureCliCredential, ManagedIdentityCredential, WorkloadIdentityCredential};
    use relay_providers::Secret;
    use tokio::sync::Mutex;

    use super::Token;

    /// What a token is for.
    const SCOPE: &str = "https://ai.azure.com/.default";

    /// The one that has answered.
    #[derive(Debug, Default)]
    pub(super) struct Chain(Mutex<Option<Arc<dyn TokenCredential>>>);

    impl Chain {
        /// Of a workload, of whoever is logged in at the command line, and of the machine: the first that has one.
        pub(super) async fn token(&self) -> Result<Token, String> {
            let mut known = self.0.lock().await;
            if let Some(known) = &*known {
                return token(known).await;
            }
            let mut why = Vec::new();
            for made in all() {
                let asked = match made {
                    Ok(credential) => token(&credential).await.map(|token| (credential, token)),
                    Err(error) => Err(error),
                };
                match asked {
                    Ok((credential, token)) => {
                        *known = Some(credential);
                        return Ok(token);
                    }
                    Err(error) => why.push(error),
                }
            }
            Err(why.join("; "))
        }
    }

    fn all() -> impl Iterator<Item = Result<Arc<dyn TokenCredential>, String>> {
        let workload = || WorkloadIdentityCredential::new(None).map(|it| it as Arc<dyn TokenCredential>);
        let shell = || AzureCliCredential::new(None).map(|it| it as Arc<dyn TokenCredential>);
        let machine = || ManagedIdentityCredential::new(None).map(|it| it as Arc<dyn TokenCredential>);
        let makers: [&dyn Fn() -> azure_core::Result<Arc<dyn TokenCredential>>; 3] =
            [&workload, &shell, &machine];
        makers.map(|make| make().map_err(|error| error.to_string())).into_iter()
    }

    async fn token(credential: &Arc<dyn TokenCredential>) -> Result<Token, String> {
        let found = credential.get_token(&[SCOPE], None).await.map_err(|error| error.to_string())?;
        let ends: SystemTime = found.expires_on.into();
        let lasts = ends.elapsed().map_or_else(|ahead| ahead.duration(), |_| std::time::Duration::ZERO);
        Ok(Token { secret: Secret::new(found.token.secret()), lasts: Some(lasts) })
    }
}
