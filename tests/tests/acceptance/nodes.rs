//! Property tests of several processes over one store: each reads the writes of the others once
//! they are reported, and no process reads an older value after a newer one.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use cache_adapter::{Cache, Follower, Options};
use cache_core::{Clock, Fault, ManualClock, Runtime};
use contract::memory::{self, SharedStore};
use domain::{
    AgentConfig, AgentId, AgentName, MessageId, NewAgent, NewMessage, NewRoom, Repositories,
    RoomChange, RoomId, RoomName, Seq, UserId,
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::machine::{Step, block_on, compare, every_read, intervene, ports, sample, step};

/// How much older than the writes of others a value may be.
const BOUND: Duration = Duration::from_secs(1);
const NODES: usize = 3;

/// The cache of one process, and the follower of the others.
struct Node {
    cache: Cache,
    follower: Follower,
}

/// Processes over one store, with one clock.
struct Nodes {
    nodes: Vec<Node>,
    clock: ManualClock,
}

impl Nodes {
    fn new(fault: Fault) -> Self {
        let (clock, hand) = Clock::manual();
        let options = Options {
            others_write: Some(BOUND),
            fault,
            ..Options::default()
        };
        let store = SharedStore::default();
        let node = |_| {
            let ports = store.node();
            let runtime = Runtime::tokio_with(clock.clone());
            let cache = Cache::with_runtime(ports.repositories, &options, runtime);
            let follower = cache.follower(ports.changes);
            Node { cache, follower }
        };
        let nodes = (0..NODES).map(node).collect();
        Self { nodes, clock: hand }
    }
}

proptest! {
    #![proptest_config(Config { cases: 192, failure_persistence: None, ..Config::default() })]

    #[test]
    fn nodes_with_all_changes_reported_answer_as_a_bare_store(
        steps in vec((0..NODES, step()), 1..120),
    ) {
        block_on(async {
            let bare = memory::repositories();
            let Nodes { mut nodes, clock } = Nodes::new(Fault::None);
            for (index, step) in steps {
                let node = &mut nodes[index];
                node.follower.catch_up().await.unwrap();
                match step {
                    Step::Call { call, bypass } => {
                        compare(ports(&node.cache, bypass), &bare, &call).await?;
                    }
                    Step::ReadAll => read_all(node, &bare).await?,
                    Step::AdvanceClock(time) => clock.advance(time),
                    operator_step => intervene(&node.cache, operator_step).await?,
                }
            }
            for node in &mut nodes {
                node.follower.catch_up().await.unwrap();
                read_all(node, &bare).await?;
            }
            Ok::<_, TestCaseError>(())
        })?;
    }

    #[test]
    fn no_node_reads_an_older_version_after_a_newer_one(
        steps in vec((0..NODES, glimpse()), 1..200),
    ) {
        prop_assert_eq!(block_on(reads_in_order(steps, Fault::None)), Ok(()));
    }
}

#[test]
fn a_node_that_keeps_older_values_beside_newer_ones_is_found() {
    let mut runner = TestRunner::deterministic();
    let strategy = vec((0..NODES, glimpse()), 1..200);
    let is_found = (0..200).any(|_| {
        let steps = sample(&strategy, &mut runner);
        block_on(reads_in_order(steps, Fault::UnstoredLeavesValue)).is_err()
    });
    assert!(is_found);
}

#[test]
fn reads_of_nodes_that_follow_each_other_are_hits() {
    block_on(async {
        let Nodes { mut nodes, .. } = Nodes::new(Fault::None);
        let room = first_room(&nodes[0].cache.repositories).await;
        for _ in 0..10 {
            for node in &mut nodes {
                node.follower.catch_up().await.unwrap();
                node.cache.repositories.rooms.find(room).await.unwrap();
            }
        }
        let hits = nodes.iter().map(|node| {
            let regions = node.cache.manager.stats();
            regions.iter().map(|region| region.stats.hits).sum::<u64>()
        });
        assert_eq!(hits.collect::<Vec<_>>(), [9; NODES]);
    });
}

#[test]
fn a_node_that_stops_following_reads_the_store_after_the_bound() {
    block_on(async {
        let Nodes { mut nodes, clock } = Nodes::new(Fault::None);
        for node in &mut nodes {
            node.follower.catch_up().await.unwrap();
        }
        let [reader, writer] = [0, 1].map(|index| nodes[index].cache.repositories.rooms.clone());
        let room = first_room(&nodes[0].cache.repositories).await;
        reader.find(room).await.unwrap();
        let pause = RoomChange {
            is_paused: Some(true),
            ..RoomChange::default()
        };
        writer.update(room, pause).await.unwrap();
        let is_paused = async || reader.find(room).await.unwrap().unwrap().is_paused;
        let nano = Duration::from_nanos(1);
        clock.advance(BOUND.checked_sub(nano).unwrap());
        assert!(!is_paused().await, "the value in memory is young enough");
        clock.advance(nano);
        assert!(is_paused().await);
    });
}

async fn read_all(node: &Node, bare: &Repositories) -> Result<(), TestCaseError> {
    for read in every_read() {
        compare(&node.cache.repositories, bare, &read).await?;
    }
    Ok(())
}

/// Creates a room of the administrator.
async fn first_room(ports: &Repositories) -> RoomId {
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse("Kitchen").unwrap(),
        max_interactions: None,
    };
    ports.rooms.create(new).await.unwrap().id
}

