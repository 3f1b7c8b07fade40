//! The people of the conversations: they create rooms, and write in them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::client::Client;

/// Creates the agents and the rooms. Each room contains all agents.
pub(super) async fn create_rooms(client: &Client, rooms: i64, agents: usize) {
    for number in 1..=agents {
        let agent = json!({
            "name": format!("Agent {number}"),
            "in_a_nutshell": "Mends umbrellas at night. Likes the rain.",
            "characteristics": "Speaks slowly, and of small things. Laughs when it rains. \
                Never asks twice. Remembers every umbrella.",
        });
        client.post("/agents", agent).await.ok();
    }
    for room in 1..=rooms {
        let new = json!({ "name": format!("room {room}") });
        client.post("/rooms", new).await.ok();
        for agent in 1..=agents {
            let path = format!("/rooms/{room}/agents/{agent}");
            client.post(&path, Value::Null).await.ok();
        }
    }
}

/// Runs the users of all rooms, one in each, until `length` has passed since `start`.
pub(super) async fn run_users(
    client: &Client,
    rooms: i64,
    interval: Duration,
    start: Instant,
    length: Duration,
) {
    let users: Vec<_> = (1..=rooms)
        .map(|room| {
            let user = write_messages(client.clone(), (room, rooms), interval, start, length);
            tokio::spawn(user)
        })
        .collect();
    for user in users {
        user.await.expect("a user's task does not panic");
    }
}

/// Sends the messages of one room's user. The rooms begin one after the other, spread over one
/// interval.
async fn write_messages(
    client: Client,
    (room, rooms): (i64, i64),
    interval: Duration,
    start: Instant,
    length: Duration,
) {
    let small = "the number of rooms is small";
    let rooms = u32::try_from(rooms).expect(small);
    let offset = interval / rooms * u32::try_from(room - 1).expect(small);
    for turn in 0.. {
        let time = offset + interval * turn;
        if time >= length {
            return;
        }
        tokio::time::sleep_until((start + time).into()).await;
        let content = format!("This is room {room}: good evening, for the {turn}. time");
        let message = json!({ "content": content, "role": "user" });
        client
            .post(&format!("/rooms/{room}/messages/send"), message)
            .await
            .ok();
    }
}
