//! Applies changed settings while the server runs.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    settings::{Limits, Settings},
    state::App,
    wiring::{WiringError, build_responders},
};

/// Applies changed settings to a running server.
///
/// Passwords, secrets, limits and the models of answers change at once. Other settings change only
/// with a restart.
#[derive(Debug)]
pub struct Reloader {
    app: Arc<App>,
    /// The settings in force.
    settings: Mutex<Settings>,
}

impl Reloader {
    pub(crate) fn new(app: Arc<App>, settings: Settings) -> Self {
        Self {
            app,
            settings: Mutex::new(settings),
        }
    }

    /// Applies the settings that a running server can change. Returns the names of changed settings
    /// that need a restart.
    ///
    /// If this fails, nothing is changed.
    pub fn reload(&self, new: &Settings) -> Result<Vec<&'static str>, WiringError> {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let responders = build_responders(&new.answers)?;
        self.app.auth.replace(new)?;
        self.app.conversations.replace_responders(responders);
        let limits = Limits {
            // The last two bounds are counted since the start.
            connections: settings.limits.connections,
            connections_per_address: settings.limits.connections_per_address,
            header_timeout: settings.limits.header_timeout,
            body_bytes_at_once: settings.limits.body_bytes_at_once,
            ..new.limits.clone()
        };
        self.app.limits.store(Arc::new(limits.clone()));
        let waiting = needs_restart(&settings, new);
        settings.limits = limits;
        settings.auth = new.auth.clone();
        settings.answers = new.answers.clone();
        Ok(waiting)
    }
}

/// Returns the names of the settings that differ and that only a restart applies.
fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let (limits, new_limits) = (&old.limits, &new.limits);
    let settings = [
        ("listen", old.listen != new.listen),
        ("database", old.database != new.database),
        ("agents", old.agents != new.agents),
        (
            "regions",
            format!("{:?}", old.cache) != format!("{:?}", new.cache),
        ),
        ("max_body_bytes", old.max_body_bytes != new.max_body_bytes),
        ("write_timeout", old.write_timeout != new.write_timeout),
        ("frontend", old.frontend != new.frontend),
        ("probe", old.files.probe != new.files.probe),
        ("watch", old.files.watch != new.files.watch),
        ("access.cors_origins", old.cors_origins != new.cors_origins),
        (
            "access.trusted_proxies",
            old.trusted_proxies != new.trusted_proxies,
        ),
        (
            "access.credentials",
            old.auth.credentials != new.auth.credentials,
        ),
        ("answers.limits", old.answers.limits != new.answers.limits),
        (
            "limits.connections_per_address",
            limits.connections_per_address != new_limits.connections_per_address,
        ),
        (
            "limits.header_timeout",
            limits.header_timeout != new_limits.header_timeout,
        ),
        (
            "limits.body_bytes_at_once",
            limits.body_bytes_at_once != new_limits.body_bytes_at_once,
        ),
    ];
    let changed = settings.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(name, _)| name).collect()
}
