//! Lists that are read in parts.

use std::collections::BTreeSet;

use domain::{AgentId, NewMessage, RoomId};
use serde_json::{Value, json};
use tests::{records::create_room, server::TestServer};

/// Returns the ids of a response's entries in ascending order.
fn sorted_ids(list: &Value) -> Vec<i64> {
    let ids: BTreeSet<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["id"].as_i64().unwrap())
        .collect();
    ids.into_iter().collect()
}

#[tokio::test]
async fn rooms_agents_and_messages_of_critics_are_listed_in_parts() {
    for server in TestServer::start_on_each_database("lists in parts").await {
        let client = server.client();
        let (mut rooms, mut agents, mut messages) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..4 {
            rooms.push(client.create_room(&format!("room {n}")).await);
            let fields = json!({ "is_critic": true });
            agents.push(
                client
                    .create_agent_with(&format!("Agent {n}"), fields)
                    .await,
            );
        }
        let room = RoomId(rooms[0]);
        let store = &server.app().cache.repositories.messages;
        for agent in &agents {
            let new = NewMessage::from_agent(room, AgentId(*agent), "hm");
            messages.push(store.append(new).await.unwrap().id.0);
        }
        let critics = format!("/rooms/{room}/critic-messages");
        for (path, ids) in [
            ("/rooms", &rooms),
            ("/agents", &agents),
            (&critics, &messages),
        ] {
            let list = async |query: &str| {
                let list = client.get(&format!("{path}{query}")).await.ok();
                sorted_ids(&list)
            };
            assert_eq!(list("").await, *ids, "{path}");
            assert_eq!(list("?limit=2").await, ids[2..], "{path}: the newest");
            assert_eq!(
                list("?after=0&limit=3").await,
                ids[..3],
                "{path}: the oldest"
            );
            let after = format!("?after={}", ids[1]);
            assert_eq!(list(&after).await, ids[2..], "{path}: the rest");
            assert_eq!(
                list(&format!("?after={}", ids[3])).await,
                [0_i64; 0],
                "{path}"
            );
            for query in ["?limit=0", "?limit=x", "?after=-1"] {
                let refused = client.get(&format!("{path}{query}")).await;
                assert_eq!(refused.status, 422, "{path}{query}");
            }
        }
    }
}

#[tokio::test]
async fn of_more_than_a_thousand_rooms_the_newest_are_listed() {
    let server = TestServer::start(|_| {}).await;
    let (client, ports) = (server.client(), &server.app().cache.repositories);
    let mut rooms = Vec::new();
    for n in 0..1_003 {
        rooms.push(create_room(ports, &format!("room {n}")).await.id.0);
    }
    let list = async |query: &str| sorted_ids(&client.get(query).await.ok());
    assert_eq!(list("/rooms").await, rooms[3..]);
    assert_eq!(list("/rooms?limit=5000").await, rooms[3..]);
    assert_eq!(list("/rooms?after=0").await, rooms[..1_000]);
    // A deletion does not end the cached list of ids. The newest thousand rooms are complete again.
    client.delete(&format!("/rooms/{}", rooms[10])).await.ok();
    let mut left = rooms.clone();
    left.remove(10);
    assert_eq!(list("/rooms").await, left[2..]);
    left.push(client.create_room("the newest").await);
    assert_eq!(list("/rooms").await, left[3..]);
}
