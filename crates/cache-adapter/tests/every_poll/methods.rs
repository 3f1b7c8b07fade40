//! An example call of every port method, and the store that the calls run against.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use contract::{Access, PORT_METHODS, decorate::Around, memory};
use domain::{
    AgentChange, AgentConfig, AgentId, AgentName, Error, Image, MessageId, NewAgent, NewMessage,
    NewRoom, Picture, RecentEvent, Repositories, Result, RoomChange, RoomId, RoomName, Seq, Usage,
    UsageKey, UsageRecord, UserId,
};
use futures_util::future::BoxFuture;

use testkit::executor::yield_once;

/// A port method with an example call.
#[derive(Clone, Copy)]
pub(crate) struct MethodCall {
    pub(crate) name: &'static str,
    pub(crate) access: Access,
    pub(crate) call: Call,
}

/// A function that calls a method and returns its result in printed form.
type Call = fn(Repositories, Arc<SampleStore>) -> PrintedResult;

pub(crate) type PrintedResult = Pin<Box<dyn Future<Output = Result<String>> + Send>>;

macro_rules! calls {
    ($store:ident { $($field:ident.$method:ident($($arg:expr),*);)* }) => {
        const CALLS: &[(&str, Call)] = &[$((
            concat!(stringify!($field), ".", stringify!($method)),
            |ports, $store| Box::pin(async move {
                let _ = &$store;
                let result = ports.$field.$method($($arg),*).await;
                result.map(|value| format!("{value:?}"))
            }),
        ),)*];
    };
}

calls! { store {
    agents.find(store.agent);
    agents.find_many(&[store.agent, store.other]);
    agents.find_named(&new_agent("Ada").name);
    agents.list(None, 10);
    agents.create(new_agent("Cleo"));
    agents.update(store.agent, AgentChange { priority: Some(7), ..AgentChange::default() });
    agents.delete(store.agent);

    configs.find(store.agent);
    configs.find_many(&[store.agent, store.other]);
    configs.picture(store.agent);
    configs.save(store.agent, AgentConfig { is_critic: true, ..AgentConfig::default() });
    configs.append_memory(store.agent, rain());

    files.find_again(&[store.agent, store.other]);
    files.adopt("Dora/agent.yaml");
    files.reload(store.agent);
    files.list();
    files.changed(&[store.agent, store.other]);
    files.watch();
    files.problems();

    memories.list(store.agent, &store.user);
    memories.append(store.agent, store.user.clone(), rain(), 10);
    memories.forget(store.user.clone(), Some(store.agent));

    rooms.find(store.room);
    rooms.find_many(&[store.room, store.direct]);
    rooms.list(None, 10);
    rooms.list_by_owner(&store.user, None, 10);
    rooms.find_direct(&store.user, store.agent);
    rooms.create(new_room(&store.user, "cake"));
    rooms.create_direct(store.user.clone(), store.other);
    rooms.update(store.room, RoomChange { is_paused: Some(true), ..RoomChange::default() });
    rooms.delete(store.room);
    rooms.members(store.room);
    rooms.add_member(store.room, store.other);
    rooms.remove_member(store.room, store.agent);
    rooms.activity(store.room);
    rooms.activities(&[store.room, store.direct]);

    messages.recent(store.room, None, 10);
    messages.since(store.room, store.message, 10);
    messages.by_authors(store.room, &[store.agent], None, 10);
    messages.since_answer(store.room, store.agent, 10);
    messages.answer_counts(store.room);
    messages.end(store.room, 10);
    messages.images(store.room, &[store.message]);
    messages.image_bytes(&store.user);
    messages.removals(store.room, Seq(0), 10);
    messages.find_sent(&store.user, "a key");
    messages.append(NewMessage::from_agent(store.room, store.agent, "well"));
    messages.remove(store.room, store.message);
    messages.clear(store.room);

    read_positions.find(&store.user, store.room);
    read_positions.find_many(&store.user, &[store.room, store.direct]);
    read_positions.mark(store.user.clone(), store.room);

    sessions.list(store.room);
    sessions.save(store.room, store.agent, "later".into());

    usage.add(usage_record(&store));
    usage.tokens(usage_record(&store).day, Some(store.user.clone()));
    usage.sums(UsageKey::Model, usage_record(&store).day, None, 10);

    settle.settle();
    health.check();
} }

