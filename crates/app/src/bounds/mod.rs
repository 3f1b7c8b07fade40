//! Bounds on what callers may use at the same time, so that one caller cannot take what belongs to
//! all. The limits on request rates are in [`auth`](crate::auth).

mod bodies;
mod busy;
mod connections;
mod heavy_work;
mod image_bytes;
mod log_lines;
mod owners;
mod waits;

pub(crate) use bodies::{BodyBytes, BodyPermit};
pub(crate) use connections::{Connections, Reserved, Slot};
pub(crate) use heavy_work::{HeavyKind, HeavyPermit, HeavyWork};
pub(crate) use image_bytes::{ImageBytes, ImagePermit, hold};
pub(crate) use log_lines::LogLines;
pub(crate) use owners::OwnerLocks;
pub(crate) use waits::{WaitKind, WaitPermit, Waits};

use crate::settings::Limits;

/// The bounds that HTTP handlers share.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) bodies: BodyBytes,
    pub(crate) waits: Waits,
    pub(crate) owners: OwnerLocks,
    pub(crate) heavy_work: HeavyWork,
    pub(crate) image_bytes: ImageBytes,
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
            log_lines: LogLines::default(),
        }
    }
}
