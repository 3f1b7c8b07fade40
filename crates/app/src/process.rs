//! Figures of the own process, and the limit on its file descriptors.

use std::fs;

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The file descriptors that the program needs besides those of connections: the database, the
/// agents' files, the log, and the runtime.
#[cfg(unix)]
const OTHER_DESCRIPTORS: u64 = 256;

/// Returns the resident memory of the process, in bytes. Returns 0 if it is not known.
pub(crate) fn memory_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

/// Returns the processor time of all threads, in seconds. Returns 0 if it is not known.
pub(crate) fn cpu_seconds() -> f64 {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let time = std::time::Duration::try_from(time);
        time.map_or(0.0, |time| time.as_secs_f64())
    }
    #[cfg(not(unix))]
    0.0
}

/// Returns the limit on open file descriptors. Returns 0 if it is not known.
pub(crate) fn most_descriptors() -> u64 {
    #[cfg(unix)]
    return getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    #[cfg(not(unix))]
    0
}

/// Returns the number of open file descriptors. Returns 0 if it is not known.
pub(crate) fn open_descriptors() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |descriptors| descriptors.count() as u64)
}

/// Raises the limit on file descriptors as far as the operating system allows it, and returns the
/// number of connections that it leaves room for: `wanted`, or less.
///
/// A connection takes one descriptor. If they run out, the database and the agents' files cannot be
/// opened, either.
#[cfg(unix)]
pub(crate) fn admit_connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::debug!(%error, "cannot raise the limit on open files");
            limit.current
        }
    };
    let room = current.map_or(u64::MAX, |descriptors| {
        descriptors.saturating_sub(OTHER_DESCRIPTORS).max(1)
    });
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if room < wanted {
        tracing::warn!(
            connections = wanted,
            admitted = room,
            "fewer connections are admitted than the settings allow: raise the limit on open files \
             (`LimitNOFILE` in a systemd unit, `ulimit -n` in a shell)"
        );
    }
    room.min(wanted)
}

/// Returns `wanted`. On this system, the limit on open files is not known.
#[cfg(not(unix))]
pub(crate) fn admit_connections(wanted: usize) -> usize {
    wanted
}
