//! Connections: how many there are, and how long each may take to say what it wants and to take what it gets.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

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

use crate::settings::{Settings, Time};

/// The largest head of a request in bytes, and its fields.
const HEAD_BYTES: usize = 64 * 1024;
const HEAD_FIELDS: usize = 100;
/// Connections beyond the limit that are told so; others are closed.
const TOLD: usize = 64;
/// How long such a one may take to ask.
const TOLD_TIMEOUT: Duration = Duration::from_secs(5);
/// After an error of the listener, such as having no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// How connections are treated.
#[derive(Clone, Copy, Debug)]
struct Connections {
    most: usize,
    header_timeout: Duration,
    write_timeout: Duration,
}

impl Connections {
    fn of(settings: &Settings) -> Self {
        let Time(header_timeout) = settings.limits.header_timeout;
        Self {
            most: settings.limits.connections,
            header_timeout,
            write_timeout: settings.write_timeout,
        }
    }
}

/// Serves any routes, with the settings' limits of connections, until `stop`, then until the requests that were begun have
/// ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &Settings,
    stop: impl Future<Output = ()>,
) {
    let how = Connections::of(settings);
    let (places, told) = (
        Arc::new(Semaphore::new(how.most.min(Semaphore::MAX_PERMITS))),
        Arc::new(Semaphore::new(TOLD)),
    );
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        if let Ok(place) = places.clone().try_acquire_owned() {
            let service =
                TowerToHyperService::new(Extension(ConnectInfo(address)).layer(router.clone()));
            let connection =
                http(how.header_timeout).serve_connection(io(stream, how.write_timeout), service);
            run(graceful.watch(connection), address, place);
        } else if let Ok(place) = told.clone().try_acquire_owned() {
            let connection =
                http(TOLD_TIMEOUT).serve_connection(io(stream, TOLD_TIMEOUT), service_fn(full));
            run(connection, address, place);
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

fn run(
    connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%address, %error, "a connection was cut off");
        }
        drop(place);
    });
}

fn http(header_timeout: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_header_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS);
    http
}

/// Cuts off who does not take what is sent.
fn io(
    stream: TcpStream,
    write_timeout: Duration,
) -> TokioIo<std::pin::Pin<Box<TimeoutStream<TcpStream>>>> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended as it began");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_timeout));
    TokioIo::new(Box::pin(stream))
}

async fn full(_: hyper::Request<Incoming>) -> Result<Response<Body>, std::convert::Infallible> {
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
