//! What a reader made of a shared value, kept beside it.

use std::{
    any::Any,
    fmt,
    sync::{Arc, OnceLock},
};

/// A place for what a reader makes of an immutable value once, such as its text on the wire. It lives as long as the
/// value. It takes no part in equality, and a clone begins empty, so that a changed copy never carries what was made of
/// the original.
///
/// ```
/// let memo = domain::Memo::default();
/// assert_eq!(*memo.get_or_make(|| "once".to_owned()), "once");
/// assert_eq!(*memo.get_or_make(|| "twice".to_owned()), "once");
/// ```
#[derive(Default)]
pub struct Memo(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Memo {
    /// What was made before, or what `make` makes now. A second reader that makes another type gets its own each time.
    pub fn get_or_make<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(made) = self.0.get() {
            return made.clone().downcast().unwrap_or_else(|_| Arc::new(make()));
        }
        let fresh = Arc::new(make());
        // Somebody may have been faster: both made the same of the same value.
        let _ = self.0.set(fresh.clone());
        fresh
    }
}

impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Memo {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Memo {}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}
