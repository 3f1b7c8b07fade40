//! Tests of cached response bodies. After every write they equal the bodies of reads that bypass
//! the cache.

use app::RENDER_CACHE_BYTES;
use domain::{AgentId, NewMessage, RoomId, UserId};
use serde_json::{Value, json};
use tests::{client::Client, records::new_room};

use super::on_each_server;

/// A guest's room with two agents that have answered. The guest and the administrator read it.
struct SharedRoom<'a> {
    readers: [&'a Client; 2],
    id: i64,
}

impl SharedRoom<'_> {
    /// Returns the paths whose bodies are cached.
    fn paths(&self) -> [String; 5] {
        let path = format!("/rooms/{}", self.id);
        let polled = format!("{path}/messages/poll?since_id=0");
        [
            polled,
            format!("{path}/messages?limit=100"),
            format!("{path}/agents"),
            "/rooms".into(),
            path,
        ]
    }

    /// Returns the body of each path for each reader. Asserts that the bodies come from memory and
    /// equal those of reads that bypass the cache.
    async fn check_bodies(&self) -> Vec<Value> {
        let mut bodies = Vec::new();
        for path in self.paths() {
            for reader in self.readers {
                let bypassed = reader.get_bypassing(&path).await.ok();
                // The first read loads the data that a write removed. The others hit the cached
                // body.
                for time in 1..=3 {
                    assert_eq!(
                        reader.get(&path).await.ok(),
                        bypassed,
                        "{path}, time {time}"
                    );
                }
                assert_eq!(reader.get(&path).await.is_hit(), Some(true), "{path}");
                bodies.push(bypassed);
            }
        }
        bodies
    }

    /// Checks the bodies after a write. Asserts that the write has changed at least one of them,
    /// and stores the new bodies in `before`.
    async fn check_changed_bodies(&self, before: &mut Vec<Value>) {
        let now = self.check_bodies().await;
        assert_ne!(now, *before, "the write must change a body");
        *before = now;
    }
}

#[tokio::test]
async fn cached_bodies_of_pages_and_rooms_equal_those_from_the_store_after_every_write() {
    on_each_server(async |admin, server| {
        let guest = &server.guest();
        let ports = &server.app().cache.repositories;
        let id = guest.create_room("tea").await;
        let (path, room) = (
            format!("/rooms/{id}"),
            SharedRoom {
                readers: [admin, guest],
                id,
            },
        );
        let mut agents = Vec::new();
        for name in ["Ada", "Bob", "Cy"] {
            agents.push(
                admin
                    .create_agent_with(name, json!({ "characteristics": "old" }))
                    .await,
            );
        }
        let [ada, bob, cy] = agents[..] else {
            unreachable!("three agents were created")
        };
        for agent in [ada, bob] {
            admin
                .post(&format!("{path}/agents/{agent}"), Value::Null)
                .await
                .ok();
            ports
                .messages
                .append(NewMessage::from_agent(RoomId(id), AgentId(agent), "hello"))
                .await
                .unwrap();
        }
        let mut before = room.check_bodies().await;
        admin
            .patch(&format!("/agents/{ada}"), json!({ "name": "Eve" }))
            .await
            .ok();
        room.check_changed_bodies(&mut before).await;
        admin
            .patch(
                &format!("/agents/{bob}"),
                json!({ "characteristics": "new" }),
            )
            .await
            .ok();
        room.check_changed_bodies(&mut before).await;
        admin
            .post(&format!("{path}/agents/{cy}"), Value::Null)
            .await
            .ok();
        room.check_changed_bodies(&mut before).await;
        ports
            .sessions
            .save(RoomId(id), AgentId(bob), "a session".into())
            .await
            .unwrap();
        room.check_changed_bodies(&mut before).await;
        admin
            .post(
                &format!("/agents/{cy}/memory"),
                json!({ "text": "something" }),
            )
            .await
            .ok();
        room.check_changed_bodies(&mut before).await;
        for reader in room.readers {
            reader
                .post(&format!("{path}/mark-read"), Value::Null)
                .await
                .ok();
            room.check_changed_bodies(&mut before).await;
        }
        admin.patch(&path, json!({ "is_paused": true })).await.ok();
        room.check_changed_bodies(&mut before).await;
        guest.send_message(id, "and you?").await;
        room.check_changed_bodies(&mut before).await;
        admin.delete(&format!("{path}/agents/{cy}")).await.ok();
        room.check_changed_bodies(&mut before).await;
        admin.delete(&format!("/agents/{ada}")).await.ok();
        room.check_changed_bodies(&mut before).await;
        admin.delete(&format!("{path}/messages")).await.ok();
        room.check_changed_bodies(&mut before).await;
    })
    .await;
}

#[tokio::test]
async fn rendered_rooms_are_bounded_and_replaced_when_they_change() {
    on_each_server(async |admin, server| {
        let rendered = &server.app().rendered;
        let ports = &server.app().cache.repositories;
        let persona = json!({ "characteristics": "m".repeat(100 << 10) });
        let ada = AgentId(admin.create_agent_with("Ada", persona).await);
        let create = async |name: &str| {
            let new = new_room(UserId::admin(), name);
            let id = ports.rooms.create(new).await.unwrap().id;
            ports.rooms.add_member(id, ada).await.unwrap();
            id.0
        };
        let id = create("tea").await;
        admin.send_message(id, "hello").await;
        let path = format!("/rooms/{id}");
        admin.get(&path).await.ok();

        rendered.clear();
        let shown = admin.get(&path).await.ok();
        assert_eq!(admin.get(&path).await.ok(), shown);
        let used = rendered.weight();
        // The persona and the prompt that contains it are cached twice: for the agent and for the
        // room.
        assert!((400 << 10..410 << 10).contains(&used), "{used} bytes");

        admin.send_message(id, "and you?").await;
        admin.get(&path).await.ok();
        let replaced = rendered.weight();
        assert!((used..used + (10 << 10)).contains(&replaced), "{replaced}");

        // More rooms than fit into the budget of bytes.
        let rooms = RENDER_CACHE_BYTES / (200 << 10) + 20;
        let mut paths = Vec::new();
        for number in 0..rooms {
            let id = create(&format!("room {number}")).await;
            paths.push(format!("/rooms/{id}"));
            // The first read loads the room, the second stores the rendered body.
            for _ in 0..2 {
                admin.get(paths.last().unwrap()).await;
            }
            assert!(rendered.weight() <= RENDER_CACHE_BYTES);
        }
        assert!(rendered.weight() > RENDER_CACHE_BYTES / 2);
        for path in [&paths[0], paths.last().unwrap()] {
            let bypassing = admin.get_bypassing(path).await.ok();
            assert_eq!(admin.get(path).await.ok(), bypassing, "{path}");
        }
    })
    .await;
}
