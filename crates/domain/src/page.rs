//! [`Page`], a list of messages that is shared without copying.

use std::{ops::Deref, sync::Arc};

use crate::Message;

/// Messages of one room, oldest first. A clone shares the allocation and only increments a
/// reference count. The empty page allocates nothing.
///
/// ```
/// let page = domain::Page::default();
/// assert!(page.is_empty() && page.shared().is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page(Option<Arc<[Arc<Message>]>>);

impl Page {
    /// Returns the shared allocation; `None` for the empty page.
    ///
    /// Two pages with the same pointer hold the same messages, because a page never changes. A
    /// caller can keep a [`Weak`](std::sync::Weak) pointer to recognize the page later.
    pub fn shared(&self) -> Option<&Arc<[Arc<Message>]>> {
        self.0.as_ref()
    }
}

impl Deref for Page {
    type Target = [Arc<Message>];

    fn deref(&self) -> &[Arc<Message>] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl From<Vec<Arc<Message>>> for Page {
    fn from(messages: Vec<Arc<Message>>) -> Self {
        Self((!messages.is_empty()).then(|| messages.into()))
    }
}

impl FromIterator<Arc<Message>> for Page {
    fn from_iter<I: IntoIterator<Item = Arc<Message>>>(messages: I) -> Self {
        Vec::from_iter(messages).into()
    }
}

impl<'a> IntoIterator for &'a Page {
    type Item = &'a Arc<Message>;
    type IntoIter = std::slice::Iter<'a, Arc<Message>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
