//! Cached response bodies: after every write they equal the bodies of reads that bypass the cache.

use app::ROOM_TEXTS_KIB;
use domain::{AgentId, NewMessage, RoomId};
use serde_json::{Value, json};
use tests::client::Client;

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

    /// Returns the bodies that each reader gets. Asserts that they come from memory and equal those
    /// of reads that bypass the cache.
    async fn check_bodies(&self) -> Vec<Value> {
        let mut bodies = Vec::new();
        for path in self.paths() {
            for reader in self.readers {
                let bypassed = reader.get_bypassing(&path).await.ok();
                // The first read reloads what a write removed. The others hit the cached body.
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

    /// Checks the bodies after a write, which must have changed at least one of them.
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
async fn cached_room_bodies_without_their_messages_are_bounded_and_release_their_budget() {
    on_each_server(async |admin, server| {
        let id = admin.create_room("tea").await;
        let path = format!("/rooms/{id}");
        let memory = "m".repeat(100 << 10);
        let ada = admin
            .create_agent_with("Ada", json!({ "characteristics": memory }))
            .await;
        admin
            .post(&format!("{path}/agents/{ada}"), Value::Null)
            .await
            .ok();
        let budget = &server.app().room_texts;
        assert_eq!(budget.available_permits(), ROOM_TEXTS_KIB);

        admin.send_message(id, "hello").await;
        let shown = admin.get(&path).await.ok();
        assert_eq!(admin.get(&path).await.ok(), shown);
        let used = ROOM_TEXTS_KIB - budget.available_permits();
        // The persona of 100 KiB appears twice: as a field and in the system prompt.
        assert!(
            (200..210).contains(&used),
            "the cached body must use 200 to 210 KiB, uses {used}"
        );

        admin.send_message(id, "and you?").await;
        admin
            .get(&format!("{path}/messages/poll?since_id=0"))
            .await
            .ok();
        assert_eq!(
            budget.available_permits(),
            ROOM_TEXTS_KIB,
            "replacing the page must release the budget of the body cached with it"
        );

        let other_bodies = budget
            .try_acquire_many(u32::try_from(ROOM_TEXTS_KIB - used / 2).unwrap())
            .unwrap();
        let before = budget.available_permits();
        for _ in 0..2 {
            assert_eq!(
                admin.get(&path).await.ok(),
                admin.get_bypassing(&path).await.ok()
            );
        }
        assert_eq!(
            budget.available_permits(),
            before,
            "a body beyond the budget must not be cached"
        );
        drop(other_bodies);
        admin.get(&path).await.ok();
        assert_eq!(ROOM_TEXTS_KIB - budget.available_permits(), used);
    })
    .await;
}
