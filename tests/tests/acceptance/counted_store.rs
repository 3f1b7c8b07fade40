//! A mock store that counts its reads.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use contract::memory;
use domain::{
    Agent, AgentId, AgentName, LogEnd, Member, Repositories, Room, RoomId, RoomName, Seq,
    Timestamp, UserId,
    ports::{MockAgentConfigs, MockAgentFiles, MockAgents, MockMessages, MockRooms},
};

/// The id of the agent in the store.
pub(crate) const AGENT: AgentId = AgentId(3);
/// The id of a room in the store. A room with equal data exists for every other id, too.
pub(crate) const ROOM: RoomId = RoomId(7);

/// A mock store, and the number of its reads.
pub(crate) struct CountedStore {
    pub(crate) repositories: Repositories,
    reads: Arc<AtomicUsize>,
}

impl CountedStore {
    /// Returns the number of reads so far.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

/// Returns a store with one agent. Every room contains this agent and one message.
pub(crate) fn counted_store() -> CountedStore {
    let reads = Arc::new(AtomicUsize::new(0));
    let count = || {
        let reads = reads.clone();
        move || {
            reads.fetch_add(1, Ordering::SeqCst);
        }
    };
    let mut agents = MockAgents::new();
    let mut configs = MockAgentConfigs::new();
    let mut files = MockAgentFiles::new();
    let mut rooms = MockRooms::new();
    let mut messages = MockMessages::new();
    let count_read = count();
    agents.expect_find_many().returning(move |_| {
        count_read();
        Ok(vec![agent()])
    });
    let count_read = count();
    configs.expect_find().returning(move |_| {
        count_read();
        Ok(Some(Arc::default()))
    });
    let count_read = count();
    files.expect_find_again().returning(move |ids| {
        count_read();
        Ok(ids.iter().map(|id| (*id, Arc::default())).collect())
    });
    let count_read = count();
    rooms.expect_find().returning(move |id| {
        count_read();
        Ok(Some(room(id)))
    });
    let count_read = count();
    rooms.expect_members().returning(move |_| {
        count_read();
        Ok([Member {
            agent: AGENT,
            joined_after_seq: Seq(0),
            joined_at: Timestamp::default(),
        }]
        .into())
    });
    let count_read = count();
    rooms.expect_activity().returning(move |_| {
        count_read();
        Ok(Some(Arc::default()))
    });
    let count_read = count();
    messages.expect_end().returning(move |_, _| {
        count_read();
        Ok(Some(LogEnd {
            last_seq: Seq(1),
            messages: vec![tests::records::user_message(ROOM, 1)],
        }))
    });
    let repositories = Repositories {
        agents: Arc::new(agents),
        configs: Arc::new(configs),
        files: Arc::new(files),
        rooms: Arc::new(rooms),
        messages: Arc::new(messages),
        ..memory::repositories()
    };
    CountedStore {
        repositories,
        reads,
    }
}

fn agent() -> Arc<Agent> {
    Arc::new(Agent {
        id: AGENT,
        name: AgentName::parse("Ada").unwrap(),
        group: None,
        config_file: "Ada/agent.yaml".into(),
        created_at: Timestamp::default(),
        deleted_at: None,
        version: 1,
    })
}

fn room(id: RoomId) -> Arc<Room> {
    Arc::new(Room {
        id,
        owner: UserId::admin(),
        name: RoomName::parse("tea").unwrap(),
        direct_agent: None,
        max_interactions: None,
        is_paused: false,
        finished_seq: None,
        last_error: None,
        created_at: Timestamp::default(),
        version: 1,
    })
}
