//! Applies changed settings while the server runs.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    settings::{AnswerSettings, AuthSettings, Limits, Settings},
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
        let waiting = needs_restart(&settings, new);
        let limits = with_fixed(&settings.limits, &new.limits);
        self.app.limits.store(Arc::new(limits.clone()));
        settings.limits = limits;
        settings.auth = AuthSettings {
            credentials: settings.auth.credentials.clone(),
            ..new.auth.clone()
        };
        settings.answers = AnswerSettings {
            limits: settings.answers.limits.clone(),
            ..new.answers.clone()
        };
        Ok(waiting)
    }
}

/// Defines which limits only a restart changes. They are counted since the start.
macro_rules! fixed_limits {
    ($($limit:ident),*) => {
        /// Returns the new limits, with those that only a restart changes from the old ones.
        fn with_fixed(old: &Limits, new: &Limits) -> Limits {
            Limits {
                $($limit: old.$limit,)*
                ..new.clone()
            }
        }

        /// Returns each limit that only a restart changes, and whether it differs.
        fn fixed_limits(old: &Limits, new: &Limits) -> Vec<(&'static str, bool)> {
            vec![$((concat!("limits.", stringify!($limit)), old.$limit != new.$limit)),*]
        }
    };
}

fixed_limits!(
    connections,
    connections_per_address,
    header_timeout,
    body_bytes_at_once
);

/// Returns the names of the settings that differ and that only a restart applies.
fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
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
        ("metrics_listen", old.metrics_listen != new.metrics_listen),
        ("otlp", old.otlp != new.otlp),
        ("page", old.page != new.page),
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
    ];
    let limits = fixed_limits(&old.limits, &new.limits);
    let changed = settings
        .into_iter()
        .chain(limits)
        .filter(|(_, is_changed)| *is_changed);
    changed.map(|(name, _)| name).collect()
}
