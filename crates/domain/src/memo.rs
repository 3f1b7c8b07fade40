//! What a reader made of a shared value, kept beside it.

use std::{any::Any, fmt, ops::Deref, sync::OnceLock};

/// A place for what a reader makes of an immutable value once, such as its text on the wire. It lives as long as the
/// value. It takes no part in equality, and a clone begins empty, so that a changed copy never carries what was made of
/// the original.
///
/// ```
/// let memo = domain::Memo::default();
/// assert_eq!(*memo.get_or_make(|| "once".to_owned()), "once");
/// assert_eq!(*memo.get_or_make(|| "twice".to_owned()), "once");
/// assert_eq!(*memo.get_or_make(|| 3), 3, "of another type: its own each time");
/// ```
#[derive(Default)]
pub struct Memo(OnceLock<Box<dyn Any + Send + Sync>>);

/// What was made of a value.
#[derive(Debug)]
pub enum Made<'a, T> {
    /// It is kept beside the value.
    Kept(&'a T),
    /// The place was taken by another type.
    Own(Box<T>),
}

impl Memo {
    /// What was made before, or what `make` makes now. A second reader that makes another type gets its own each time.
    pub fn get_or_make<T: Send + Sync + 'static>(&self, make: impl Fn() -> T) -> Made<'_, T> {
        // Of two at a time one makes it, and the other waits.
        let kept = self.0.get_or_init(|| Box::new(make())).downcast_ref();
        kept.map_or_else(|| Made::Own(Box::new(make())), Made::Kept)
    }
}

impl<T> Deref for Made<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Kept(made) => made,
            Self::Own(made) => made,
        }
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
