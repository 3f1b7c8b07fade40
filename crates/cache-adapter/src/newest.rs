//! [`NewestMessages`], the cached copy of the newest part of a room's log. Most polls for new
//! messages are served from it.

use std::{cell::RefCell, collections::BTreeMap, ops::Bound, sync::Arc};

use cache_core::Fold;
use domain::{AgentId, LogEnd, Message, MessageId, Page, Seq};

use crate::log_copies::log_seq;

/// The number of messages that a fill reads. It is the number that a browser shows at first.
pub(crate) const FILL: usize = 200;
/// The size of a message without its texts, in bytes: the struct, and 96 bytes for the reference
/// counts of its `Arc`, its node in the map and its pointer in a page.
const MESSAGE_BYTES: usize = size_of::<Message>() + 96;

/// The limits of the part of each room's log that is kept in memory. When a limit is exceeded, the
/// oldest messages are dropped.
///
/// ```
/// use cache_adapter::{Options, TailLimits};
///
/// let tail = TailLimits { messages: 500, ..TailLimits::default() };
/// let options = Options { tail, ..Options::default() };
/// assert_eq!(options.tail.bytes, 4 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailLimits {
    /// The maximum number of messages. Values below 200 have the same effect as 200.
    pub messages: usize,
    /// The maximum size of the messages with their texts, in bytes. If messages are long, this
    /// limit may leave fewer than 200 of them.
    pub bytes: usize,
}

impl Default for TailLimits {
    fn default() -> Self {
        Self {
            messages: 1_000,
            bytes: 4 << 20,
        }
    }
}

/// A copy of the newest part of a room's log.
#[derive(Clone, Debug)]
pub(crate) struct NewestMessages {
    limits: TailLimits,
    /// All messages of the room with ids above this one are in `messages`. 0 if `messages` holds
    /// the whole log.
    complete_above: MessageId,
    messages: BTreeMap<MessageId, Arc<Message>>,
    /// The greatest id in `messages`. It is stored separately so that most polls need no search.
    last: Option<MessageId>,
    bytes: usize,
    /// The page that was read last. It is kept because all open tabs of a room ask for the messages
    /// after the same id.
    last_page: RefCell<Option<(PageQuery, Page)>>,
}

/// The method and arguments of a read. Equal queries return equal pages until a message is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageQuery {
    Since(MessageId, usize),
    Recent(Option<MessageId>, usize),
}

impl NewestMessages {
    /// Creates the copy from `end`, the part of the log that a fill has read. Returns the log's
    /// last sequence number, and the copy.
    pub(crate) fn new(limits: TailLimits, end: LogEnd) -> (u64, Self) {
        let is_whole = end.messages.len() < FILL;
        let complete_above = end
            .messages
            .first()
            .filter(|_| !is_whole)
            .map_or(MessageId(0), |first| MessageId(first.id.0 - 1));
        let mut newest = Self {
            limits,
            complete_above,
            messages: BTreeMap::new(),
            last: None,
            bytes: 0,
            last_page: RefCell::default(),
        };
        end.messages
            .into_iter()
            .for_each(|message| newest.push(message));
        (log_seq(end.last_seq), newest)
    }

    fn push(&mut self, message: Arc<Message>) {
        *self.last_page.get_mut() = None;
        self.bytes += bytes(&message);
        self.last = self.last.max(Some(message.id));
        self.messages.insert(message.id, message);
        while self.is_over_limits() {
            let Some((id, oldest)) = self.messages.pop_first() else {
                return;
            };
            self.complete_above = id;
            self.bytes -= bytes(&oldest);
        }
    }

    fn is_over_limits(&self) -> bool {
        self.messages.len() > self.limits.messages.max(FILL) || self.bytes > self.limits.bytes
    }

    /// Returns the least id after which the room has no message.
    pub(crate) fn end(&self) -> MessageId {
        self.last.unwrap_or(self.complete_above)
    }

