//! What is kept of a room's log and appended to on write: its newest messages, its activity, how often agents answered.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use cache_core::Fold;
use domain::{Activity, AgentId, AnswerCounts, LogEnd, Message, MessageId, Page, Seq};

/// Messages that a fill reads: what a browser shows at first.
pub(crate) const FILL: usize = 200;
/// What a message weighs besides its texts: itself, and field names and the like in the two texts on the wire.
const MESSAGE_BYTES: usize = size_of::<Message>() + 96 + 2 * 350;

/// How much is kept of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailLimits {
    /// Most messages, at least 200.
    pub messages: usize,
    /// Most bytes, which may leave fewer messages than 200.
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

/// The newest messages of a room.
#[derive(Clone, Debug)]
pub(crate) struct Newest {
    limits: TailLimits,
    /// Everything above this id is here; 0 when the whole room is.
    after: MessageId,
    rows: BTreeMap<MessageId, Arc<Message>>,
    /// The greatest id of them.
    last: Option<MessageId>,
    bytes: usize,
    /// The page that was read last: what is new since the message before is asked for by every open tab.
    read: RefCell<Option<(Asked, Page)>>,
}

/// What makes two pages of one copy the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Since(MessageId, usize),
    Recent(Option<MessageId>, usize),
}

impl Newest {
    pub(crate) fn new(limits: TailLimits, end: LogEnd) -> (u64, Self) {
        let is_whole = end.messages.len() < FILL;
        let after = end
            .messages
            .first()
            .filter(|_| !is_whole)
            .map_or(MessageId(0), |first| MessageId(first.id.0 - 1));
        let mut newest = Self {
            limits,
            after,
            rows: BTreeMap::new(),
            last: None,
            bytes: 0,
            read: RefCell::default(),
        };
        end.messages
            .into_iter()
            .for_each(|message| newest.push(message));
        (place(end.last_seq), newest)
    }

    fn push(&mut self, message: Arc<Message>) {
        *self.read.get_mut() = None;
        self.bytes += bytes(&message);
        self.last = self.last.max(Some(message.id));
        self.rows.insert(message.id, message);
        while self.rows.len() > self.limits.messages.max(FILL) || self.bytes > self.limits.bytes {
            let Some((id, oldest)) = self.rows.pop_first() else {
                return;
            };
            self.after = id;
            self.bytes -= bytes(&oldest);
        }
    }

    /// The oldest `limit` above `after`, if that is inside or at the end.
    pub(crate) fn since(&self, after: MessageId, limit: usize) -> Option<Page> {
        // As nearly every poll asks, which need not search.
        if self.last.is_some_and(|last| after >= last) {
            return Some(Page::default());
        }
        self.page(Asked::Since(after, limit), || {
            let above = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
            (after >= self.after).then(|| {
                self.rows
                    .range(above)
                    .take(limit)
                    .map(|(_, message)| message.clone())
                    .collect()
            })
        })
    }

    /// The newest `limit` below `before`, if they are all here.
    pub(crate) fn recent(&self, before: Option<MessageId>, limit: usize) -> Option<Page> {
        self.page(Asked::Recent(before, limit), || {
            let below = self.rows.range(..before.unwrap_or(MessageId(i64::MAX)));
            let found = newest_first(below.map(|(_, message)| message).rev().take(limit));
            (found.len() == limit || self.is_whole()).then(|| found.into())
        })
    }

    /// The same page for whoever asks for the same, until the next message.
    fn page(&self, asked: Asked, make: impl FnOnce() -> Option<Page>) -> Option<Page> {
        let mut read = self.read.borrow_mut();
        if let Some((before, page)) = &*read
            && *before == asked
        {
            return Some(page.clone());
        }
        let page = make()?;
        // A longer one would be dropped under the log's lock.
        if page.len() <= FILL {
            *read = Some((asked, page.clone()));
        }
        Some(page)
    }

    /// The newest `limit` after the agent's own last message and above the place `from`, if they are all here.
    pub(crate) fn since_answer(
        &self,
        agent: AgentId,
        from: Seq,
        limit: usize,
    ) -> Option<Vec<Arc<Message>>> {
        let is_unanswered =
            |message: &&Arc<Message>| message.author != Some(agent) && message.seq > from;
        let found = newest_first(
            self.rows
                .values()
                .rev()
                .take_while(is_unanswered)
                .take(limit),
        );
        let first = self
            .rows
            .values()
            .next()
            .map_or(Seq(i64::MAX), |first| first.seq);
        let is_complete = found.len() < self.rows.len()
            || found.len() == limit
            || self.is_whole()
            || from.0 >= first.0 - 1;
        is_complete.then_some(found)
    }

    fn is_whole(&self) -> bool {
        self.after == MessageId(0)
    }
}

impl Fold for Newest {
    type Entry = Arc<Message>;

    fn apply(&mut self, _: u64, message: &Arc<Message>) {
        self.push(message.clone());
    }

    fn weight(&self) -> u32 {
        u32::try_from(size_of::<Self>() + self.bytes).unwrap_or(u32::MAX)
    }
}

/// What changes of a room with each message.
#[derive(Clone, Debug)]
pub(crate) struct Lately(pub(crate) Arc<Activity>);

impl Fold for Lately {
    type Entry = Arc<Message>;

    fn apply(&mut self, _: u64, message: &Arc<Message>) {
        let activity = Arc::make_mut(&mut self.0);
        activity.last_seq = message.seq;
        activity.last_message_seq = message.seq;
        if message.is_from_user() {
            activity.last_user_seq = message.seq;
        }
        if message.is_activity() {
            activity.last_activity_at = Some(message.timestamp);
        }
    }
}

/// How often each agent answered.
#[derive(Clone, Debug)]
pub(crate) struct Tally(pub(crate) Arc<AnswerCounts>);

impl Fold for Tally {
    type Entry = Arc<Message>;

    fn apply(&mut self, _: u64, message: &Arc<Message>) {
        let answers = Arc::make_mut(&mut self.0);
        answers.last_seq = message.seq;
        if let Some(author) = message.author {
            *answers.by_agent.entry(author).or_default() += 1;
        }
    }
}

/// A place in a room's log as the cache counts it.
pub(crate) fn place(seq: Seq) -> u64 {
    u64::try_from(seq.0).unwrap_or(0)
}

/// The highest place of messages that come oldest first; 0 if there are none.
pub(crate) fn last_place(messages: &[Arc<Message>]) -> u64 {
    messages.last().map_or(0, |message| place(message.seq))
}

fn newest_first<'a>(messages: impl Iterator<Item = &'a Arc<Message>>) -> Vec<Arc<Message>> {
    let mut found: Vec<_> = messages.cloned().collect();
    found.reverse();
    found
}

/// A message's texts count three times: its text on the wire is kept beside it, and once more in that of a page.
fn bytes(message: &Message) -> usize {
    let calls = message
        .anthropic_calls
        .iter()
        .flat_map(|calls| calls.iter());
    let texts = [
        Some(&message.content),
        message.thinking.as_ref(),
        message.participant_name.as_ref(),
    ];
    MESSAGE_BYTES
        + texts
            .into_iter()
            .flatten()
            .chain(calls)
            .map(|text| text.len() + 2 * on_the_wire(text))
            .sum::<usize>()
}

/// The most that a text takes in JSON.
fn on_the_wire(text: &str) -> usize {
    let escaped = text
        .bytes()
        .filter(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\'))
        .count();
    text.len() + 5 * escaped
}
