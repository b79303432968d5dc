//! How providers are reached: trust and forward proxies as the machine and its environment have them.

use std::sync::Arc;

use relay_proxy::Tasks;
use relay_transport::tls::{self, Roots, TlsError};
use relay_transport::{ProxyError, ProxyRules, ProxyVariables, Settings, Spawner, Tcp, Transport};
use rustls::ClientConfig;

use crate::app::LOG;
use crate::environment::Environment;
use crate::report::Explained;

/// Providers cannot be reached at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreachable {
    /// A forward proxy of the environment cannot be used.
    #[error("cannot use the forward proxy of the environment")]
    Proxy(#[source] ProxyError),
    /// TLS cannot be set up.
    #[error("cannot ask providers over TLS")]
    Tls(#[source] TlsError),
}

impl Explained for Unreachable {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Proxy(_) => Some("correct it, or take it out of the environment".to_owned()),
            Self::Tls(_) => None,
        }
    }
}

/// The connections to all providers.
pub(crate) fn transport(environment: &Environment) -> Result<Transport, Unreachable> {
    // Idle connections and shared ones live on beyond a request: a drain need not wait for them.
    let tasks = Tasks::default();
    let spawner = Spawner::new(move |name, task| tasks.spawn(name, task));
    let mut settings = Settings::new(spawner, trust()?);
    settings.proxy = rules(environment).map_err(Unreachable::Proxy)?;
    Ok(Transport::new(settings, Arc::new(Tcp)))
}

/// What this machine trusts; in a container that has no certificates, what Mozilla does.
fn trust() -> Result<Arc<ClientConfig>, Unreachable> {
    tls::client(Roots::Platform).or_else(|error| {
        tracing::warn!(target: LOG, %error, "using the certificates that are compiled in");
        tls::client(Roots::Bundled).map_err(Unreachable::Tls)
    })
}

/// The forward proxies that the environment names, in capitals or not.
fn rules(environment: &Environment) -> Result<Option<ProxyRules>, ProxyError> {
    let https = environment.first(&["HTTPS_PROXY", "https_proxy"]);
    let http = environment.first(&["HTTP_PROXY", "http_proxy"]);
    let all = environment.first(&["ALL_PROXY", "all_proxy"]);
    let none = environment.first(&["NO_PROXY", "no_proxy"]);
    ProxyRules::read(ProxyVariables {
        https: https.as_deref(),
        http: http.as_deref(),
        all: all.as_deref(),
        none: none.as_deref(),
    })
}
