//! Certificates for the tests: an authority, what it issues, and the files in which a relay finds it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::within;
use crate::stage::Stage;

/// The name that the relay's certificates are for.
const NAME: &str = "relay.test";

/// Someone who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("the system has randomness");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("an authority may sign itself").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for the relay.
    pub(crate) fn issue(&self) -> Issued {
        self.issue_for(ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client.
    pub(crate) fn issue_to_client(&self) -> Issued {
        self.issue_for(ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue_for(&self, purpose: ExtendedKeyUsagePurpose) -> Issued {
        let key = KeyPair::generate().expect("the system has randomness");
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).expect("the name is a name");
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority may sign").pem();
        Issued { certificate, key: key.serialize_pem() }
    }
}

impl Issued {
    /// As it is shown in a handshake.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("what was issued is PEM")
    }
}

/// Where a relay finds its certificate.
pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    /// With this certificate.
    pub(crate) fn with(issued: &Issued) -> Self {
        let files = Self { folder: TempDir::new().expect("there is room for files") };
        files.write(issued);
        files
    }

    /// This one from now on.
    pub(crate) fn write(&self, issued: &Issued) {
        self.write_certificate(&issued.certificate);
        fs::write(self.path("key.pem"), &issued.key).expect("there is room for files");
    }

    /// This certificate from now on, and the key as it was.
    pub(crate) fn write_certificate(&self, pem: &str) {
        fs::write(self.path("certificate.pem"), pem).expect("there is room for files");
    }

    /// The options of `server.tls`.
    pub(crate) fn yaml(&self) -> String {
        let folder = self.folder.path().display();
        format!("tls: {{ certificate: \"{folder}/certificate.pem\", key: \"{folder}/key.pem\" }}")
    }

    /// The same, and clients must show what this authority issued.
    pub(crate) fn yaml_with_client_authority(&self, authority: &Authority) -> String {
        let path = self.path("client-ca.pem");
        fs::write(&path, &authority.pem).expect("there is room for files");
        self.yaml().replace(" }", &format!(", client_ca: \"{}\" }}", path.display()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// How a client shakes hands.
pub(crate) struct Handshake {
    config: ClientConfig,
}

impl Handshake {
    /// It trusts that authority, offers these protocols, and shows this certificate if there is one.
    pub(crate) fn new(authority: &Authority, protocols: &[&str], own: Option<&Issued>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS");
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("an authority is PEM");
        roots.add(root).expect("an authority can be trusted");
        let builder = builder.with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("what was issued is PEM");
                builder.with_client_auth_cert(vec![own.der()], key).expect("the two belong together")
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self { config }
    }

    /// Shakes hands with a relay.
    pub(crate) async fn with(&self, stage: &Stage) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(NAME).expect("the name is a name");
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        within(connector.connect(name, stage.connect().await)).await
    }
}

/// The certificate that the relay showed.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let (_, session) = stream.get_ref();
    session.peer_certificates().expect("the handshake is over")[0].clone().into_owned()
}
