//! Keys, values and copies of logs whose code panics at one call that a test chooses.

use std::{
    fmt,
    hash::{Hash, Hasher},
    num::ParseIntError,
    panic::resume_unwind,
    str::FromStr,
    sync::{Arc, Mutex},
};

use cache_core::Fold;

/// The message of the panics.
pub(super) const PLANTED: &str = "planted";

/// Code of the user that the cache calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Weigher,
    Apply,
    Weight,
    CloneValue,
    DropValue,
    CloneEntry,
    DropEntry,
    DropCopy,
    HashKey,
    CompareKey,
    CloneKey,
    DropKey,
    Loader,
    Write,
    Naming,
    Covers,
}

impl Code {
    pub(super) const ALL: [Self; 16] = [
        Self::Weigher,
        Self::Apply,
        Self::Weight,
        Self::CloneValue,
        Self::DropValue,
        Self::CloneEntry,
        Self::DropEntry,
        Self::DropCopy,
        Self::HashKey,
        Self::CompareKey,
        Self::CloneKey,
        Self::DropKey,
        Self::Loader,
        Self::Write,
        Self::Naming,
        Self::Covers,
    ];
}

/// Panics at one call of one kind of code, or at all of them. Clones are the same trap.
#[derive(Clone, Debug, Default)]
pub(super) struct Trap(Arc<Mutex<Option<Armed>>>);

#[derive(Debug)]
struct Armed {
    code: Code,
    /// The number of calls before the one that panics.
    calls_left: usize,
    /// Every later call panics, too.
    for_good: bool,
}

impl Trap {
    /// Lets the call number `call`, from 0, of this code panic.
    pub(super) fn arm(&self, code: Code, call: usize) {
        *self.0.lock().unwrap() = Some(Armed {
            code,
            calls_left: call,
            for_good: false,
        });
    }

    /// Lets every call of this code panic.
    pub(super) fn arm_for_good(&self, code: Code) {
        *self.0.lock().unwrap() = Some(Armed {
            code,
            calls_left: 0,
            for_good: true,
        });
    }

    /// Disarms the trap. Returns `true` if it was still armed: no call has panicked.
    pub(super) fn disarm(&self) -> bool {
        self.0.lock().unwrap().take().is_some()
    }

    /// Is called by all user code.
    pub(super) fn step(&self, code: Code) {
        let panics = {
            let mut armed = self.0.lock().unwrap();
            match &mut *armed {
                Some(trap) if trap.code == code && trap.for_good => true,
                Some(trap) if trap.code == code && trap.calls_left == 0 => armed.take().is_some(),
                Some(trap) if trap.code == code => {
                    trap.calls_left -= 1;
                    false
                }
                _ => false,
            }
        };
        // Never while another panic unwinds: that would end the process, whatever the cache does.
        if panics && !std::thread::panicking() {
            // It prints no message.
            resume_unwind(Box::new(PLANTED));
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct TrappedKey {
    pub(super) number: u64,
    pub(super) trap: Trap,
}

impl Clone for TrappedKey {
    fn clone(&self) -> Self {
        self.trap.step(Code::CloneKey);
        Self {
            number: self.number,
            trap: self.trap.clone(),
        }
    }
}

impl Drop for TrappedKey {
    fn drop(&mut self) {
        self.trap.step(Code::DropKey);
    }
}

impl Hash for TrappedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.trap.step(Code::HashKey);
        self.number.hash(state);
    }
}

impl PartialEq for TrappedKey {
    fn eq(&self, other: &Self) -> bool {
        self.trap.step(Code::CompareKey);
        self.number == other.number
    }
}

impl Eq for TrappedKey {}

impl fmt::Display for TrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

impl FromStr for TrappedKey {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let number = text.parse()?;
        Ok(Self {
            number,
            trap: Trap::default(),
        })
    }
}

/// The version of a row.
#[derive(Debug)]
pub(super) struct TrappedValue {
    pub(super) version: u64,
    pub(super) trap: Trap,
}

impl Clone for TrappedValue {
    fn clone(&self) -> Self {
        self.trap.step(Code::CloneValue);
        Self {
            version: self.version,
            trap: self.trap.clone(),
        }
    }
}

impl Drop for TrappedValue {
    fn drop(&mut self) {
        self.trap.step(Code::DropValue);
    }
}

/// An entry of a log.
pub(super) struct TrappedEntry(pub(super) Trap);

impl Clone for TrappedEntry {
    fn clone(&self) -> Self {
        self.0.step(Code::CloneEntry);
        Self(self.0.clone())
    }
}

impl Drop for TrappedEntry {
    fn drop(&mut self) {
        self.0.step(Code::DropEntry);
    }
}

/// The sequence numbers in a copy of a log, which weighs as many.
pub(super) struct TrappedCopy {
    pub(super) seqs: Vec<u64>,
    pub(super) trap: Trap,
}

impl Fold for TrappedCopy {
    type Entry = TrappedEntry;

    fn apply(&mut self, seq: u64, _: &TrappedEntry) {
        self.trap.step(Code::Apply);
        self.seqs.push(seq);
    }

    fn weight(&self) -> u32 {
        self.trap.step(Code::Weight);
        u32::try_from(self.seqs.len()).unwrap()
    }
}

impl Drop for TrappedCopy {
    fn drop(&mut self) {
        self.trap.step(Code::DropCopy);
    }
}
