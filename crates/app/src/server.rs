//! The server as a whole: starts, serves, and stops without losing writes.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use cache_core::Runtime;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time};

use crate::{
    auth::Auth,
    check::check_frontend,
    conversation::Conversations,
    figures, guest_rooms,
    http::{Services, open_routes},
    jobs, process,
    reload::Reloader,
    samples,
    serve::{serve, serve_router},
    settings::Settings,
    state::{App, AppHandle},
    wiring::{WiringError, build_responders, check_database, wire},
};

/// The time for requests to finish when the server stops, then the time for agents to end their
/// answers, and then the time for writes to finish. All together are below the 90 seconds after
/// which systemd kills a service by default.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// A reason why a server did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The sample agents cannot be written.
    #[error("cannot create the sample agents in {}: {error}", folder.display())]
    Samples {
        /// The agents' folder.
        folder: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
    /// The address cannot be used.
    #[error("cannot listen on {address}: {error}; use `{flag}` to choose another address")]
    Listen {
        /// The address from the settings.
        address: SocketAddr,
        /// The flag of the setting.
        flag: &'static str,
        /// The operating system's error.
        error: io::Error,
    },
    /// The front end's folder has no page.
    #[error("{0}")]
    Frontend(String),
    /// The store, a responder, or the credentials are unusable.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// Writes were still running when the time to stop was over.
    #[error(
        "stopped while writes were still running after {} s; \
         check the last changes after the next start",
        STOP_TIMEOUT.as_secs()
    )]
    UnfinishedWrites,
}

/// A server that has opened its store and its listening socket.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    /// The listener for monitoring systems, and its address.
    metrics: Option<(TcpListener, SocketAddr)>,
    app: Arc<App>,
    settings: Settings,
    /// The number of connections for which the process has file descriptors.
    connections: usize,
}

impl Server {
    /// Listens, creates the sample agents if there is no agents' folder, and opens the store.
    pub async fn start(settings: &Settings, runtime: Runtime) -> Result<Self, ServerError> {
        // Everything that can fail is checked before the first file is written, so that a start
        // that fails leaves no files behind.
        build_responders(&settings.answers)?;
        Auth::check(settings).map_err(WiringError::from)?;
        if let Some(problem) = settings.frontend.as_deref().and_then(check_frontend) {
            return Err(ServerError::Frontend(problem));
        }
        let (listener, address) = bind(settings.listen, "--listen").await?;
        let metrics = match settings.metrics_listen {
            Some(address) => Some(bind(address, "--metrics-listen").await?),
            None => None,
        };
        check_database(&settings.database)
            .await
            .map_err(WiringError::from)?;
        let connections = process::admit_connections(settings.limits.connections);
        let created = create_samples(settings)?;
        for warning in settings.unsuitable_ttls() {
            tracing::warn!("{warning}");
        }
        let wired = wire(settings, runtime).await;
        if wired.is_err() && created > 0 {
            samples::remove(&settings.agents);
        }
        let app = Arc::new(wired?);
        Ok(Self {
            listener,
            address,
            metrics,
            app,
            settings: settings.clone(),
            connections,
        })
    }

    /// Returns the address on which the server listens. If the settings have port 0, this is the
    /// port that the operating system picked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address on which monitoring systems need no token.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// Returns the state that handlers and background jobs share.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Returns a handle that applies changed settings while the server runs.
    pub fn reloader(&self) -> Reloader {
        Reloader::new(self.app.clone(), self.settings.clone())
    }

    /// Serves until `stop` completes, then finishes requests and writes.
    ///
    /// Requests that do not finish in time are cut off. Unfinished answers of agents are dropped;
    /// the agents compose them again after the next start.
    pub async fn run_until(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let manager = self.app.cache.manager.clone();
        let jobs = spawn_jobs(&self.app);
        // Dropping the sender starts the deadline for requests.
        let (deadline_starts, deadline_started) = oneshot::channel::<()>();
        let waiting_requests = self.app.stopping.clone();
        let stop = async move {
            stop.await;
            waiting_requests.cancel();
            tracing::info!("stopping: finishing requests and writes");
            drop(deadline_starts);
        };
        let conversations = self.app.conversations.clone();
        let open = self.app.connections.clone();
        let mut settings = self.settings;
        settings.limits.connections = self.connections;
        if let Some((listener, _)) = self.metrics {
            let routes = open_routes(AppHandle::new(self.app.clone()));
            let (settings, stop) = (settings.clone(), self.app.stopping.clone());
            tokio::spawn(async move {
                serve_router(listener, routes, &settings, stop.cancelled_owned()).await;
            });
        }
        let serving = serve(
            self.listener,
            Services::new(&self.app, &settings),
            &settings,
            open,
            stop,
        );
        let deadline = async {
            let _ = deadline_started.await;
            time::sleep(STOP_TIMEOUT).await;
        };
        tokio::select! {
            () = serving => {}
            () = deadline => tracing::warn!("requests cut off: they did not finish in time"),
        }
        for job in jobs {
            job.abort();
        }
        if time::timeout(STOP_TIMEOUT, conversations.ended())
            .await
            .is_err()
        {
            tracing::warn!("answers of agents cut off: they did not end in time");
        }
        if manager.shutdown(STOP_TIMEOUT).await {
            Ok(())
        } else {
            Err(ServerError::UnfinishedWrites)
        }
    }
}

/// Listens on an address. `flag` names its setting in the error.
async fn bind(
    address: SocketAddr,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), ServerError> {
    let error = |error| ServerError::Listen {
        address,
        flag,
        error,
    };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let bound = listener.local_addr().map_err(error)?;
    Ok((listener, bound))
}

/// Creates the sample agents if there is no agents' folder, and if the settings want them. Returns
/// their number.
fn create_samples(settings: &Settings) -> Result<usize, ServerError> {
    if !settings.samples {
        return Ok(0);
    }
    let folder = &settings.agents;
    let created = samples::write_if_new(folder).map_err(|error| ServerError::Samples {
        folder: folder.clone(),
        error,
    })?;
    if created > 0 {
        tracing::info!(
            agents = created,
            folder = %folder.display(),
            "sample agents created: there was no agents' folder"
        );
    }
    Ok(created)
}

/// Resumes the conversations that the last process left unfinished. Runs beside the first requests,
/// because there may be many rooms.
async fn resume(conversations: Conversations) {
    if let Err(error) = conversations.resume().await {
        tracing::warn!(
            %error,
            "unfinished conversations not resumed: each resumes with the next message"
        );
    }
}

fn spawn_jobs(app: &Arc<App>) -> [JoinHandle<()>; 9] {
    let cache = &app.cache;
    [
        tokio::spawn(resume(app.conversations.clone())),
        tokio::spawn(jobs::clean_up(cache.manager.clone())),
        tokio::spawn(jobs::watch_store(app.clone())),
        tokio::spawn(figures::sample(app.clone())),
        tokio::spawn(jobs::forget_idle_addresses(app.clone())),
        tokio::spawn(guest_rooms::remove_unused(app.clone())),
        tokio::spawn(jobs::count_config_problems(app.clone())),
        tokio::spawn(jobs::watch_files(cache.clone(), app.files)),
        tokio::spawn(jobs::probe_files(cache.clone(), app.files)),
    ]
}
