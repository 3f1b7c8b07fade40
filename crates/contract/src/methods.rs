//! The only table of port methods. Decorators, tables and tests that cover every method are
//! generated from this table or compared with it, so that a new method cannot be forgotten.

use crate::method::{Access, PortMethod};

/// Passes the table to the macro `$callback`.
///
/// A line consists of the access, the method with its arguments, and the type of the value in `Ok`.
/// `wait` marks a read that may wait for other tasks forever. The decorator, which implements every
/// port, is generated from this table, so a missing or wrong line does not compile.
macro_rules! for_each_port_method {
    ($callback:ident) => {
        $callback! {
            Agents in agents {
                read  find(id: AgentId) -> Option<Arc<Agent>>;
                read  find_named(name: &AgentName) -> Option<Arc<Agent>>;
                read  find_many(ids: &[AgentId]) -> Vec<Arc<Agent>>;
                read  list(after: Option<AgentId>, limit: usize) -> Vec<Arc<Agent>>;
                write create(new: NewAgent) -> Arc<Agent>;
                write update(id: AgentId, change: AgentChange) -> Arc<Agent>;
                write delete(id: AgentId) -> ();
            }
            AgentConfigs in configs {
                read  find(id: AgentId) -> Option<Arc<AgentConfig>>;
                read  find_many(ids: &[AgentId]) -> Vec<(AgentId, Arc<AgentConfig>)>;
                read  picture(id: AgentId) -> Option<Arc<[u8]>>;
                write save(id: AgentId, config: AgentConfig) -> Arc<AgentConfig>;
                write append_memory(id: AgentId, event: RecentEvent) -> Arc<AgentConfig>;
            }
            AgentFiles in files {
                read  find_again(ids: &[AgentId]) -> Vec<(AgentId, Arc<AgentConfig>)>;
                write adopt(path: &str) -> Arc<Agent>;
                write reload(id: AgentId) -> Arc<AgentConfig>;
                read  list() -> Vec<ConfigFile>;
                read  changed(ids: &[AgentId]) -> Vec<AgentId>;
                wait  watch() -> Vec<AgentId>;
                read  problems() -> Vec<ConfigProblem>;
            }
            Memories in memories {
                read  list(agent: AgentId, owner: &UserId) -> Arc<[RecentEvent]>;
                write append(
                    agent: AgentId, owner: UserId, event: RecentEvent, most: usize
                ) -> Arc<[RecentEvent]>;
                write forget(owner: UserId, agent: Option<AgentId>) -> u64;
            }
            Rooms in rooms {
                read  find(id: RoomId) -> Option<Arc<Room>>;
                read  find_many(ids: &[RoomId]) -> Vec<Arc<Room>>;
                read  list(after: Option<RoomId>, limit: usize) -> Vec<Arc<Room>>;
                read  list_by_owner(
                    owner: &UserId, after: Option<RoomId>, limit: usize
                ) -> Vec<Arc<Room>>;
                read  find_direct(owner: &UserId, agent: AgentId) -> Option<Arc<Room>>;
                write create(new: NewRoom) -> Arc<Room>;
                write create_direct(owner: UserId, agent: AgentId) -> Arc<Room>;
                write update(id: RoomId, change: RoomChange) -> Arc<Room>;
                write delete(id: RoomId) -> ();
                read  members(room: RoomId) -> Arc<[Member]>;
                write add_member(room: RoomId, agent: AgentId) -> Added;
                write remove_member(room: RoomId, agent: AgentId) -> ();
                read  activity(room: RoomId) -> Option<Arc<Activity>>;
                read  activities(rooms: &[RoomId]) -> Vec<(RoomId, Arc<Activity>)>;
            }
            Messages in messages {
                read  recent(room: RoomId, before: Option<MessageId>, limit: usize) -> Page;
                read  since(room: RoomId, after: MessageId, limit: usize) -> Page;
                read  by_authors(
                    room: RoomId, authors: &[AgentId], after: Option<MessageId>, limit: usize
                ) -> Vec<Arc<Message>>;
                read  since_answer(
                    room: RoomId, agent: AgentId, limit: usize
                ) -> Vec<Arc<Message>>;
                read  answer_counts(room: RoomId) -> Option<Arc<AnswerCounts>>;
                read  end(room: RoomId, limit: usize) -> Option<LogEnd>;
                read  images(
                    room: RoomId, messages: &[MessageId]
                ) -> Vec<(MessageId, Arc<Image>)>;
                read  image_bytes(owner: &UserId) -> u64;
                read  removals(room: RoomId, after: Seq, limit: usize) -> Vec<Removal>;
                read  find_sent(user: &UserId, key: &str) -> Option<Sent>;
                write append(new: NewMessage) -> Arc<Message>;
                write remove(room: RoomId, message: MessageId) -> ();
                write clear(room: RoomId) -> u64;
            }
            ReadPositions in read_positions {
                read  find(user: &UserId, room: RoomId) -> Option<Arc<ReadPosition>>;
                read  find_many(user: &UserId, rooms: &[RoomId]) -> Vec<Arc<ReadPosition>>;
                write mark(user: UserId, room: RoomId) -> Arc<ReadPosition>;
            }
            Sessions in sessions {
                read  list(room: RoomId) -> Arc<[Session]>;
                write save(room: RoomId, agent: AgentId, session_id: String) -> ();
            }
            UsageLog in usage {
                write add(record: UsageRecord) -> ();
                read  tokens(day: NaiveDate, owner: Option<UserId>) -> u64;
                read  sums(
                    key: UsageKey, since: NaiveDate, owner: Option<UserId>, limit: usize
                ) -> Vec<UsageSum>;
            }
            Settle in settle {
                read  settle() -> ();
            }
            Health in health {
                read  check() -> ();
            }
        }
    };
}

macro_rules! list_methods {
    ($($port:ident in $field:ident {
        $($access:ident $method:ident($($arg:ident: $type:ty),*) -> $output:ty;)*
    })*) => {
        /// Every method of every port, in the order of `domain::ports`.
        ///
        /// Compare your own tables with this one. A test of yours then fails for a new method until
        /// its row is added:
        ///
        /// ```
        /// use contract::{Access, PORT_METHODS};
        ///
        /// let mut writes = PORT_METHODS.iter().filter(|method| method.access == Access::Write);
        /// assert_eq!(writes.next().map(|method| method.name), Some("Agents::create"));
        /// ```
        pub const PORT_METHODS: &[PortMethod] = &[$($(PortMethod {
            name: concat!(stringify!($port), "::", stringify!($method)),
            port: stringify!($port),
            call: concat!(stringify!($field), ".", stringify!($method)),
            access: access!($access),
        },)*)*];
    };
}

macro_rules! access {
    (read) => {
        Access::Read
    };
    (wait) => {
        Access::Wait
    };
    (write) => {
        Access::Write
    };
}

for_each_port_method! { list_methods }

pub(crate) use for_each_port_method;
