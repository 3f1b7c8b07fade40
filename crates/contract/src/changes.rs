//! Laws of the changes of a store that several processes share.

use std::{collections::BTreeSet, sync::Arc};

use domain::{
    AgentChange, AgentConfig, AgentName, Began, Change, Changes, MessageId, NewAgent, NewMessage,
    NewRoom, RecentEvent, Repositories, Result, RoomChange, RoomId, RoomName, Seq, UserId,
};
use futures_util::future::{BoxFuture, join, join_all};

use crate::{law::Breach, pause::pause, report::Report};

/// The ports of one of the processes that share a store.
#[derive(Clone)]
pub struct Node {
    /// The ports of the store.
    pub repositories: Repositories,
    /// The changes that the other processes make.
    pub changes: Arc<dyn Changes>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

/// A store that several processes can open at the same time.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = contract::memory::SharedStore::default();
/// contract::check_changes(&store).await.assert();
/// # }
/// ```
pub trait Share: Sync {
    /// Opens the store as another process.
    fn open_node(&self) -> BoxFuture<'_, Result<Node>>;
}

/// Runs the laws of [`Changes`] over a store that several processes share.
pub async fn check_changes(store: &dyn Share) -> Report {
    let mut report = Report::default();
    let laws: [(_, BoxFuture<'_, Result<(), Breach>>); 5] = [
        (
            "every_write_of_another_process_is_returned_once",
            Box::pin(writes_are_returned_once(store)),
        ),
        (
            "own_writes_are_left_out",
            Box::pin(own_writes_are_left_out(store)),
        ),
        (
            "following_goes_on_where_it_stopped",
            Box::pin(following_goes_on(store)),
        ),
        (
            "appended_messages_are_read_until_they_are_removed",
            Box::pin(messages_are_read(store)),
        ),
        (
            "concurrent_messages_are_each_returned_once",
            Box::pin(concurrent_messages_are_returned(store)),
        ),
    ];
    for (name, law) in laws {
        report.add(name, law.await);
    }
    report
}

/// Opens the store as two processes. The first follows the changes of the second.
async fn follower_and_writer(store: &dyn Share) -> Result<(Node, Node)> {
    let (here, there) = (store.open_node().await?, store.open_node().await?);
    here.changes.begin().await?;
    Ok((here, there))
}

async fn room_of(ports: &Repositories, name: &str) -> Result<RoomId> {
    let new = NewRoom {
        owner: UserId::parse("owner")?,
        name: RoomName::parse(name)?,
        max_interactions: None,
    };
    Ok(ports.rooms.create(new).await?.id)
}

/// Runs each kind of write, and checks the changes that the other process receives.
async fn writes_are_returned_once(store: &dyn Share) -> Result<(), Breach> {
    let (here, there) = follower_and_writer(store).await?;
    let ports = &there.repositories;
    let returns = async |write: &str, expected: &[Change]| {
        let changes = here.changes.next().await?;
        let is_received =
            |change| changes.contains(change) || changes.contains(&Change::Everything);
        match expected.iter().find(|change| !is_received(change)) {
            Some(missing) => Err(Breach::new(format_args!(
                "after {write}, `next` returned {changes:?} without {missing:?}"
            ))),
            None => Ok(()),
        }
    };
    let owner = UserId::parse("owner")?;
    let new = NewAgent {
        name: AgentName::parse("Told")?,
        group: None,
        config: AgentConfig::default(),
        picture: None,
    };
    let agent = ports.agents.create(new).await?.id;
    returns("agents.create", &[Change::AgentCreated]).await?;
    ports.agents.update(agent, AgentChange::default()).await?;
    returns("agents.update", &[Change::AgentChanged(agent)]).await?;
    let persona = [Change::PersonaChanged(agent)];
    let config = AgentConfig {
        in_a_nutshell: "received".into(),
        ..AgentConfig::default()
    };
    ports.configs.save(agent, config).await?;
    returns("configs.save", &persona).await?;
    let event = RecentEvent {
        date: None,
        text: "It rained.".into(),
    };
    ports.configs.append_memory(agent, event.clone()).await?;
    returns("configs.append_memory", &persona).await?;
    let memories = [Change::MemoriesChanged(agent, owner.clone())];
    let append = ports.memories.append(agent, owner.clone(), event, 9);
    append.await?;
    returns("memories.append", &memories).await?;
    ports.memories.forget(owner.clone(), None).await?;
    returns("memories.forget", &memories).await?;
    let room = room_of(ports, "received").await?;
    let created = [Change::RoomCreated(owner.clone())];
    returns("rooms.create", &created).await?;
    let direct = ports.rooms.create_direct(owner.clone(), agent).await?.id;
    returns("rooms.create_direct", &created).await?;
    ports.rooms.update(room, RoomChange::default()).await?;
    returns("rooms.update", &[Change::RoomChanged(room)]).await?;
    let message = ports
        .messages
        .append(NewMessage::from_user(room, "received"));
    let message = message.await?;
    let appended = [Change::MessageAppended(room, message.seq)];
    returns("messages.append", &appended).await?;
    let announcement = ports.rooms.add_member(room, agent).await?.message;
    let announced = announcement.map(|message| Change::MessageAppended(room, message.seq));
    let joined: Vec<_> = announced
        .into_iter()
        .chain([Change::MembersChanged(room)])
        .collect();
    returns("rooms.add_member", &joined).await?;
    ports.sessions.save(room, agent, "a session".into()).await?;
    returns("sessions.save", &[Change::SessionsChanged(room)]).await?;
    ports.rooms.remove_member(room, agent).await?;
    let left = [Change::MembersChanged(room), Change::SessionsChanged(room)];
    returns("rooms.remove_member", &left).await?;
    ports.read_positions.mark(owner.clone(), room).await?;
    returns("read_positions.mark", &[Change::RoomRead(owner, room)]).await?;
    let removed = [Change::MessagesRemoved(room)];
    ports.messages.remove(room, message.id).await?;
    returns("messages.remove", &removed).await?;
    ports.messages.clear(room).await?;
    returns("messages.clear", &removed).await?;
    ports.rooms.delete(direct).await?;
    returns("rooms.delete", &[Change::RoomDeleted(direct)]).await?;
    ports.agents.delete(agent).await?;
    returns("agents.delete", &[Change::AgentChanged(agent)]).await?;
    let again = here.changes.next().await?;
    if again.is_empty() {
        Ok(())
    } else {
        Err(Breach::new(format_args!("`next` returned {again:?} again")))
    }
}

async fn own_writes_are_left_out(store: &dyn Share) -> Result<(), Breach> {
    let (here, _) = follower_and_writer(store).await?;
    room_of(&here.repositories, "own").await?;
    match here.changes.next().await?.as_slice() {
        [] => Ok(()),
        own => Err(Breach::new(format_args!(
            "a process received its own changes: {own:?}"
        ))),
    }
}

async fn following_goes_on(store: &dyn Share) -> Result<(), Breach> {
    let (here, there) = follower_and_writer(store).await?;
    let room = room_of(&there.repositories, "goes on").await?;
    here.changes.next().await?;
    let update = there.repositories.rooms.update(room, RoomChange::default());
    update.await?;
    let began = here.changes.begin().await?;
    let changes = here.changes.next().await?;
    let is_returned = |change| changes.contains(change) || changes.contains(&Change::Everything);
    if began == Began::WentOn && !is_returned(&Change::RoomChanged(room)) {
        return Err(Breach::new("a change was missed between two calls"));
    }
    let fresh = store.open_node().await?;
    match fresh.changes.begin().await? {
        Began::Anew => Ok(()),
        Began::WentOn => Err(Breach::new("the first `begin` must return `Anew`")),
    }
}

async fn messages_are_read(store: &dyn Share) -> Result<(), Breach> {
    let (here, there) = follower_and_writer(store).await?;
    let messages = &there.repositories.messages;
    let room = room_of(&there.repositories, "read").await?;
    let first = messages
        .append(NewMessage::from_user(room, "first"))
        .await?;
    let second = messages
        .append(NewMessage::from_user(room, "second"))
        .await?;
    here.changes.next().await?;
    let positions = [(room, first.seq), (room, second.seq), (room, Seq(1_000))];
    let ids = async || {
        let found = here.changes.messages(&positions).await?;
        Ok::<BTreeSet<MessageId>, Breach>(found.iter().map(|message| message.id).collect())
    };
    let both = ids().await?;
    messages.remove(room, first.id).await?;
    let one = ids().await?;
    if both == BTreeSet::from([first.id, second.id]) && one == BTreeSet::from([second.id]) {
        return Ok(());
    }
    Err(Breach::new(format_args!(
        "the messages {both:?} and, after a removal, {one:?} were read"
    )))
}

async fn concurrent_messages_are_returned(store: &dyn Share) -> Result<(), Breach> {
    const WRITERS: usize = 4;
    const MESSAGES: usize = 25;
    let (here, there) = follower_and_writer(store).await?;
    let room = room_of(&there.repositories, "concurrent").await?;
    let write = async |_| {
        for _ in 0..MESSAGES {
            let message = NewMessage::from_user(room, "at the same time");
            there.repositories.messages.append(message).await?;
            pause().await;
        }
        Ok::<_, Breach>(())
    };
    let follow = async {
        let mut received = Vec::new();
        for _ in 0..10 * MESSAGES {
            received.extend(here.changes.next().await?);
            pause().await;
        }
        Ok::<_, Breach>(received)
    };
    let (written, received) = join(join_all((0..WRITERS).map(write)), follow).await;
    written.into_iter().collect::<Result<Vec<()>, _>>()?;
    let mut received = received?;
    received.extend(here.changes.next().await?);
    if received.contains(&Change::Everything) {
        return Ok(());
    }
    let mut seqs: Vec<i64> = received
        .iter()
        .filter_map(|change| match change {
            Change::MessageAppended(at, seq) if *at == room => Some(seq.0),
            _ => None,
        })
        .collect();
    seqs.sort_unstable();
    let count = i64::try_from(WRITERS * MESSAGES).expect("few messages");
    if seqs.iter().copied().eq(1..=count) {
        Ok(())
    } else {
        Err(Breach::new(format_args!(
            "expected 1..={count} once each, got {seqs:?}"
        )))
    }
}
