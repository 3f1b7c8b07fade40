//! Accepts connections. Limits their number, and the time in which they must send and receive.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Response, StatusCode, header},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tower::Layer;

use crate::settings::Settings;

/// The maximum size of a request's line and headers, in bytes. It bounds the memory of a connection
/// before the handler runs.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The maximum number of header fields of a request. Browsers send about twenty.
const MAX_HEADER_FIELDS: usize = 100;
/// The maximum number of connections above the limit that are served a refusal at the same time.
/// Further connections are closed without a response: refusing each of them would cost the
/// resources that the limit saves.
const MAX_REFUSALS: usize = 64;
/// The time in which a refused client must send its request and receive the response. It is short,
/// because each refused client takes one of the [`MAX_REFUSALS`] permits.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after the listener fails, for example because too many files are open. Without the
/// pause, the server would retry in a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Serves `router` until `stop` completes, then finishes the requests that have begun.
///
/// Applies the settings' limits on connections.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &Settings,
    stop: impl Future<Output = ()>,
) {
    let max_connections = settings.limits.connections.min(Semaphore::MAX_PERMITS);
    let connections = Arc::new(Semaphore::new(max_connections));
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        if let Ok(permit) = connections.clone().try_acquire_owned() {
            let service =
                TowerToHyperService::new(Extension(ConnectInfo(address)).layer(router.clone()));
            let connection = http(settings.limits.header_timeout)
                .serve_connection(with_timeout(stream, settings.write_timeout), service);
            spawn(graceful.watch(connection), address, permit);
        } else if let Ok(permit) = refusals.clone().try_acquire_owned() {
            let connection = http(REFUSAL_TIMEOUT)
                .serve_connection(with_timeout(stream, REFUSAL_TIMEOUT), service_fn(refuse));
            spawn(connection, address, permit);
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Runs a connection in a task that holds `permit` until the connection ends.
fn spawn(
    connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
    address: SocketAddr,
    permit: OwnedSemaphorePermit,
) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%address, %error, "connection closed early");
        }
        drop(permit);
    });
}

fn http(header_timeout: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_header_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADER_FIELDS);
    http
}

/// Wraps a connection so that it fails if the client receives nothing for `write_timeout`.
fn with_timeout(
    stream: TcpStream,
    write_timeout: Duration,
) -> TokioIo<std::pin::Pin<Box<TimeoutStream<TcpStream>>>> {
    // Disables Nagle's algorithm. Responses are written whole, so waiting to fill a packet would
    // only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY: the client has disconnected");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_timeout));
    TokioIo::new(Box::pin(stream))
}

async fn refuse(_: hyper::Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Body::from(r#"{"detail":"too many connections"}"#));
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
