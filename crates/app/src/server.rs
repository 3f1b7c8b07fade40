//! The running server: listens, serves, and ends without losing anything.

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use cache_core::Runtime;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;

use crate::{
    http::router,
    jobs, samples,
    settings::Settings,
    wiring::{App, wire},
};

/// How long requests and writes may take to end.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: Timed,
    address: SocketAddr,
    app: Arc<App>,
    max_body_bytes: usize,
}

impl Server {
    /// Writes the samples if there is no agents' folder, opens the store, and listens. The error is for people.
    pub async fn start(settings: &Settings, runtime: Runtime) -> Result<Self, String> {
        if !settings.listen.ip().is_loopback() {
            return Err(format!(
                "{} is not a loopback address: without authentication the server listens on loopback only",
                settings.listen
            ));
        }
        if settings.samples {
            let written = samples::write_if_new(&settings.agents).map_err(|error| format!("{}: {error}", settings.agents.display()))?;
            if written > 0 {
                tracing::info!(agents = written, folder = %settings.agents.display(), "there was no agents' folder: sample agents were written");
            }
        }
        for warning in settings.unsuitable() {
            tracing::warn!("{warning}");
        }
        let listener =
            TcpListener::bind(settings.listen).await.map_err(|error| format!("cannot listen on {}: {error}", settings.listen))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let app = Arc::new(wire(settings, runtime).await.map_err(|error| error.to_string())?);
        let listener = Timed { listener, write_timeout: settings.write_timeout };
        Ok(Self { listener, address, app, max_body_bytes: settings.max_body_bytes })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The wired program.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Serves until `stop`, then lets requests and writes end. The error is for people.
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), String> {
        let manager = self.app.cache.manager.clone();
        let jobs = [
            tokio::spawn(jobs::clean(manager.clone())),
            tokio::spawn(jobs::watch(manager.clone(), self.app.cache.repositories.clone())),
            tokio::spawn(jobs::follow(self.app.cache.clone(), self.app.files)),
            tokio::spawn(jobs::probe(self.app.cache.clone(), self.app.files)),
        ];
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let waits = self.app.stopping.clone();
        let stop = async move {
            stop.await;
            waits.cancel();
            tracing::info!("stopping: requests and writes may end");
            // Whoever waits for the deadline is told when it begins.
            drop(stopping);
        };
        let serving = axum::serve(self.listener, router(self.app, self.max_body_bytes)).with_graceful_shutdown(stop);
        let late = async {
            let _ = stopped.await;
            tokio::time::sleep(DEADLINE).await;
        };
        tokio::select! {
            served = serving => served.map_err(|error| error.to_string())?,
            () = late => tracing::warn!("requests that did not end in time were cut off"),
        }
        for job in jobs {
            job.abort();
        }
        if manager.shutdown(DEADLINE).await { Ok(()) } else { Err("writes did not end in time".into()) }
    }
}

/// Cuts off who does not take what is sent.
#[derive(Debug)]
struct Timed {
    listener: TcpListener,
    write_timeout: Duration,
}

impl axum::serve::Listener for Timed {
    type Io = Pin<Box<TimeoutStream<TcpStream>>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended as it began");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.write_timeout));
        (Box::pin(stream), address)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