/// A step of a node to which not all writes of the others are reported.
#[derive(Clone, Copy, Debug)]
enum Glimpse {
    Write(Subject),
    /// Removes the oldest message.
    Remove,
    Clear,
    /// A way to read, through the cache or bypassing it.
    Read(Way, bool),
    ReadMessages {
        since: bool,
        bypass: bool,
    },
    Poll,
    Wait,
}

/// A value that has versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Room,
    Agent,
    /// The last sequence number of the log, as one of its copies shows it.
    Log(LogCopy),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum LogCopy {
    Messages,
    Activity,
    AnswerCounts,
}

/// A way to read a subject.
#[derive(Clone, Copy, Debug)]
enum Way {
    Room,
    RoomAmongMany,
    RoomList,
    RoomsOfOwner,
    DirectRoom,
    Agent,
    AgentAmongMany,
    AgentList,
    AgentByName,
    End,
    Activity,
    Activities,
    AnswerCounts,
}

fn glimpse() -> impl Strategy<Value = Glimpse> {
    let subject = prop::sample::select(vec![
        Subject::Room,
        Subject::Agent,
        Subject::Log(LogCopy::Messages),
    ]);
    let ways = vec![
        Way::Room,
        Way::RoomAmongMany,
        Way::RoomList,
        Way::RoomsOfOwner,
        Way::DirectRoom,
        Way::Agent,
        Way::AgentAmongMany,
        Way::AgentList,
        Way::AgentByName,
        Way::End,
        Way::Activity,
        Way::Activities,
        Way::AnswerCounts,
    ];
    prop_oneof![
        4 => subject.prop_map(Glimpse::Write),
        12 => (prop::sample::select(ways), prop::bool::weighted(0.2))
            .prop_map(|(way, bypass)| Glimpse::Read(way, bypass)),
        6 => (prop::bool::ANY, prop::bool::weighted(0.2))
            .prop_map(|(since, bypass)| Glimpse::ReadMessages { since, bypass }),
        1 => Just(Glimpse::Remove),
        1 => Just(Glimpse::Clear),
        3 => Just(Glimpse::Poll),
        1 => Just(Glimpse::Wait),
    ]
}

impl Way {
    fn subject(self) -> Subject {
        match self {
            Self::Room
            | Self::RoomAmongMany
            | Self::RoomList
            | Self::RoomsOfOwner
            | Self::DirectRoom => Subject::Room,
            Self::Agent | Self::AgentAmongMany | Self::AgentList | Self::AgentByName => {
                Subject::Agent
            }
            Self::End => Subject::Log(LogCopy::Messages),
            Self::Activity | Self::Activities => Subject::Log(LogCopy::Activity),
            Self::AnswerCounts => Subject::Log(LogCopy::AnswerCounts),
        }
    }

    /// Returns the version of the subject.
    async fn read(self, ports: &Repositories, named: &Named) -> u64 {
        let (rooms, agents, messages) = (&ports.rooms, &ports.agents, &ports.messages);
        let (room, agent) = (named.room, named.agent);
        match self {
            Self::Room => rooms.find(room).await.unwrap().unwrap().version,
            Self::RoomAmongMany => rooms.find_many(&[room]).await.unwrap()[0].version,
            Self::RoomList => rooms.list(None, 10).await.unwrap()[0].version,
            Self::RoomsOfOwner => {
                let owner = UserId::admin();
                rooms.list_by_owner(&owner, None, 10).await.unwrap()[0].version
            }
            Self::DirectRoom => {
                let found = rooms.find_direct(&UserId::admin(), agent).await;
                found.unwrap().unwrap().version
            }
            Self::Agent => agents.find(agent).await.unwrap().unwrap().version,
            Self::AgentAmongMany => agents.find_many(&[agent]).await.unwrap()[0].version,
            Self::AgentList => agents.list(None, 10).await.unwrap()[0].version,
            Self::AgentByName => {
                let found = agents.find_named(&named.name).await;
                found.unwrap().unwrap().version
            }
            Self::End => number(messages.end(room, 10).await.unwrap().unwrap().last_seq),
            Self::Activity => number(rooms.activity(room).await.unwrap().unwrap().last_seq),
            Self::Activities => number(rooms.activities(&[room]).await.unwrap()[0].1.last_seq),
            Self::AnswerCounts => {
                let counts = messages.answer_counts(room).await.unwrap().unwrap();
                number(counts.last_seq)
            }
        }
    }
}

