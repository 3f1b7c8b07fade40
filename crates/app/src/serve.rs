//! Accepts connections. Limits their number, and the time in which they must send and receive.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo, response::Response};
use futures_util::FutureExt;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service as HyperService, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tower::Service as _;

use crate::{
    bounds::{Connections, Reserved, Slot},
    http::Services,
    settings::Settings,
};

/// The maximum size of a request's line and headers, in bytes. It bounds the memory of a connection
/// before the handler runs.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The maximum number of header fields of a request. Browsers send about twenty.
const MAX_HEADER_FIELDS: usize = 100;
/// The time in which a client on a connection of the reserve must send its request and receive the
/// response. It is short, because the reserve has few connections.
const RESERVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after the listener fails, for example because too many files are open. Without the
/// pause, the server would retry in a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The client of a connection.
#[derive(Clone, Copy)]
struct Peer {
    address: SocketAddr,
    is_reserved: bool,
}

impl Peer {
    /// Adds the client to a request.
    fn mark(self, request: &mut Request<Incoming>) {
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(self.address));
        if self.is_reserved {
            extensions.insert(Reserved);
        }
    }
}

/// Serves requests until `stop` completes, then finishes those that have begun.
///
/// Deals the connections to the groups of `services` in turn. Applies the settings' limits on
/// connections. Beyond the limits, a few connections remain for administrators and health checks;
/// the services refuse other requests on them. `open` is set to the number of open connections.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    settings: &Settings,
    open: Arc<AtomicUsize>,
    stop: impl Future<Output = ()>,
) {
    let mut in_turn = services.in_turn();
    let connect = |peer: Peer| {
        let service = in_turn.next().expect("there is at least one group").clone();
        service_fn(move |mut request| {
            peer.mark(&mut request);
            service.clone().respond(request).map(Ok::<_, Infallible>)
        })
    };
    accept(listener, connect, settings, open, stop).await;
}

/// Serves a router without what [`serve`] does around the routes.
pub(crate) async fn serve_router(
    listener: TcpListener,
    router: Router,
    settings: &Settings,
    stop: impl Future<Output = ()>,
) {
    let connect = |peer: Peer| {
        let router = router.clone();
        service_fn(move |mut request| {
            peer.mark(&mut request);
            router.clone().call(request)
        })
    };
    accept(listener, connect, settings, Arc::default(), stop).await;
}

/// Accepts connections. `connect` creates the service of each.
async fn accept<S>(
    listener: TcpListener,
    mut connect: impl FnMut(Peer) -> S,
    settings: &Settings,
    open: Arc<AtomicUsize>,
    stop: impl Future<Output = ()>,
) where
    S: HyperService<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let connections = Connections::new(settings, open);
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
        // Without a slot, the connection is closed at once: a response would cost the resources
        // that the limit saves.
        let Some(slot) = connections.admit(address.ip()) else {
            continue;
        };
        let is_reserved = slot.is_reserved;
        let (header_timeout, write_timeout) = if is_reserved {
            (RESERVE_TIMEOUT, RESERVE_TIMEOUT)
        } else {
            (settings.limits.header_timeout, settings.write_timeout)
        };
        let service = connect(Peer {
            address,
            is_reserved,
        });
        let connection =
            http(header_timeout).serve_connection(with_timeout(stream, write_timeout), service);
        spawn(graceful.watch(connection), address, slot);
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Runs a connection in a task that holds `slot` until the connection ends.
fn spawn(
    connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
    address: SocketAddr,
    slot: Slot,
) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%address, %error, "connection closed early");
        }
        drop(slot);
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
