//! Every method of every port, how it is called, and a store beneath that gives others a turn in each.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use domain::{
    Activity, Added, Agent, AgentChange, AgentConfig, AgentConfigs, AgentId, AgentName, Agents,
    AnswerCounts, ConfigFile, ConfigProblem, Error, Health, Image, LogEnd, Member, Message,
    MessageId, Messages, NewAgent, NewMessage, NewRoom, Page, Picture, ReadPosition, ReadPositions,
    RecentEvent, Repositories, Result, Room, RoomChange, RoomId, RoomName, Rooms, Session,
    Sessions, Settle, UserId, contract::memory,
};

use testkit::executor::yield_once as pause;

/// A store that gives others a turn before and after each call.
pub(crate) struct Yielding {
    inner: Repositories,
    /// Whether the answers of writes are lost once they are done.
    pub(crate) loses: AtomicBool,
}

/// One method of a port and how it is called.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) is_write: bool,
    /// Whether it waits for what others do, so that it has no answer of its own to compare.
    pub(crate) waits: bool,
    pub(crate) call: fn(Repositories, Arc<Store>) -> Answer,
}

/// What a method answers, printed.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<String>> + Send>>;

macro_rules! ports {
    ($it:ident $($port:ident of $field:ident
        reads { $($read:ident($($asked:ident: $of:ty),*) -> $seen:ty = ($($of_it:expr),*);)* }
        writes { $($write:ident($($arg:ident: $type:ty),*) -> $answer:ty = ($($to_it:expr),*);)* }
        waits { $($wait:ident() -> $told:ty = $tells:expr;)* }
    )*) => {
        $(#[async_trait]
        impl $port for Yielding {
            $(async fn $read(&self, $($asked: $of),*) -> Result<$seen> {
                pause().await;
                let answer = self.inner.$field.$read($($asked),*).await;
                pause().await;
                answer
            })*

            $(async fn $write(&self, $($arg: $type),*) -> Result<$answer> {
                // Its beginning, its statements, its commit.
                for _ in 0..5 {
                    pause().await;
                }
                let answer = self.inner.$field.$write($($arg),*).await;
                pause().await;
                if answer.is_ok() && self.loses.load(Ordering::SeqCst) { Err(Error::unknown("the answer is lost")) } else { answer }
            })*

            // What waits for others would wait for ever here.
            $(async fn $wait(&self) -> Result<$told> {
                pause().await;
                pause().await;
                Ok($tells)
            })*
        })*

        pub(crate) const METHODS: &[Method] = &[$(
            $(Method {
                name: concat!(stringify!($port), "::", stringify!($read)),
                is_write: false,
                waits: false,
                call: |ports, $it| Box::pin(async move { print(&$it, ports.$field.$read($($of_it),*).await) }),
            },)*
            $(Method {
                name: concat!(stringify!($port), "::", stringify!($write)),
                is_write: true,
                waits: false,
                call: |ports, $it| Box::pin(async move { print(&$it, ports.$field.$write($($to_it),*).await) }),
            },)*
            $(Method {
                name: concat!(stringify!($port), "::", stringify!($wait)),
                is_write: false,
                waits: true,
                call: |ports, $it| Box::pin(async move { print(&$it, ports.$field.$wait().await) }),
            },)*
        )*];
    };
}

fn print<T: std::fmt::Debug>(_: &Store, answer: Result<T>) -> Result<String> {
    answer.map(|answer| format!("{answer:?}"))
}

