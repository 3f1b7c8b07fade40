//! The results of all workloads in one cache mode.

use super::{
    contexts::ContextResults, personas::PersonaResults, polling::PollingResults,
    program::ProgramResults,
};

/// The results of one cache mode: one value for each workload.
pub(super) struct ModeResults {
    pub(super) polling: PollingResults,
    pub(super) http_polling: PollingResults,
    pub(super) contexts: ContextResults,
    pub(super) program: ProgramResults,
    pub(super) personas: PersonaResults,
}
