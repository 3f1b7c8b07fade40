//! Bounds on what callers may use at the same time, so that one caller cannot take what belongs to
//! all. The limits on request rates are in [`auth`](crate::auth).

mod bodies;
mod busy;
mod connections;
mod heavy_work;
mod image_bytes;
mod log_lines;
mod owners;
mod shares;
mod waits;

pub(crate) use bodies::{BodyBytes, BodyPermit};
pub(crate) use connections::{Connections, Reserved, Slot};
pub(crate) use heavy_work::{HeavyPermit, HeavyWork};
pub(crate) use image_bytes::{ImageBytes, ImagePermit, SenderImages, hold};
pub(crate) use log_lines::{LogLines, Unlogged};
pub(crate) use owners::{OwnerLock, OwnerLocks, write_under};
pub(crate) use waits::{WaitKind, WaitPermit, Waits};

use tokio::sync::Semaphore;

use crate::settings::Limits;

/// The number of agents' pictures that are read at the same time.
const PICTURE_READS: usize = 2;

/// The bounds that HTTP handlers share.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) bodies: BodyBytes,
    pub(crate) waits: Waits,
    pub(crate) owners: OwnerLocks,
    pub(crate) heavy_work: HeavyWork,
    pub(crate) image_bytes: ImageBytes,
    /// The agents' pictures that may still be read at the same time.
    pub(crate) picture_reads: Semaphore,
    pub(crate) log_lines: LogLines,
}

impl Bounds {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            bodies: BodyBytes::new(limits.body_bytes_at_once),
            waits: Waits::default(),
            owners: OwnerLocks::default(),
            heavy_work: HeavyWork::default(),
            image_bytes: ImageBytes::default(),
            picture_reads: Semaphore::new(PICTURE_READS),
            log_lines: LogLines::default(),
        }
    }
}
