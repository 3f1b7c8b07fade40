//! Messages that were read together.

use std::{ops::Deref, sync::Arc};

use crate::{Memo, Message};

/// Messages of a room, oldest first. A clone is the same page, and what its readers made of it is made once for all who
/// share it. The empty page allocates nothing.
///
/// ```
/// let page = domain::Page::default();
/// assert!(page.is_empty() && page.memo().is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page(Option<Arc<Shared>>);

#[derive(Debug, PartialEq, Eq)]
struct Shared {
    messages: Vec<Arc<Message>>,
    memo: Memo,
}

impl Page {
    /// What its readers made of it. There is nothing to make of the empty page.
    pub fn memo(&self) -> Option<&Memo> {
        self.0.as_deref().map(|shared| &shared.memo)
    }
}

impl Deref for Page {
    type Target = [Arc<Message>];

    fn deref(&self) -> &[Arc<Message>] {
        self.0.as_deref().map_or(&[], |shared| &shared.messages)
    }
}

impl From<Vec<Arc<Message>>> for Page {
    fn from(messages: Vec<Arc<Message>>) -> Self {
        Self((!messages.is_empty()).then(|| {
            Arc::new(Shared {
                messages,
                memo: Memo::default(),
            })
        }))
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
