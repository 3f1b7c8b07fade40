//! Bounds on what callers may use at the same time, so that one caller cannot take what belongs to
//! all. The limits on request rates are in [`auth`](crate::auth).

mod bodies;
mod busy;
mod connections;
mod heavy_work;
mod log_lines;
mod outgoing;
mod owners;
mod pictures;
mod shares;
mod waits;

pub(crate) use bodies::{BodyBytes, BodyPermit};
pub(crate) use connections::{Connections, Reserved, Slot};
pub(crate) use heavy_work::{HeavyPermit, HeavyWork};
pub(crate) use log_lines::{LogLines, Unlogged};
pub(crate) use outgoing::{OutgoingBytes, OutgoingPermit, SenderBytes, hold};
pub(crate) use owners::{OwnerLock, OwnerLocks, write_under};
pub(crate) use pictures::PictureReads;
pub(crate) use waits::{WAIT_BOUNDS, WaitKind, WaitOutcome, WaitPermit, Waits};

use crate::settings::Limits;

/// The bytes of images in responses at the same time. One address gets half.
const MOST_IMAGE_BYTES: usize = 8 << 20;
/// The bytes of long texts in responses at the same time. A text is in memory two or three times
/// while it is rendered and sent.
const MOST_TEXT_BYTES: usize = 4 << 20;

/// The bounds that HTTP handlers share.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) bodies: BodyBytes,
    pub(crate) waits: Waits,
    pub(crate) owners: OwnerLocks,
    pub(crate) heavy_work: HeavyWork,
    /// The bytes of images in responses.
    pub(crate) image_bytes: OutgoingBytes,
    /// The bytes of long texts in responses.
    pub(crate) text_bytes: OutgoingBytes,
    pub(crate) picture_reads: PictureReads,
    pub(crate) log_lines: LogLines,
}

impl Bounds {
    /// Creates the bounds. `longest_body` is the length of the longest body.
    pub(crate) fn new(limits: &Limits, longest_body: usize) -> Self {
        Self {
            bodies: BodyBytes::new(limits.body_bytes_at_once, longest_body),
            waits: Waits::default(),
            owners: OwnerLocks::default(),
            heavy_work: HeavyWork::default(),
            image_bytes: OutgoingBytes::new(MOST_IMAGE_BYTES),
            text_bytes: OutgoingBytes::new(MOST_TEXT_BYTES),
            picture_reads: PictureReads::default(),
            log_lines: LogLines::default(),
        }
    }
}