ports! { it
    Agents of agents
    reads {
        find(id: AgentId) -> Option<Arc<Agent>> = (it.agent);
        find_many(ids: &[AgentId]) -> Vec<Arc<Agent>> = (&[it.agent, it.other]);
        list() -> Vec<Arc<Agent>> = ();
    }
    writes {
        create(new: NewAgent) -> Arc<Agent> = (new_agent("Cleo"));
        adopt(path: &str) -> Arc<Agent> = ("Dora/agent.yaml");
        update(id: AgentId, change: AgentChange) -> Arc<Agent> = (it.agent, AgentChange { priority: Some(7), ..AgentChange::default() });
        delete(id: AgentId) -> () = (it.agent);
    }
    waits {}
    AgentConfigs of configs
    reads {
        find(id: AgentId) -> Option<Arc<AgentConfig>> = (it.agent);
        find_many(ids: &[AgentId]) -> Vec<(AgentId, Arc<AgentConfig>)> = (&[it.agent, it.other]);
        find_again(ids: &[AgentId]) -> Vec<(AgentId, Arc<AgentConfig>)> = (&[it.agent, it.other]);
        picture(id: AgentId) -> Option<Arc<[u8]>> = (it.agent);
        list() -> Vec<ConfigFile> = ();
        changed(ids: &[AgentId]) -> Vec<AgentId> = (&[it.agent, it.other]);
        problems() -> Vec<ConfigProblem> = ();
    }
    writes {
        save(id: AgentId, config: AgentConfig) -> Arc<AgentConfig> = (it.agent, AgentConfig { is_critic: true, ..AgentConfig::default() });
        append_memory(id: AgentId, event: RecentEvent) -> Arc<AgentConfig> = (it.agent, RecentEvent { date: None, text: "rain".into() });
        reload(id: AgentId) -> Arc<AgentConfig> = (it.agent);
    }
    waits {
        watch() -> Vec<AgentId> = Vec::new();
    }
    Rooms of rooms
    reads {
        find(id: RoomId) -> Option<Arc<Room>> = (it.room);
        find_many(ids: &[RoomId]) -> Vec<Arc<Room>> = (&[it.room, it.direct]);
        list() -> Vec<Arc<Room>> = ();
        list_by_owner(owner: &UserId) -> Vec<Arc<Room>> = (&it.user);
        find_direct(owner: &UserId, agent: AgentId) -> Option<Arc<Room>> = (&it.user, it.agent);
        members(room: RoomId) -> Arc<[Member]> = (it.room);
        activity(room: RoomId) -> Option<Arc<Activity>> = (it.room);
        activities(rooms: &[RoomId]) -> Vec<(RoomId, Arc<Activity>)> = (&[it.room, it.direct]);
    }
    writes {
        create(new: NewRoom) -> Arc<Room> = (new_room(&it.user, "cake"));
        create_direct(owner: UserId, agent: AgentId) -> Arc<Room> = (it.user.clone(), it.other);
        update(id: RoomId, change: RoomChange) -> Arc<Room> = (it.room, RoomChange { is_paused: Some(true), ..RoomChange::default() });
        delete(id: RoomId) -> () = (it.room);
        add_member(room: RoomId, agent: AgentId) -> Added = (it.room, it.other);
        remove_member(room: RoomId, agent: AgentId) -> () = (it.room, it.agent);
    }
    waits {}
    Messages of messages
    reads {
        recent(room: RoomId, before: Option<MessageId>, limit: usize) -> Page = (it.room, None, 10);
        since(room: RoomId, after: MessageId, limit: usize) -> Page = (it.room, it.message, 10);
        by_authors(room: RoomId, authors: &[AgentId], after: MessageId, limit: usize) -> Vec<Arc<Message>>
            = (it.room, &[it.agent], MessageId(0), 10);
        since_answer(room: RoomId, agent: AgentId, limit: usize) -> Vec<Arc<Message>> = (it.room, it.agent, 10);
        answer_counts(room: RoomId) -> Option<Arc<AnswerCounts>> = (it.room);
        end(room: RoomId, limit: usize) -> Option<LogEnd> = (it.room, 10);
        images(room: RoomId, messages: &[MessageId]) -> Vec<(MessageId, Arc<Image>)> = (it.room, &[it.message]);
    }
    writes {
        append(new: NewMessage) -> Arc<Message> = (NewMessage::from_agent(it.room, it.agent, "well"));
        clear(room: RoomId) -> u64 = (it.room);
    }
    waits {}
    ReadPositions of read_positions
    reads {
        find(user: &UserId, room: RoomId) -> Option<Arc<ReadPosition>> = (&it.user, it.room);
        find_many(user: &UserId, rooms: &[RoomId]) -> Vec<Arc<ReadPosition>> = (&it.user, &[it.room, it.direct]);
    }
    writes {
        mark(user: UserId, room: RoomId) -> Arc<ReadPosition> = (it.user.clone(), it.room);
    }
    waits {}
    Sessions of sessions
    reads {
        list(room: RoomId) -> Arc<[Session]> = (it.room);
    }
    writes {
        save(room: RoomId, agent: AgentId, session_id: String) -> () = (it.room, it.agent, "later".into());
    }
    waits {}
    Settle of settle
    reads {
        settle() -> () = ();
    }
    writes {}
    waits {}
    Health of health
    reads {
        check() -> () = ();
    }
    writes {}
    waits {}
}