/// The rows that the steps read and write.
struct Named {
    room: RoomId,
    agent: AgentId,
    name: AgentName,
}

impl Named {
    async fn create(ports: &Repositories) -> Self {
        let name = AgentName::parse("Ada").unwrap();
        let new = NewAgent {
            name: name.clone(),
            group: None,
            config: AgentConfig::default(),
            picture: None,
        };
        let agent = ports.agents.create(new).await.unwrap().id;
        let room = ports.rooms.create_direct(UserId::admin(), agent).await;
        Self {
            room: room.unwrap().id,
            agent,
            name,
        }
    }

    /// Writes a subject, and returns its version.
    async fn write(&self, ports: &Repositories, subject: Subject) -> u64 {
        match subject {
            Subject::Room => {
                let written = ports.rooms.update(self.room, RoomChange::default()).await;
                written.unwrap().version
            }
            Subject::Agent => {
                let change = domain::AgentChange::default();
                ports
                    .agents
                    .update(self.agent, change)
                    .await
                    .unwrap()
                    .version
            }
            Subject::Log(_) => {
                let message = NewMessage::from_user(self.room, "Hello");
                number(ports.messages.append(message).await.unwrap().seq)
            }
        }
    }
}

/// Runs steps, and fails if a node reads an older version after a newer one, or after it has
/// written a newer one.
async fn reads_in_order(steps: Vec<(usize, Glimpse)>, fault: Fault) -> Result<(), String> {
    let Nodes { mut nodes, clock } = Nodes::new(fault);
    let named = Named::create(&nodes[0].cache.repositories).await;
    let mut newest = HashMap::new();
    let mut logs = vec![SeenLog::default(); NODES];
    for (index, step) in steps {
        let node = &mut nodes[index];
        let messages = &node.cache.repositories.messages;
        match step {
            Glimpse::Write(subject) => {
                let version = named.write(&node.cache.repositories, subject).await;
                newest.insert((index, subject), version);
            }
            Glimpse::Remove => {
                let oldest = messages.since(named.room, MessageId(0), 1).await.unwrap();
                if let Some(oldest) = oldest.first() {
                    // Another node may have removed it.
                    drop(messages.remove(named.room, oldest.id).await);
                }
            }
            Glimpse::Clear => drop(messages.clear(named.room).await.unwrap()),
            Glimpse::Read(way, bypass) => {
                let version = way.read(ports(&node.cache, bypass), &named).await;
                let before = newest.insert((index, way.subject()), version).unwrap_or(0);
                if version < before {
                    return Err(format!(
                        "node {index} read {version} by {way:?} after {before}"
                    ));
                }
            }
            Glimpse::ReadMessages { since, bypass } => {
                let messages = &ports(&node.cache, bypass).messages;
                let page = if since {
                    messages.since(named.room, MessageId(0), usize::MAX).await
                } else {
                    messages.recent(named.room, None, usize::MAX).await
                };
                let ids = page.unwrap().iter().map(|message| message.id).collect();
                logs[index].see(ids)?;
            }
            Glimpse::Poll => node.follower.catch_up().await.unwrap(),
            Glimpse::Wait => clock.advance(BOUND / 3),
        }
    }
    Ok(())
}

/// The messages that a node has read.
#[derive(Clone, Default)]
struct SeenLog {
    last: BTreeSet<MessageId>,
    /// Messages that were read once, and were missing later.
    gone: BTreeSet<MessageId>,
}

impl SeenLog {
    /// Fails if a message is read that was missing before.
    fn see(&mut self, ids: BTreeSet<MessageId>) -> Result<(), String> {
        if let Some(again) = self.gone.intersection(&ids).next() {
            return Err(format!("message {again} is read again after its removal"));
        }
        self.gone.extend(self.last.difference(&ids));
        self.last = ids;
        Ok(())
    }
}

fn number(seq: Seq) -> u64 {
    u64::try_from(seq.0).unwrap()
}
