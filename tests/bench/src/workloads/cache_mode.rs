//! The cache modes that are compared.

use cache_adapter::Preset;

/// The state of the cache during a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CacheMode {
    /// Every region is switched off.
    Uncached,
    /// Every region is switched on, with the TTLs of a preset.
    Cached(Preset),
}

impl CacheMode {
    /// Returns the name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uncached => "uncached",
            Self::Cached(Preset::Classic) => "default TTLs",
            Self::Cached(Preset::Coherent) => "`coherent`",
        }
    }
}

/// One value for each cache mode.
pub(super) struct ByMode<T> {
    pub(super) uncached: T,
    pub(super) classic: T,
    pub(super) coherent: T,
}

impl<T> ByMode<T> {
    /// Returns the values with their modes, in the order of the report's columns.
    pub(super) fn entries(&self) -> [(CacheMode, &T); 3] {
        [
            (CacheMode::Uncached, &self.uncached),
            (CacheMode::Cached(Preset::Classic), &self.classic),
            (CacheMode::Cached(Preset::Coherent), &self.coherent),
        ]
    }
}