/// Returns every port method with its example call.
pub(crate) fn methods() -> impl Iterator<Item = MethodCall> {
    PORT_METHODS.iter().map(|method| {
        let call = CALLS.iter().find(|(name, _)| *name == method.call);
        let (_, call) = call.unwrap_or_else(|| panic!("{} needs a row in `calls!`", method.name));
        MethodCall {
            name: method.name,
            access: method.access,
            call: *call,
        }
    })
}

/// Returns the reads, whose results are compared before and after a run. Methods that wait are left
/// out, because they have no result to compare.
pub(crate) fn reads() -> impl Iterator<Item = MethodCall> {
    methods().filter(|method| method.access == Access::Read)
}

fn new_agent(name: &str) -> NewAgent {
    let picture = Some(Picture {
        media_type: "image/png".into(),
        bytes: vec![1, 2, 3],
    });
    NewAgent {
        name: AgentName::parse(name).expect("the name is valid"),
        group: None,
        config: AgentConfig::default(),
        picture,
    }
}

fn rain() -> RecentEvent {
    RecentEvent {
        date: None,
        text: "rain".into(),
    }
}

fn usage_record(store: &SampleStore) -> UsageRecord {
    UsageRecord {
        day: "2026-11-30".parse().expect("this is a day"),
        owner: store.user.clone(),
        room: store.room,
        agent: store.agent,
        model: "llama".into(),
        usage: Usage {
            input: 9,
            ..Usage::default()
        },
    }
}

fn new_room(owner: &UserId, name: &str) -> NewRoom {
    NewRoom {
        owner: owner.clone(),
        name: RoomName::parse(name).expect("the name is valid"),
        max_interactions: None,
    }
}

/// A store with two agents, a room that has one of them and a message with an image, and a direct
/// room.
pub(crate) struct SampleStore {
    pub(crate) ports: Repositories,
    pub(crate) user: UserId,
    pub(crate) agent: AgentId,
    pub(crate) other: AgentId,
    pub(crate) room: RoomId,
    pub(crate) direct: RoomId,
    pub(crate) message: MessageId,
}

impl SampleStore {
    pub(crate) async fn create() -> Result<Self> {
        let (ports, user) = (memory::repositories(), UserId::admin());
        let agent = ports.agents.create(new_agent("Ada")).await?.id;
        let other = ports.agents.create(new_agent("Bea")).await?.id;
        let room = ports.rooms.create(new_room(&user, "tea")).await?.id;
        let direct = ports.rooms.create_direct(user.clone(), agent).await?.id;
        ports.rooms.add_member(room, agent).await?;
        let greeting = NewMessage {
            image: Some(Image {
                media_type: "image/png".into(),
                data: "aGVsbG8=".into(),
            }),
            ..NewMessage::from_user(room, "hello")
        };
        let message = ports.messages.append(greeting).await?.id;
        let answer = NewMessage::from_agent(room, agent, "hello you");
        ports.messages.append(answer).await?;
        let question = NewMessage::from_user(room, "how are you?");
        ports.messages.append(question).await?;
        ports.read_positions.mark(user.clone(), direct).await?;
        ports.sessions.save(room, agent, "first".into()).await?;
        ports
            .memories
            .append(agent, user.clone(), rain(), 10)
            .await?;
        Ok(Self {
            ports,
            user,
            agent,
            other,
            room,
            direct,
            message,
        })
    }
}

/// A decorator that yields before and after each call, so that the tests can drop the caller there.
#[derive(Default)]
pub(crate) struct Yielding {
    /// Reports an unknown outcome for each write that succeeds.
    pub(crate) loses_outcomes: AtomicBool,
}

impl Around for Yielding {
    async fn read<'a, T: Send + 'a>(&'a self, read: BoxFuture<'a, Result<T>>) -> Result<T> {
        yield_once().await;
        let result = read.await;
        yield_once().await;
        result
    }

    async fn write<T: Send + 'static>(&self, write: BoxFuture<'static, Result<T>>) -> Result<T> {
        // A real write also waits several times: at its beginning, its statements and its commit.
        for _ in 0..5 {
            yield_once().await;
        }
        let result = write.await;
        yield_once().await;
        if result.is_ok() && self.loses_outcomes.load(Ordering::SeqCst) {
            return Err(Error::unknown("the outcome is lost"));
        }
        result
    }

    async fn wait<'a, T: Default + Send + 'a>(&'a self, _: BoxFuture<'a, Result<T>>) -> Result<T> {
        // Not called: nothing else changes this store, so the wait would never end.
        yield_once().await;
        yield_once().await;
        Ok(T::default())
    }
}
