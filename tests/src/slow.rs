//! A store whose answers take their time, so that what overlaps rarely overlaps often.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    Activity, Added, Agent, AgentChange, AgentConfig, AgentConfigs, AgentId, Agents, Answers, ConfigFile, Image, LogEnd, Member, Message,
    MessageId, Messages, NewAgent, NewMessage, NewRoom, ReadPosition, ReadPositions, RecentEvent, Repositories, Result, Room, RoomChange,
    RoomId, Rooms, Session, Sessions, UserId,
};

use crate::random::Random;

struct Slow {
    inner: Repositories,
    random: Random,
    most: Duration,
}

/// `inner`, where every other read and write, by chance, waits for a random time up to `most` after it was done and
/// before it is answered.
pub fn slow(inner: Repositories, most: Duration, seed: u64) -> Repositories {
    let (settle, health) = (inner.settle.clone(), inner.health.clone());
    let slow = Arc::new(Slow { inner, random: Random::new(seed), most });
    Repositories {
        agents: slow.clone(),
        configs: slow.clone(),
        rooms: slow.clone(),
        messages: slow.clone(),
        reads: slow.clone(),
        sessions: slow,
        settle,
        health,
    }
}

impl Slow {
    async fn wait(&self) {
        if self.random.percent(50) {
            return;
        }
        let micros = usize::try_from(self.most.as_micros()).expect("it is short");
        tokio::time::sleep(Duration::from_micros(self.random.below(micros + 1) as u64)).await;
    }
}

macro_rules! slow {
    ($($port:ident of $field:ident { $($method:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* })*) => {$(
        #[async_trait]
        impl $port for Slow {
            $(async fn $method(&self, $($arg: $type),*) -> Result<$answer> {
                let answer = self.inner.$field.$method($($arg),*).await;
                self.wait().await;
                answer
            })*
        }
    )*};
}

slow! {
    Agents of agents {
        find(id: AgentId) -> Option<Arc<Agent>>;
        find_many(ids: &[AgentId]) -> Vec<Arc<Agent>>;
        list() -> Vec<Arc<Agent>>;
        create(new: NewAgent) -> Arc<Agent>;
        adopt(path: &str) -> Arc<Agent>;
        update(id: AgentId, change: AgentChange) -> Arc<Agent>;
        delete(id: AgentId) -> ();
    }
    AgentConfigs of configs {
        find(id: AgentId) -> Option<Arc<AgentConfig>>;
        find_many(ids: &[AgentId]) -> Vec<(AgentId, Arc<AgentConfig>)>;
        picture(id: AgentId) -> Option<Arc<[u8]>>;
        save(id: AgentId, config: AgentConfig) -> Arc<AgentConfig>;
        append_memory(id: AgentId, event: RecentEvent) -> Arc<AgentConfig>;
        reload(id: AgentId) -> Arc<AgentConfig>;
        list() -> Vec<ConfigFile>;
    }
    Rooms of rooms {
        find(id: RoomId) -> Option<Arc<Room>>;
        find_many(ids: &[RoomId]) -> Vec<Arc<Room>>;
        list() -> Vec<Arc<Room>>;
        list_by_owner(owner: &UserId) -> Vec<Arc<Room>>;
        find_direct(owner: &UserId, agent: AgentId) -> Option<Arc<Room>>;
        create(new: NewRoom) -> Arc<Room>;
        create_direct(owner: UserId, agent: AgentId) -> Arc<Room>;
        update(id: RoomId, change: RoomChange) -> Arc<Room>;
        delete(id: RoomId) -> ();
        members(room: RoomId) -> Arc<[Member]>;
        add_member(room: RoomId, agent: AgentId) -> Added;
        remove_member(room: RoomId, agent: AgentId) -> ();
        activity(room: RoomId) -> Option<Arc<Activity>>;
        activities(rooms: &[RoomId]) -> Vec<(RoomId, Arc<Activity>)>;
    }
    Messages of messages {
        recent(room: RoomId, before: Option<MessageId>, limit: usize) -> Vec<Arc<Message>>;
        since(room: RoomId, after: MessageId, limit: usize) -> Vec<Arc<Message>>;
        by_authors(room: RoomId, authors: &[AgentId], after: MessageId, limit: usize) -> Vec<Arc<Message>>;
        since_answer(room: RoomId, agent: AgentId, limit: usize) -> Vec<Arc<Message>>;
        answers(room: RoomId) -> Option<Arc<Answers>>;
        end(room: RoomId, limit: usize) -> Option<LogEnd>;
        images(room: RoomId, messages: &[MessageId]) -> Vec<(MessageId, Arc<Image>)>;
        append(new: NewMessage) -> Arc<Message>;
        clear(room: RoomId) -> u64;
    }
    ReadPositions of reads {
        find(user: &UserId, room: RoomId) -> Option<Arc<ReadPosition>>;
        find_many(user: &UserId, rooms: &[RoomId]) -> Vec<Arc<ReadPosition>>;
        mark(user: UserId, room: RoomId) -> Arc<ReadPosition>;
    }
    Sessions of sessions {
        list(room: RoomId) -> Arc<[Session]>;
        save(room: RoomId, agent: AgentId, session_id: String) -> ();
    }
}
