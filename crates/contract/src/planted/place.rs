//! Places that lose data when a store is closed and opened again, or that admit two openers.

use std::sync::{Arc, Mutex, PoisonError};

use domain::{Error, Repositories, Result, RoomId};
use futures_util::future::{BoxFuture, ready};

use crate::{memory::Memory, reopen::Reopen};

/// A fault of a [`FaultyPlace`], which breaks one rule of reopening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceFault {
    /// Everything is lost when the store is closed.
    ForgetsEverything,
    /// After a reopen, the ids of deleted rooms are assigned again.
    ReusesIds,
    /// A store that is open can be opened again.
    AdmitsASecondOpener,
}

impl PlaceFault {
    /// All faults.
    pub const ALL: [Self; 3] = [
        Self::ForgetsEverything,
        Self::ReusesIds,
        Self::AdmitsASecondOpener,
    ];
}

/// A place with one fault.
///
/// ```
/// use contract::planted::{FaultyPlace, PlaceFault};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let place = FaultyPlace::new(PlaceFault::ForgetsEverything);
/// assert!(!contract::check_reopening(&place).await.failed.is_empty());
/// # }
/// ```
pub struct FaultyPlace {
    fault: PlaceFault,
    memory: Mutex<Arc<Memory>>,
}

impl FaultyPlace {
    /// Creates an empty place with this fault.
    pub fn new(fault: PlaceFault) -> Self {
        Self {
            fault,
            memory: Mutex::default(),
        }
    }

    fn open_now(&self) -> Result<Repositories> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = Arc::strong_count(&memory) > 1;
        if is_open && self.fault != PlaceFault::AdmitsASecondOpener {
            return Err(Error::Conflict("the store is open already".into()));
        }
        match self.fault {
            PlaceFault::ForgetsEverything => *memory = Arc::default(),
            PlaceFault::ReusesIds => {
                let mut tables = memory.tables();
                let last = tables.rooms.last_key_value();
                tables.last_room = last.map_or(0, |(RoomId(id), _)| *id);
            }
            PlaceFault::AdmitsASecondOpener => {}
        }
        Ok(Memory::bundle(&memory))
    }
}

impl Reopen for FaultyPlace {
    fn open(&self) -> BoxFuture<'_, Result<Repositories>> {
        self.try_open()
    }

    fn try_open(&self) -> BoxFuture<'_, Result<Repositories>> {
        Box::pin(ready(self.open_now()))
    }
}
