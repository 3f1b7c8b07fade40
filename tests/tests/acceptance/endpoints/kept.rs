//! Answers whose text is kept: after every write they are what an answer past the cache is.

use app::RENDER_CACHE_BYTES;
use domain::{AgentId, NewMessage, NewRoom, RoomId, RoomName, UserId};
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
async fn what_is_kept_of_rooms_is_bounded_and_replaced_when_they_change() {
    serve_with(async |admin, server| {
        let rendered = &server.app().rendered;
        let ports = &server.app().cache.repositories;
        let persona = json!({ "name": "Ada", "characteristics": "m".repeat(100 << 10) });
        let ada = admin.post("/agents", persona).await.ok();
        let ada = AgentId(ada["id"].as_i64().unwrap());
        let create = async |name: String| {
            let new = NewRoom {
                owner: UserId::admin(),
                name: RoomName::parse(&name).unwrap(),
                max_interactions: None,
            };
            let id = ports.rooms.create(new).await.unwrap().id;
            ports.rooms.add_member(id, ada).await.unwrap();
            id.0
        };
        let id = create("tea".into()).await;
        send(admin, id, "hello").await;
        let path = format!("/rooms/{id}");
        admin.get(&path).await.ok();

        rendered.clear();
        let shown = admin.get(&path).await.ok();
        assert_eq!(admin.get(&path).await.ok(), shown);
        let kept = rendered.weight();
        // The persona and the prompt that it is part of, of the agent and of the room.
        assert!((400 << 10..410 << 10).contains(&kept), "{kept} bytes");

        send(admin, id, "and you?").await;
        admin.get(&path).await.ok();
        let replaced = rendered.weight();
        assert!((kept..kept + (10 << 10)).contains(&replaced), "{replaced}");

        // More rooms than the budget has bytes for.
        let rooms = RENDER_CACHE_BYTES / (200 << 10) + 20;
        let mut paths = Vec::new();
        for number in 0..rooms {
            let id = create(format!("room {number}")).await;
            paths.push(format!("/rooms/{id}"));
            // The first read brings the room into memory, the second is kept.
            for _ in 0..2 {
                admin.get(paths.last().unwrap()).await;
            }
            assert!(rendered.weight() <= RENDER_CACHE_BYTES);
        }
        assert!(rendered.weight() > RENDER_CACHE_BYTES / 2);
        for path in [&paths[0], paths.last().unwrap()] {
            let past = admin.get_past(path).await.ok();
            assert_eq!(admin.get(path).await.ok(), past, "{path}");
        }
    })
    .await;
}
