//! The listener's certificate, read from its files and read again when they change.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use relay_config::checked::Tls;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::stamp::Stamp;

/// The certificate in force.
#[derive(Debug)]
pub struct Certificate {
    files: Tls,
    protocols: Vec<Vec<u8>>,
    /// The files as they were before they were first read.
    stamps: Vec<Stamp>,
    config: ArcSwap<ServerConfig>,
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A file cannot be read, or holds no PEM of the kind wanted.
    #[error("`{file}` cannot be read as {what}")]
    File {
        /// The option of `server.tls` that names it.
        option: &'static str,
        /// Its path.
        file: String,
        /// What was looked for in it.
        what: &'static str,
        /// Why not.
        #[source]
        cause: Error,
    },
    /// The parts do not fit together.
    #[error("the certificate, its key and the client authority do not make a TLS configuration: {0}")]
    Config(String),
}

impl Unusable {
    /// The option of `server.tls` that names what is wrong; none if it is not one of them alone.
    pub const fn option(&self) -> Option<&'static str> {
        match self {
            Self::File { option, .. } => Some(option),
            Self::Config(_) => None,
        }
    }
}

impl Certificate {
    /// Everything that is wrong with the files, each looked at by itself; if nothing is, whether they fit together.
    pub fn faults(files: &Tls) -> Vec<Unusable> {
        let chain = certificates("certificate", &files.certificate).map(drop);
        let key = private_key(&files.key).map(drop);
        let client_ca = files.client_ca.iter().map(|path| certificates("client_ca", path).map(drop));
        let faults: Vec<Unusable> =
            [chain, key].into_iter().chain(client_ca).filter_map(Result::err).collect();
        if faults.is_empty() { server_config(files, &[]).err().into_iter().collect() } else { faults }
    }

    /// Reads the files.
    pub fn read(files: &Tls, http2: bool) -> Result<Self, Unusable> {
        let protocols: Vec<Vec<u8>> =
            if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        let stamps = paths(files).map(Stamp::of).collect();
        let config = ArcSwap::from_pointee(server_config(files, &protocols)?);
        Ok(Self { files: files.clone(), protocols, stamps, config })
    }

    /// Reads the files again. Connections that are open keep the certificate that they began with; if the
    /// files are not whole, so does everyone.
    pub fn renew(&self) -> Result<(), Unusable> {
        self.config.store(Arc::new(server_config(&self.files, &self.protocols)?));
        Ok(())
    }

    /// The files it comes from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        paths(&self.files)
    }

    pub(crate) fn stamps(&self) -> &[Stamp] {
        &self.stamps
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }
}

fn paths(files: &Tls) -> impl Iterator<Item = &Path> {
    let Tls { certificate, key, client_ca } = files;
    [certificate, key].into_iter().chain(client_ca).map(std::path::PathBuf::as_path)
}

fn server_config(files: &Tls, protocols: &[Vec<u8>]) -> Result<ServerConfig, Unusable> {
    let failed = |error: &dyn std::fmt::Display| Unusable::Config(error.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = certificates("certificate", &files.certificate)?;
    let key = private_key(&files.key)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| failed(&error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates("client_ca", path)? {
                roots.add(authority).map_err(|error| failed(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| failed(&error))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| failed(&error))?;
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    PrivateKeyDer::from_pem_file(path).map_err(|cause| unreadable("key", path, "a private key", cause))
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let unreadable = |cause| unreadable(option, path, "certificates", cause);
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(unreadable)?;
    if found.is_empty() { Err(unreadable(Error::NoItemsFound)) } else { Ok(found) }
}

fn unreadable(option: &'static str, path: &Path, what: &'static str, cause: Error) -> Unusable {
    Unusable::File { option, file: path.display().to_string(), what, cause }
}
