//! TLS towards upstreams: whom to trust, and the handshake.
//!
//! Knows roots, ALPN and certificate errors. There is no way here to trust everybody.

use std::{io, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::{
    dial::Io,
    error::{Kind, Phase, SendError},
    timings::{Protocol, TlsVersion},
};

/// Whose signature under a certificate is believed.
#[derive(Clone, Debug)]
pub enum Roots {
    /// What this machine trusts, company authorities included.
    Platform,
    /// Mozilla's list, compiled in: for containers without certificates.
    Bundled,
    /// These certificates alone, in PEM.
    Pem(Vec<u8>),
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The PEM text holds no certificate, or a broken one.
    #[error("no usable certificate in the PEM text")]
    Pem,
    /// The machine's own certificates cannot be used.
    #[error("the certificates of this machine cannot be used")]
    Platform(#[source] rustls::Error),
    /// The cryptography does not offer what TLS needs.
    #[error("TLS cannot be set up")]
    Provider(#[source] rustls::Error),
}

/// What a handshake agreed on.
pub(crate) struct Secured {
    pub(crate) io: Box<dyn Io>,
    pub(crate) took: Duration,
    pub(crate) version: TlsVersion,
    pub(crate) resumed: bool,
    pub(crate) protocol: Protocol,
}

/// TLS 1.2 and 1.3 with the aws-lc provider, trusting `roots`. The provider is named here rather
/// than installed for the process, so that this works whatever else the process does.
pub fn client(roots: Roots) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?;
    let builder = match roots {
        Roots::Platform => builder.with_platform_verifier().map_err(TlsError::Platform)?,
        Roots::Bundled => {
            let store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            builder.with_root_certificates(store)
        }
        Roots::Pem(pem) => builder.with_root_certificates(read_pem(&pem)?),
    };
    Ok(Arc::new(builder.with_no_client_auth()))
}

fn read_pem(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| TlsError::Pem)?;
        store.add(certificate).map_err(|_| TlsError::Pem)?;
    }
    if store.is_empty() { Err(TlsError::Pem) } else { Ok(store) }
}

/// The same trust, offering these protocols (ALPN).
pub(crate) fn offering(config: &ClientConfig, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Shakes hands with `host` over `io`.
pub(crate) async fn secure(
    config: Arc<ClientConfig>,
    host: &str,
    io: Box<dyn Io>,
) -> Result<Secured, SendError> {
    let start = Instant::now();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| SendError::unsent(Phase::Tls, Kind::Name, Some(error.into())))?;
    let stream = TlsConnector::from(config).connect(name, io).await.map_err(failed)?;
    let (_, session) = stream.get_ref();
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => TlsVersion::V12,
        _ => TlsVersion::V13,
    };
    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    let protocol = if session.alpn_protocol() == Some(b"h2") { Protocol::Http2 } else { Protocol::Http1 };
    Ok(Secured { io: Box::new(stream), took: start.elapsed(), version, resumed, protocol })
}

fn failed(error: io::Error) -> SendError {
    let kind = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Kind::Certificate
        }
        Some(_) => Kind::Protocol,
        None => Kind::of_io(&error),
    };
    SendError::unsent(Phase::Tls, kind, Some(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_read_and_nonsense_is_told() {
        let issued = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        assert!(client(Roots::Pem(issued.cert.pem().into_bytes())).is_ok());
        assert!(client(Roots::Bundled).is_ok());
        for nonsense in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(client(Roots::Pem(nonsense.into())), Err(TlsError::Pem)), "{nonsense}");
        }
    }
}
