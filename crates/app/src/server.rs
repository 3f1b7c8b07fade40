//! The running server: listens, serves, and ends without losing anything.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cache_core::Runtime;
use tokio::net::TcpListener;

use crate::{
    http::router,
    jobs, samples,
    serve::serve,
    settings::Settings,
    wiring::{App, wire},
};

/// How long requests and writes may take to end.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    settings: Settings,
}

impl Server {
    /// Writes the samples if there is no agents' folder, opens the store, and listens. The error is for people.
    pub async fn start(settings: &Settings, runtime: Runtime) -> Result<Self, String> {
        if settings.samples {
            let written = samples::write_if_new(&settings.agents)
                .map_err(|error| format!("{}: {error}", settings.agents.display()))?;
            if written > 0 {
                tracing::info!(agents = written, folder = %settings.agents.display(), "there was no agents' folder: sample agents were written");
            }
        }
        for warning in settings.unsuitable() {
            tracing::warn!("{warning}");
        }
        let listener = TcpListener::bind(settings.listen)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", settings.listen))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let app = Arc::new(wire(settings, runtime).await?);
        Ok(Self {
            listener,
            address,
            app,
            settings: settings.clone(),
        })
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
    pub async fn run_until(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), String> {
        let manager = self.app.cache.manager.clone();
        let jobs = [
            tokio::spawn(jobs::clean(manager.clone())),
            tokio::spawn(jobs::watch(
                manager.clone(),
                self.app.cache.repositories.clone(),
            )),
            tokio::spawn(jobs::forget_idle(self.app.clone())),
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
        if let Err(error) = self.app.conversations.resume().await {
            tracing::warn!(%error, "conversations that were not over rest until somebody writes");
        }
        let conversations = self.app.conversations.clone();
        let serving = serve(
            self.listener,
            router(self.app, &self.settings),
            &self.settings,
            stop,
        );
        let late = async {
            let _ = stopped.await;
            tokio::time::sleep(DEADLINE).await;
        };
        tokio::select! {
            () = serving => {}
            () = late => tracing::warn!("requests that did not end in time were cut off"),
        }
        for job in jobs {
            job.abort();
        }
        // What was composed is dropped, and composed anew after the next start.
        conversations.ended().await;
        if manager.shutdown(DEADLINE).await {
            Ok(())
        } else {
            Err("writes did not end in time".into())
        }
    }
}
