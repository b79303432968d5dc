//! The least that can be called a proxy, on the client that most proxies are built with. Knows
//! how to pass a request on; refuses to look into anything.

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Request, Response};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;

use crate::arguments::Arguments;
use crate::bench::listen;
use crate::failure::Failure;
use crate::workshop::Workshop;

/// `xtask bench-bare PORT UPSTREAM`. As many threads as the relay has.
pub(crate) fn run(_: &Workshop, mut arguments: Arguments) -> Result<(), Failure> {
    let port = arguments.word("PORT")?;
    let upstream: Authority = arguments.word("UPSTREAM")?;
    arguments.end()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Failure::connection("starting a runtime"))?.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        listen::serve(port, move |request| pass(client.clone(), upstream.clone(), request)).await
    })
}

async fn pass(
    client: Client<HttpConnector, Incoming>,
    upstream: Authority,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, Error> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(upstream);
    *request.uri_mut() = parts.try_into().expect("a path with an authority is a whole address");
    request.headers_mut().remove(HOST);
    request.headers_mut().remove(CONNECTION);
    let mut response = client.request(request).await?;
    response.headers_mut().remove(CONNECTION);
    Ok(response)
}
