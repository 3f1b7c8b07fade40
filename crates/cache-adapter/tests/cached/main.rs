//! Tests of the cached ports in front of the in-memory backend and of mocks.

mod batches;
mod follow;
mod images;
mod leases;
mod messages;
mod observed;
mod regions;

use std::sync::Arc;

use cache_adapter::{Cache, Options};
use contract::memory;
use domain::{
    AgentConfig, AgentId, AgentName, MessageId, MockAgentConfigs, MockAgentFiles, NewAgent,
    NewMessage, NewRoom, Repositories, RoomId, RoomName, UserId,
};

/// Returns a cache with default options in front of `store`.
fn cache(store: Repositories) -> Cache {
    Cache::new(store, Options::default())
}

async fn create_room(ports: &Repositories, name: &str) -> RoomId {
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse(name).unwrap(),
        max_interactions: None,
    };
    ports.rooms.create(new).await.unwrap().id
}

async fn create_agent(ports: &Repositories, name: &str) -> AgentId {
    let new = NewAgent {
        name: AgentName::parse(name).unwrap(),
        group: None,
        config: AgentConfig::default(),
        picture: None,
    };
    ports.agents.create(new).await.unwrap().id
}

#[tokio::test]
async fn the_laws_hold_through_the_cache_and_when_bypassing_it() {
    contract::check(&cache(memory::repositories()).repositories)
        .await
        .assert();
    contract::check(&cache(memory::repositories()).bypassing)
        .await
        .assert();
}

#[tokio::test]
async fn a_persona_is_loaded_once_through_the_cache_and_each_time_when_bypassing_it() {
    let mut configs = MockAgentConfigs::new();
    let mut files = MockAgentFiles::new();
    files
        .expect_find_again()
        .times(1)
        .returning(|_| Ok(vec![(AgentId(1), Arc::new(AgentConfig::default()))]));
    configs
        .expect_find()
        .times(2)
        .returning(|_| Ok(Some(Arc::new(AgentConfig::default()))));
    let cache = cache(Repositories {
        configs: Arc::new(configs),
        files: Arc::new(files),
        ..memory::repositories()
    });
    for _ in 0..5 {
        cache.repositories.configs.find(AgentId(1)).await.unwrap();
    }
    for _ in 0..2 {
        cache.bypassing.configs.find(AgentId(1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_write_of_the_bypassing_ports_ends_what_is_cached() {
    let cache = cache(memory::repositories());
    let room = create_room(&cache.repositories, "tea").await;
    let messages = async || {
        let read = cache
            .repositories
            .messages
            .since(room, MessageId(0), 10)
            .await;
        read.unwrap().len()
    };
    assert_eq!(messages().await, 0);
    let message = NewMessage::from_user(room, "hi");
    cache.bypassing.messages.append(message).await.unwrap();
    assert_eq!(messages().await, 1);
}

#[tokio::test]
async fn ids_in_any_order_are_served_from_memory_by_rising_id_and_each_once() {
    let cache = cache(memory::repositories());
    let ports = &cache.repositories;
    let (ada, ben) = (
        create_agent(ports, "Ada").await,
        create_agent(ports, "Ben").await,
    );
    ports.agents.find_many(&[ada, ben]).await.unwrap();
    ports.configs.find_many(&[ada, ben]).await.unwrap();
    let unsorted = [ben, ada, ben];
    let (agents, observed) = cache_adapter::observe(ports.agents.find_many(&unsorted)).await;
    let ids: Vec<_> = agents.unwrap().iter().map(|agent| agent.id).collect();
    assert_eq!((ids, observed.is_hit()), (vec![ada, ben], true));
    let (configs, observed) = cache_adapter::observe(ports.configs.find_many(&unsorted)).await;
    let ids: Vec<_> = configs.unwrap().iter().map(|(id, _)| *id).collect();
    assert_eq!((ids, observed.is_hit()), (vec![ada, ben], true));
}

#[test]
fn every_write_method_of_a_port_has_its_row() {
    let mut table: Vec<String> = cache_adapter::stale_table()
        .into_iter()
        .map(|(method, _)| method)
        .collect();
    // A method may have several rows, which differ by its arguments.
    table.dedup();
    let writes: Vec<_> = contract::PORT_METHODS
        .iter()
        .filter(|method| method.access == contract::Access::Write)
        .map(|method| method.name)
        .collect();
    assert_eq!(table, writes);
}

#[test]
fn the_table_names_the_keys_that_each_write_makes_stale() {
    let table = cache_adapter::stale_table();
    let stale = |method: &str| {
        table
            .iter()
            .find(|(row, _)| row == method)
            .map_or("no such row", |(_, keys)| keys.as_str())
    };
    assert_eq!(
        stale("Agents::create"),
        "`agent_obj (absences)`, `agent_config (absences)`, `agent_list:all`"
    );
    assert_eq!(stale("Agents::update"), "`agent_obj:3`, `agent_config:3`");
    assert_eq!(
        stale("Agents::delete"),
        "`agent_obj:3`, `agent_config:3`, `agent_memories:*/3`"
    );
    assert_eq!(stale("Memories::append"), "`agent_memories:guest-1/3`");
    let forgets_owner = |(method, keys): &(String, String)| {
        method == "Memories::forget" && keys == "`agent_memories:guest-1/*`"
    };
    assert!(table.iter().any(forgets_owner));
    assert_eq!(stale("UsageLog::add"), "");
    assert_eq!(stale("Rooms::update"), "`room_obj:7`");
    assert_eq!(
        stale("Rooms::create"),
        "`room_obj (absences)`, `room_messages (absences)`, `room_answers (absences)`, \
         `room_activity (absences)`, `room_agents (absences)`, `room_list:all`, `rooms_of:guest-1`"
    );
    assert_eq!(
        stale("Messages::append"),
        "`room_messages:7 (appended to)`, `room_answers:7 (appended to)`, \
         `room_activity:7 (appended to)`"
    );
    assert_eq!(
        stale("Rooms::delete"),
        "`room_obj:7`, `room_agents:7`, `room_messages:7`, `room_answers:7`, `room_activity:7`, \
         `room_sessions:7`, `read_state:*/7`, `message_image:7/*`"
    );
    assert_eq!(stale("ReadPositions::mark"), "`read_state:guest-1/7`");
    let creates_image = |(method, keys): &(String, String)| {
        method == "Messages::append" && keys.ends_with("`message_image (absences)`")
    };
    assert!(
        table.iter().any(creates_image),
        "a message may bring an image"
    );
}