fn new_agent(name: &str) -> NewAgent {
    let picture = Some(Picture {
        media_type: "image/png".into(),
        bytes: vec![1, 2, 3],
    });
    NewAgent {
        name: AgentName::parse(name).expect("a plain name"),
        group: None,
        config: AgentConfig::default(),
        picture,
    }
}

fn new_room(owner: &UserId, name: &str) -> NewRoom {
    NewRoom {
        owner: owner.clone(),
        name: RoomName::parse(name).expect("a plain name"),
        max_interactions: None,
    }
}

/// A store and what stands in it: two agents, a room with one of them and a message with an image, and a direct room.
pub(crate) struct Store {
    pub(crate) bare: Repositories,
    pub(crate) user: UserId,
    pub(crate) agent: AgentId,
    pub(crate) other: AgentId,
    pub(crate) room: RoomId,
    pub(crate) direct: RoomId,
    pub(crate) message: MessageId,
}

impl Store {
    pub(crate) async fn new() -> Result<Self> {
        let (bare, user) = (memory::repositories(), UserId::admin());
        let agent = bare.agents.create(new_agent("Ada")).await?.id;
        let other = bare.agents.create(new_agent("Bea")).await?.id;
        let room = bare.rooms.create(new_room(&user, "tea")).await?.id;
        let direct = bare.rooms.create_direct(user.clone(), agent).await?.id;
        bare.rooms.add_member(room, agent).await?;
        let image = Some(Image {
            media_type: "image/png".into(),
            data: "aGVsbG8=".into(),
        });
        let message = bare
            .messages
            .append(NewMessage {
                image,
                ..NewMessage::from_user(room, "hello")
            })
            .await?
            .id;
        bare.messages
            .append(NewMessage::from_agent(room, agent, "hello you"))
            .await?;
        bare.messages
            .append(NewMessage::from_user(room, "how are you?"))
            .await?;
        bare.read_positions.mark(user.clone(), direct).await?;
        bare.sessions.save(room, agent, "first".into()).await?;
        Ok(Self {
            bare,
            user,
            agent,
            other,
            room,
            direct,
            message,
        })
    }

    pub(crate) fn yielding(&self) -> Arc<Yielding> {
        Arc::new(Yielding {
            inner: self.bare.clone(),
            loses: AtomicBool::new(false),
        })
    }
}

impl Yielding {
    pub(crate) fn ports(self: &Arc<Self>) -> Repositories {
        Repositories {
            agents: self.clone(),
            configs: self.clone(),
            rooms: self.clone(),
            messages: self.clone(),
            read_positions: self.clone(),
            sessions: self.clone(),
            settle: self.clone(),
            health: self.clone(),
        }
    }
}

pub(crate) fn reads() -> impl Iterator<Item = &'static Method> {
    METHODS
        .iter()
        .filter(|method| !method.is_write && !method.waits)
}
