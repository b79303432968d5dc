//! Real servers on loopback, made of hyper and rustls.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{CertifiedKey, KeyPair};
use relay_transport::{Dial, Dialing, Origin, Settings, Tcp, Transport, tls};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{net::TcpListener, runtime::Handle};
use tokio_rustls::TlsAcceptor;

use crate::pipe::settings;

/// A server on loopback, and how many connections it took.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// The certificate of a server with TLS.
    pub(crate) certificate: Vec<u8>,
}

/// What a server speaks.
pub(crate) enum Speaks {
    Plain,
    /// TLS, offering these protocols.
    Tls(&'static [&'static [u8]]),
}

impl Server {
    /// Serves `answer` until the runtime ends. `tune` sets hyper up.
    pub(crate) async fn start<A, F, B>(
        speaks: Speaks,
        tune: impl FnOnce(&mut auto::Builder<TokioExecutor>),
        answer: A,
    ) -> Self
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Error = Infallible> + Send + 'static,
        B::Data: Send,
    {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        tune(&mut builder);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (acceptor, certificate) = match speaks {
            Speaks::Plain => (None, Vec::new()),
            Speaks::Tls(protocols) => {
                let (config, certificate) = certified(protocols);
                (Some(TlsAcceptor::from(config)), certificate)
            }
        };
        let counted = connections.clone();
        Handle::current().spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (builder, acceptor, answer) = (builder.clone(), acceptor.clone(), answer.clone());
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                Handle::current().spawn(async move {
                    match acceptor {
                        None => drop(builder.serve_connection(TokioIo::new(stream), service).await),
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            drop(builder.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                });
            }
        });
        Self { address, connections, certificate }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn origin(&self) -> Origin {
        let scheme = if self.certificate.is_empty() { "http" } else { "https" };
        Origin::parse(&format!("{scheme}://localhost:{}", self.address.port())).unwrap()
    }

    /// A transport that trusts this server and reaches it by name.
    pub(crate) fn transport(&self, change: impl FnOnce(&mut Settings)) -> Transport {
        let mut settings = settings();
        if !self.certificate.is_empty() {
            settings.tls = tls::client(tls::Roots::Pem(self.certificate.clone())).unwrap();
        }
        change(&mut settings);
        Transport::new(settings, Arc::new(Fixed(self.address)))
    }
}

/// Dials one address over TCP, whatever the name.
pub(crate) struct Fixed(pub(crate) SocketAddr);

impl Dial for Fixed {
    fn dial<'a>(&'a self, _: &'a Origin) -> Dialing<'a> {
        Box::pin(async move { Tcp.dial(&Origin::parse(&format!("http://{}", self.0)).unwrap()).await })
    }
}

/// A server's side of TLS for `localhost`, and its certificate in PEM.
pub(crate) fn certified(protocols: &[&[u8]]) -> (Arc<ServerConfig>, Vec<u8>) {
    let CertifiedKey { cert, signing_key } = issue();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    (Arc::new(config), cert.pem().into_bytes())
}

fn issue() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["localhost", "upstream.test", "proxy.test"].map(str::to_owned))
        .unwrap()
}
