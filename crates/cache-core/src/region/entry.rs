//! An entry as a load or a write returns it: a value with its own TTL and tags.

use std::time::Duration;

use crate::sync::Arc;

/// A name that entries of any keys and regions have in common. They can be invalidated by it.
pub(crate) type Tag = Arc<str>;

/// A value to be stored, with its own TTL and tags if it has some.
///
/// ```
/// # use cache_core::*;
/// # use std::{convert::Infallible, time::Duration};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), LoadError<Infallible>> {
/// # let (clock, hand) = Clock::manual();
/// # let manager = Manager::new(Runtime::tokio_with(clock), Unknown::Never);
/// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
/// let load = || async {
///     let entry = Entry::new("Ada").ttl(Duration::from_secs(5)).tag("engineers");
///     Ok::<_, Infallible>(Some(entry))
/// };
/// names.request(7).load_entry(load).await?;
/// assert_eq!(names.get(&7), Some("Ada"));
/// # hand.advance(Duration::from_secs(5));
/// // Five seconds later:
/// assert_eq!(names.get(&7), None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Entry<V> {
    pub(crate) value: V,
    pub(crate) terms: Terms,
}

/// The TTL and the tags of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// `None`: the TTL of the region.
    pub(crate) ttl: Option<Duration>,
    pub(crate) tags: Vec<Tag>,
}

impl<V> Entry<V> {
    /// Returns an entry with the TTL of its region and without tags.
    pub fn new(value: V) -> Self {
        Self {
            value,
            terms: Terms::default(),
        }
    }

    /// Sets the TTL. Zero: the value is returned to its readers, and not stored.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.terms.ttl = Some(ttl);
        self
    }

    /// Adds a tag. [`Manager::invalidate_tag`](crate::Manager::invalidate_tag) and
    /// [`WriteGuard::tag`](crate::WriteGuard::tag) find the entry by it.
    pub fn tag(mut self, tag: impl Into<Arc<str>>) -> Self {
        self.terms.tags.push(tag.into());
        self
    }
}

impl<V> From<V> for Entry<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}
