//! Signals of the operating system.

use std::{io, process};

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit status after a second signal to stop: that of a program which SIGINT ended.
const CUT_OFF: i32 = 130;

/// Returns a future that completes at the first signal to stop: SIGTERM or SIGINT. The second one
/// ends the process at once.
#[cfg(unix)]
pub(crate) fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            tracing::warn!("stopped at once: check the last changes after the next start");
            process::exit(CUT_OFF);
        });
    })
}

#[cfg(unix)]
async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

#[cfg(not(unix))]
pub(crate) fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
        tokio::spawn(async {
            let _ = tokio::signal::ctrl_c().await;
            process::exit(CUT_OFF);
        });
    })
}

/// The signal to hang up, SIGHUP. Other systems do not have it.
pub(crate) struct HangUp {
    #[cfg(unix)]
    signal: Signal,
}

/// Returns a receiver of SIGHUP. From now on, the signal does not end the process any more.
pub(crate) fn hang_up() -> io::Result<HangUp> {
    Ok(HangUp {
        #[cfg(unix)]
        signal: signal(SignalKind::hangup())?,
    })
}

impl HangUp {
    /// Waits for the next signal.
    pub(crate) async fn recv(&mut self) {
        #[cfg(unix)]
        self.signal.recv().await;
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    }
}
