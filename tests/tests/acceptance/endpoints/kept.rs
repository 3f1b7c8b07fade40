//! Answers whose text is kept: after every write they are what an answer past the cache is.

use app::ROOM_TEXTS_KIB;
use domain::{AgentId, NewMessage, RoomId};
use serde_json::{Value, json};
use tests::server::Client;

use super::{send, serve_with};

/// A room of a guest, who reads it beside the administrator, with two agents that spoke.
struct Room<'a> {
    readers: [&'a Client; 2],
    id: i64,
}

impl Room<'_> {
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

    /// What each reader is shown, from memory, and that it is the same past the cache.
    async fn shown(&self) -> Vec<Value> {
        let mut shown = Vec::new();
        for path in self.paths() {
            for reader in self.readers {
                let past = reader.get_past(&path).await.ok();
                // The first reads what a write took out, the others what is kept since.
                for time in 1..=3 {
                    assert_eq!(reader.get(&path).await.ok(), past, "{path}, time {time}");
                }
                assert_eq!(reader.get(&path).await.is_hit(), Some(true), "{path}");
                shown.push(past);
            }
        }
        shown
    }

    async fn differs(&self, before: &mut Vec<Value>) {
        let now = self.shown().await;
        assert_ne!(now, *before, "the write changes what is shown");
        *before = now;
    }
}

#[tokio::test]
async fn what_is_kept_of_pages_and_rooms_is_what_the_store_says_after_every_write() {
    serve_with(async |admin, server| {
        let guest = &server.guest();
        let ports = &server.app().cache.repositories;
        let id = guest.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        let (path, room) = (
            format!("/rooms/{id}"),
            Room {
                readers: [admin, guest],
                id,
            },
        );
        let mut agents = Vec::new();
        for name in ["Ada", "Bob", "Cy"] {
            agents.push(
                admin
                    .post("/agents", json!({ "name": name, "characteristics": "old" }))
                    .await
                    .ok()["id"]
                    .as_i64()
                    .unwrap(),
            );
        }
        let [ada, bob, cy] = agents[..] else {
            unreachable!("three were made")
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
        let mut before = room.shown().await;
        admin
            .patch(&format!("/agents/{ada}"), json!({ "name": "Eve" }))
            .await
            .ok();
        room.differs(&mut before).await;
        admin
            .patch(
                &format!("/agents/{bob}"),
                json!({ "characteristics": "new" }),
            )
            .await
            .ok();
        room.differs(&mut before).await;
        admin
            .post(&format!("{path}/agents/{cy}"), Value::Null)
            .await
            .ok();
        room.differs(&mut before).await;
        ports
            .sessions
            .save(RoomId(id), AgentId(bob), "a session".into())
            .await
            .unwrap();
        room.differs(&mut before).await;
        admin
            .post(
                &format!("/agents/{cy}/memory"),
                json!({ "text": "something" }),
            )
            .await
            .ok();
        room.differs(&mut before).await;
        for reader in room.readers {
            reader
                .post(&format!("{path}/mark-read"), Value::Null)
                .await
                .ok();
            room.differs(&mut before).await;
        }
        admin.patch(&path, json!({ "is_paused": true })).await.ok();
        room.differs(&mut before).await;
        send(guest, id, "and you?").await;
        room.differs(&mut before).await;
        admin.delete(&format!("{path}/agents/{cy}")).await.ok();
        room.differs(&mut before).await;
        admin.delete(&format!("/agents/{ada}")).await.ok();
        room.differs(&mut before).await;
        admin.delete(&format!("{path}/messages")).await.ok();
        room.differs(&mut before).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_of_rooms_besides_their_messages_is_bounded_and_given_back() {
    serve_with(async |admin, server| {
        let id = admin.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        let path = format!("/rooms/{id}");
        let memory = "m".repeat(100 << 10);
        let ada = admin
            .post(
                "/agents",
                json!({ "name": "Ada", "characteristics": memory }),
            )
            .await
            .ok()["id"]
            .as_i64()
            .unwrap();
        admin
            .post(&format!("{path}/agents/{ada}"), Value::Null)
            .await
            .ok();
        let left = &server.app().room_texts;
        assert_eq!(left.available_permits(), ROOM_TEXTS_KIB);

        send(admin, id, "hello").await;
        let shown = admin.get(&path).await.ok();
        assert_eq!(admin.get(&path).await.ok(), shown);
        let kept = ROOM_TEXTS_KIB - left.available_permits();
        // The text and the prompt that it is part of.
        assert!((200..210).contains(&kept), "{kept} KiB are kept");

        send(admin, id, "and you?").await;
        admin
            .get(&format!("{path}/messages/poll?since_id=0"))
            .await
            .ok();
        assert_eq!(
            left.available_permits(),
            ROOM_TEXTS_KIB,
            "the page that it stood beside is gone"
        );

        let others = left
            .try_acquire_many(u32::try_from(ROOM_TEXTS_KIB - kept / 2).unwrap())
            .unwrap();
        let before = left.available_permits();
        for _ in 0..2 {
            assert_eq!(
                admin.get(&path).await.ok(),
                admin.get_past(&path).await.ok()
            );
        }
        assert_eq!(
            left.available_permits(),
            before,
            "nothing is kept beyond the bound"
        );
        drop(others);
        admin.get(&path).await.ok();
        assert_eq!(ROOM_TEXTS_KIB - left.available_permits(), kept);
    })
    .await;
}
