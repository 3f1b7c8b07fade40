//! The regions: their settings, and the removal of all cached data of a room or an agent.

use std::time::Duration;

use cache_adapter::{Cache, NAMES, Options, Preset, Row, observe, rows};
use contract::memory;
use domain::{MessageId, NewMessage, UserId};

use crate::{cache, create_agent, create_room};

#[tokio::test]
async fn each_row_is_a_region_with_the_ttl_of_its_preset_and_its_capacity() {
    for preset in [Preset::Classic, Preset::Coherent] {
        let cache = Cache::new(
            memory::repositories(),
            Options {
                preset,
                ..Options::default()
            },
        );
        let ttl = |row: &Row| {
            Duration::from_secs(if preset == Preset::Classic {
                row.classic
            } else {
                row.coherent
            })
        };
        let regions: Vec<_> = cache
            .manager
            .stats()
            .into_iter()
            .map(|region| (region.name, region.policy.ttl, region.policy.capacity))
            .collect();
        let expected: Vec<_> = rows()
            .iter()
            .map(|row| (row.region, ttl(row), row.capacity))
            .collect();
        assert_eq!(regions.len(), 14);
        assert_eq!(regions, expected);
    }
}

#[tokio::test]
async fn invalidating_a_room_by_hand_leaves_the_others() {
    let cache = cache(memory::repositories());
    let rooms = [
        create_room(&cache.repositories, "a").await,
        create_room(&cache.repositories, "b").await,
    ];
    for room in rooms {
        cache.repositories.rooms.find(room).await.unwrap();
        cache.repositories.rooms.activity(room).await.unwrap();
        cache
            .repositories
            .read_positions
            .mark(UserId::admin(), room)
            .await
            .unwrap();
    }
    assert_eq!(cache.invalidate_room(rooms[0]), 3);
    assert_eq!(cache.invalidate_room(rooms[0]), 0);
    let (_, other) = observe(cache.repositories.rooms.find(rooms[1])).await;
    assert!(other.is_hit());
}

/// Also fails for a new region that the test does not read. Add a read of the region below then.
#[tokio::test]
async fn no_region_keyed_by_a_room_or_an_agent_survives_its_invalidation() {
    let cache = cache(memory::repositories());
    let ports = &cache.repositories;
    let agent = create_agent(ports, "Ada").await;
    let user = UserId::admin();
    let room = ports
        .rooms
        .create_direct(user.clone(), agent)
        .await
        .unwrap()
        .id;
    let message = NewMessage {
        image: Some(domain::Image {
            media_type: "image/png".into(),
            data: "aGVsbG8=".into(),
        }),
        ..NewMessage::from_user(room, "look")
    };
    let message = ports.messages.append(message).await.unwrap().id;

    ports.agents.find_many(&[agent]).await.unwrap();
    ports.configs.find(agent).await.unwrap();
    ports.memories.list(agent, &user).await.unwrap();
    ports.rooms.find(room).await.unwrap();
    ports.rooms.members(room).await.unwrap();
    ports.rooms.activity(room).await.unwrap();
    ports.messages.since(room, MessageId(0), 10).await.unwrap();
    ports.messages.answer_counts(room).await.unwrap();
    ports.messages.images(room, &[message]).await.unwrap();
    ports.sessions.list(room).await.unwrap();
    ports.read_positions.find(&user, room).await.unwrap();

    let keyed_by = |id: &str| -> Vec<&str> {
        rows()
            .iter()
            .filter(|row| row.key.split('/').any(|part| part == id))
            .map(|row| row.region)
            .collect()
    };
    let sizes = |regions: &[&str]| -> Vec<u64> {
        let stats = cache.manager.stats();
        let size = |region: &&str| {
            let found = stats.iter().find(|found| found.name == *region);
            found.expect("the region exists").stats.size
        };
        regions.iter().map(size).collect()
    };
    let (of_rooms, of_agents) = (keyed_by("room_id"), keyed_by("agent_id"));
    let named = [NAMES.agent_config, NAMES.agent_obj, NAMES.agent_memories];
    assert_eq!(of_agents, named);
    assert_eq!(sizes(&of_rooms), vec![1; of_rooms.len()], "{of_rooms:?}");
    assert_eq!(sizes(&of_agents), [1, 1, 1]);

    assert_eq!(cache.invalidate_room(room), of_rooms.len());
    assert_eq!(sizes(&of_rooms), vec![0; of_rooms.len()], "{of_rooms:?}");
    assert_eq!(sizes(&of_agents), [1, 1, 1], "agents are left");
    assert_eq!(cache.invalidate_agent(agent), 3);
    assert_eq!(sizes(&of_agents), [0, 0, 0]);
}
