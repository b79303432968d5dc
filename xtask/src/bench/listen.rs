//! A listener on the loopback interface which serves HTTP/1.1. Knows sockets; refuses to know
//! what is answered.

use std::error::Error;
use std::net::Ipv4Addr;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::failure::Failure;

/// Serves until the process is ended. A connection that fails ends by itself.
pub(super) async fn serve<Answer, Reply, Content, Fault>(port: u16, answer: Answer) -> Result<(), Failure>
where
    Answer: Fn(Request<Incoming>) -> Reply + Clone + Send + 'static,
    Reply: Future<Output = Result<Response<Content>, Fault>> + Send + 'static,
    Content: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    Fault: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.map_err(Failure::connection(&format!("listening on port {port}")))?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.map_err(Failure::connection("accepting a connection"))?;
                stream.set_nodelay(true).map_err(Failure::connection("setting up a connection"))?;
                connections.spawn(serve_connection(stream, answer.clone()));
            }
            // Finished connections are taken out, or the set would only grow.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection<Answer, Reply, Content, Fault>(stream: TcpStream, answer: Answer)
where
    Answer: Fn(Request<Incoming>) -> Reply,
    Reply: Future<Output = Result<Response<Content>, Fault>>,
    Content: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    Fault: Into<Box<dyn Error + Send + Sync>>,
{
    // What went wrong is seen, and reported, by the one who asked.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}
