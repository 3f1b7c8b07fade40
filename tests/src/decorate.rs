//! Puts one piece of code around every read and every write of a store.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Activity, Added, Agent, AgentChange, AgentConfig, AgentConfigs, AgentId, Agents, AnswerCounts,
    ConfigFile, ConfigProblem, Image, LogEnd, Member, Message, MessageId, Messages, NewAgent,
    NewMessage, NewRoom, Page, ReadPosition, ReadPositions, RecentEvent, Repositories, Result,
    Room, RoomChange, RoomId, Rooms, Session, Sessions, UserId,
};
use futures_util::{FutureExt, future::BoxFuture};

/// What happens around each call.
pub trait Around: Send + Sync + 'static {
    /// Answers a read, which it does by awaiting it.
    fn read<'a, T: Send + 'a>(
        &'a self,
        read: BoxFuture<'a, Result<T>>,
    ) -> impl Future<Output = Result<T>> + Send;

    /// The same for a write, which goes on without its caller where it is spawned.
    fn write<T: Send + 'static>(
        &self,
        write: BoxFuture<'static, Result<T>>,
    ) -> impl Future<Output = Result<T>> + Send;
}

struct Decorated<A> {
    inner: Repositories,
    around: Arc<A>,
}

/// `inner` with `around` at every read and write; settling and health are those of `inner`.
pub fn decorate(inner: Repositories, around: Arc<impl Around>) -> Repositories {
    let (settle, health) = (inner.settle.clone(), inner.health.clone());
    let decorated = Arc::new(Decorated { inner, around });
    Repositories {
        agents: decorated.clone(),
        configs: decorated.clone(),
        rooms: decorated.clone(),
        messages: decorated.clone(),
        read_positions: decorated.clone(),
        sessions: decorated,
        settle,
        health,
    }
}

macro_rules! decorate {
    ($($port:ident of $field:ident
        reads { $($read:ident($($asked:ident: $of:ty),*) -> $seen:ty;)* }
        writes { $($write:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* }
    )*) => {$(
        #[async_trait]
        impl<A: Around> $port for Decorated<A> {
            $(async fn $read(&self, $($asked: $of),*) -> Result<$seen> {
                self.around.read(async move { self.inner.$field.$read($($asked),*).await }.boxed()).await
            })*

            $(async fn $write(&self, $($arg: $type),*) -> Result<$answer> {
                let port = self.inner.$field.clone();
                self.around.write(async move { port.$write($($arg),*).await }.boxed()).await
            })*
        }
    )*};
}

decorate! {
    Agents of agents
    reads {
        find(id: AgentId) -> Option<Arc<Agent>>;
        find_many(ids: &[AgentId]) -> Vec<Arc<Agent>>;
        list() -> Vec<Arc<Agent>>;
        // It borrows what it needs, and so cannot go on alone.
        adopt(path: &str) -> Arc<Agent>;
    }
    writes {
        create(new: NewAgent) -> Arc<Agent>;
        update(id: AgentId, change: AgentChange) -> Arc<Agent>;
        delete(id: AgentId) -> ();
    }
    AgentConfigs of configs
    reads {
        find(id: AgentId) -> Option<Arc<AgentConfig>>;
        find_many(ids: &[AgentId]) -> Vec<(AgentId, Arc<AgentConfig>)>;
        find_again(ids: &[AgentId]) -> Vec<(AgentId, Arc<AgentConfig>)>;
        picture(id: AgentId) -> Option<Arc<[u8]>>;
        list() -> Vec<ConfigFile>;
        changed(ids: &[AgentId]) -> Vec<AgentId>;
        watch() -> Vec<AgentId>;
        problems() -> Vec<ConfigProblem>;
    }
    writes {
        save(id: AgentId, config: AgentConfig) -> Arc<AgentConfig>;
        append_memory(id: AgentId, event: RecentEvent) -> Arc<AgentConfig>;
        reload(id: AgentId) -> Arc<AgentConfig>;
    }
    Rooms of rooms
    reads {
        find(id: RoomId) -> Option<Arc<Room>>;
        find_many(ids: &[RoomId]) -> Vec<Arc<Room>>;
        list() -> Vec<Arc<Room>>;
        list_by_owner(owner: &UserId) -> Vec<Arc<Room>>;
        find_direct(owner: &UserId, agent: AgentId) -> Option<Arc<Room>>;
        members(room: RoomId) -> Arc<[Member]>;
        activity(room: RoomId) -> Option<Arc<Activity>>;
        activities(rooms: &[RoomId]) -> Vec<(RoomId, Arc<Activity>)>;
    }
    writes {
        create(new: NewRoom) -> Arc<Room>;
        create_direct(owner: UserId, agent: AgentId) -> Arc<Room>;
        update(id: RoomId, change: RoomChange) -> Arc<Room>;
        delete(id: RoomId) -> ();
        add_member(room: RoomId, agent: AgentId) -> Added;
        remove_member(room: RoomId, agent: AgentId) -> ();
    }
    Messages of messages
    reads {
        recent(room: RoomId, before: Option<MessageId>, limit: usize) -> Page;
        since(room: RoomId, after: MessageId, limit: usize) -> Page;
        by_authors(room: RoomId, authors: &[AgentId], after: MessageId, limit: usize) -> Vec<Arc<Message>>;
        since_answer(room: RoomId, agent: AgentId, limit: usize) -> Vec<Arc<Message>>;
        answer_counts(room: RoomId) -> Option<Arc<AnswerCounts>>;
        end(room: RoomId, limit: usize) -> Option<LogEnd>;
        images(room: RoomId, messages: &[MessageId]) -> Vec<(MessageId, Arc<Image>)>;
    }
    writes {
        append(new: NewMessage) -> Arc<Message>;
        clear(room: RoomId) -> u64;
    }
    ReadPositions of read_positions
    reads {
        find(user: &UserId, room: RoomId) -> Option<Arc<ReadPosition>>;
        find_many(user: &UserId, rooms: &[RoomId]) -> Vec<Arc<ReadPosition>>;
    }
    writes {
        mark(user: UserId, room: RoomId) -> Arc<ReadPosition>;
    }
    Sessions of sessions
    reads {
        list(room: RoomId) -> Arc<[Session]>;
    }
    writes {
        save(room: RoomId, agent: AgentId, session_id: String) -> ();
    }
}