    /// Returns the oldest `limit` messages with ids above `after`. Returns `None` if some of them
    /// may be missing from the copy.
    pub(crate) fn since(&self, after: MessageId, limit: usize) -> Option<Page> {
        // The fast path: nearly every poll finds no new message.
        if after >= self.end() {
            return Some(Page::default());
        }
        self.page(PageQuery::Since(after, limit), || {
            let above = (Bound::Excluded(after), Bound::Unbounded);
            (after >= self.complete_above).then(|| {
                self.messages
                    .range(above)
                    .take(limit)
                    .map(|(_, message)| message.clone())
                    .collect()
            })
        })
    }

    /// Returns the newest `limit` messages with ids below `before`, or the newest of all if
    /// `before` is `None`. Returns `None` if some of them may be missing from the copy.
    pub(crate) fn recent(&self, before: Option<MessageId>, limit: usize) -> Option<Page> {
        self.page(PageQuery::Recent(before, limit), || {
            let below = self.messages.range(..before.unwrap_or(MessageId(i64::MAX)));
            let found = oldest_first(below.map(|(_, message)| message).rev().take(limit));
            (found.len() == limit || self.is_whole()).then(|| found.into())
        })
    }

    /// Returns the last page if `query` is the last query, and otherwise the page that `read`
    /// returns.
    ///
    /// Callers that get the same page can also share the values that they derive from it, such as
    /// its JSON.
    fn page(&self, query: PageQuery, read: impl FnOnce() -> Option<Page>) -> Option<Page> {
        let mut last_page = self.last_page.borrow_mut();
        if let Some((last_query, page)) = &*last_page
            && *last_query == query
        {
            return Some(page.clone());
        }
        let page = read()?;
        // A longer page is not kept. Replacing it later would drop many messages, one by one, while
        // the copy is locked.
        if page.len() <= FILL {
            *last_page = Some((query, page.clone()));
        }
        Some(page)
    }

    /// Returns the newest `limit` messages that are after the agent's own last message and above
    /// sequence number `joined`. Returns `None` if some of them may be missing from the copy.
    pub(crate) fn since_answer(
        &self,
        agent: AgentId,
        joined: Seq,
        limit: usize,
    ) -> Option<Vec<Arc<Message>>> {
        let is_unanswered =
            |message: &&Arc<Message>| message.author != Some(agent) && message.seq > joined;
        let found = oldest_first(
            self.messages
                .values()
                .rev()
                .take_while(is_unanswered)
                .take(limit),
        );
        let first = self
            .messages
            .values()
            .next()
            .map_or(Seq(i64::MAX), |first| first.seq);
        let is_complete = found.len() < self.messages.len()
            || found.len() == limit
            || self.is_whole()
            || joined.0 >= first.0 - 1;
        is_complete.then_some(found)
    }

    fn is_whole(&self) -> bool {
        self.complete_above == MessageId(0)
    }
}

impl Fold for NewestMessages {
    type Entry = Arc<Message>;

    fn apply(&mut self, _: u64, message: &Arc<Message>) {
        self.push(message.clone());
    }

    fn weight(&self) -> u32 {
        u32::try_from(size_of::<Self>() + self.bytes).unwrap_or(u32::MAX)
    }
}

fn oldest_first<'a>(newest_first: impl Iterator<Item = &'a Arc<Message>>) -> Vec<Arc<Message>> {
    let mut found: Vec<_> = newest_first.cloned().collect();
    found.reverse();
    found
}

/// Returns the size of a message in memory, in bytes.
fn bytes(message: &Message) -> usize {
    let calls = message.anthropic_calls.iter().flatten();
    let texts = [
        Some(&message.content),
        message.thinking.as_ref(),
        message.participant_name.as_ref(),
    ];
    let texts = texts.into_iter().flatten().chain(calls).map(String::len);
    MESSAGE_BYTES + texts.sum::<usize>()
}
