//! HTTP/1.1 with or without TLS for the servers inside backends: connections in, requests with the peer's certificate out. Bounded in connections, headers,
//! bodies and time, since anybody may connect.
//!
//! A server owns its threads; dropping [`Running`] ends it. HTTP/2 is left out: network servers and gateways send one small request at a time.

mod peer;
pub mod tls;

pub use peer::Peer;

use crate::backends::Refusal;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;

/// Connections at a time: a city's gateways, each with one, and its network servers with a pool. More wait in the backlog of the system.
pub const CONNECTIONS: usize = 4096;

/// How long a peer may take for a TLS handshake, a request's head or its body; an idle connection ends after it too.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Longest head of a request.
const HEAD_MAX: usize = 16 * 1024;

/// Where a server listens and with what.
pub struct Endpoint {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// TLS; `None` is plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Longest body read; a longer one is answered by 413.
    pub body_max: usize,
    /// Threads that answer.
    pub threads: usize,
}

/// A request.
pub struct Request {
    /// Method.
    pub method: Method,
    /// Path, without the query.
    pub path: String,
    /// The Authorization header.
    pub authorization: Option<String>,
    /// Body.
    pub body: Bytes,
}

/// What goes back.
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Content-Type; empty where there is no body.
    pub content_type: &'static str,
    /// Body.
    pub body: Vec<u8>,
}

impl Response {
    /// A status without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, content_type: "", body: Vec::new() }
    }

    /// 200 with a body.
    pub fn ok(content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status: StatusCode::OK, content_type, body }
    }
}

/// What was not served.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections that ended in the TLS handshake.
    pub handshakes_failed: AtomicU64,
    /// Bodies that were too long, or did not come in time.
    pub bodies_refused: AtomicU64,
}

/// A server that runs until it is dropped.
pub struct Running {
    address: SocketAddr,
    counts: Arc<Counts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it did not serve.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts a server. `handler` answers each request; it runs on the server's threads and must not block for long.
///
/// # Errors
/// The address cannot be taken, or there are no threads.
pub fn start<H, F>(name: &str, endpoint: Endpoint, handler: H) -> Result<Running, Refusal>
where
    H: Fn(Arc<Peer>, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let failed = |error: std::io::Error| {
        Refusal::new(
            format!("{name} cannot listen on {}: {error}", endpoint.listen),
            "give another address, or end what uses this one (ss -ltnp shows it)",
        )
    };
    let listener = std::net::TcpListener::bind(endpoint.listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(endpoint.threads.max(1))
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(failed)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let counts = Arc::new(Counts::default());
    let service = Arc::new(Service { handler, body_max: endpoint.body_max, counts: counts.clone() });
    let tls = endpoint.tls.map(TlsAcceptor::from);
    let serve = move || {
        runtime.block_on(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            tokio::select! {
                () = accept(listener, tls, service) => {}
                _ = stopped => {}
            }
        });
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(serve).map_err(failed)?;
    Ok(Running { address, counts, stop: Some(stop), thread: Some(thread) })
}

struct Service<H> {
    handler: H,
    body_max: usize,
    counts: Arc<Counts>,
}

async fn accept<H, F>(listener: TcpListener, tls: Option<TlsAcceptor>, service: Arc<Service<H>>)
where
    H: Fn(Arc<Peer>, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let Ok((stream, address)) = listener.accept().await else {
            // Out of file descriptors, most likely: connections that end will free some.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (tls, service) = (tls.clone(), service.clone());
        tokio::spawn(async move {
            connection(stream, address, tls, service).await;
            drop(permit);
        });
    }
}

async fn connection<H, F>(stream: TcpStream, address: SocketAddr, tls: Option<TlsAcceptor>, service: Arc<Service<H>>)
where
    H: Fn(Arc<Peer>, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return http(stream, Peer::plain(address), service).await };
    match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            let peer = Peer::of(address, stream.get_ref().1);
            http(stream, peer, service).await;
        }
        _ => {
            service.counts.handshakes_failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn http<S, H, F>(stream: S, peer: Peer, service: Arc<Service<H>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    H: Fn(Arc<Peer>, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let peer = Arc::new(peer);
    let answer = service_fn(move |request| {
        let (peer, service) = (peer.clone(), service.clone());
        async move { Ok::<_, Infallible>(outgoing(service.answer(peer, request).await)) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEAD_MAX).half_close(true);
    // Station's reader of heads is simple: names as everybody writes them.
    builder.title_case_headers(true);
    let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
}

impl<H, F> Service<H>
where
    H: Fn(Arc<Peer>, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    async fn answer(&self, peer: Arc<Peer>, request: hyper::Request<Incoming>) -> Response {
        let (head, body) = request.into_parts();
        if body.size_hint().lower() > self.body_max as u64 {
            // It announces more: not a byte of it is waited for.
            self.counts.bodies_refused.fetch_add(1, Ordering::Relaxed);
            return Response::empty(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let Ok(body) = tokio::time::timeout(PATIENCE, Limited::new(body, self.body_max).collect()).await else {
            self.counts.bodies_refused.fetch_add(1, Ordering::Relaxed);
            return Response::empty(StatusCode::REQUEST_TIMEOUT);
        };
        let Ok(body) = body else {
            self.counts.bodies_refused.fetch_add(1, Ordering::Relaxed);
            return Response::empty(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let authorization = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let path = head.uri.path().to_owned();
        (self.handler)(peer, Request { method: head.method, path, authorization, body: body.to_bytes() }).await
    }
}

fn outgoing(response: Response) -> hyper::Response<Full<Bytes>> {
    let mut out = hyper::Response::new(Full::new(Bytes::from(response.body)));
    *out.status_mut() = response.status;
    if !response.content_type.is_empty() {
        out.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(response.content_type));
    }
    out
}
