//! Every endpoint: status codes, field names, where an answer came from.

use std::{fs, future::Future, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use tests::server::{Answer, Client, Running};

const AGENT: [&str; 15] = [
    "id",
    "name",
    "group",
    "config_file",
    "profile_pic",
    "in_a_nutshell",
    "characteristics",
    "recent_events",
    "is_critic",
    "interrupt_every_turn",
    "priority",
    "transparent",
    "system_prompt",
    "session_id",
    "created_at",
];
const ROOM: [&str; 12] = [
    "id",
    "name",
    "owner_id",
    "max_interactions",
    "is_paused",
    "is_finished",
    "created_at",
    "last_activity_at",
    "last_read_at",
    "last_error",
    "agents",
    "messages",
];
const MESSAGE: [&str; 15] = [
    "id",
    "room_id",
    "agent_id",
    "content",
    "role",
    "participant_type",
    "participant_name",
    "thinking",
    "anthropic_calls",
    "timestamp",
    "agent_name",
    "agent_profile_pic",
    "image_data",
    "image_media_type",
    "interrupted",
];
const STATS: [&str; 6] = ["hits", "misses", "total_requests", "hit_rate", "size", "invalidations"];
/// One pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

#[tokio::test]
async fn rooms_are_made_shown_changed_and_deleted() {
    serve(async |client| {
        let room = client.post("/rooms", json!({ "name": "tea", "max_interactions": 5, "unknown": 1 })).await.ok();
        has_exactly(&room, &ROOM);
        assert_eq!((&room["name"], &room["owner_id"], &room["max_interactions"]), (&json!("tea"), &json!("admin"), &json!(5)));
        assert_eq!((&room["is_paused"], &room["is_finished"]), (&json!(false), &json!(false)));
        for field in ["last_activity_at", "last_read_at", "last_error"] {
            assert_eq!(room[field], Value::Null, "{field}");
        }
        is_time(&room["created_at"]);
        let path = format!("/rooms/{}", room["id"]);
        assert_eq!(client.get(&path).await.ok(), room);
        let summaries = client.get("/rooms").await.ok();
        let summary: Vec<_> = ROOM[..10].iter().copied().chain(["has_unread"]).collect();
        has_exactly(&summaries[0], &summary);

        let changed = client.patch(&path, json!({ "name": "coffee" })).await.ok();
        assert_eq!((&changed["name"], &changed["max_interactions"]), (&json!("coffee"), &json!(5)), "an absent field stays");
        let changed = client.patch(&path, json!({ "max_interactions": null })).await.ok();
        assert_eq!(changed["max_interactions"], Value::Null, "null removes the limit");
        assert_eq!(client.post(&format!("{path}/pause"), Value::Null).await.ok()["is_paused"], true);
        assert_eq!(client.get(&path).await.ok()["is_paused"], true);
        assert_eq!(client.post(&format!("{path}/resume"), Value::Null).await.ok()["is_paused"], false);
        assert_eq!(client.patch(&path, json!({ "is_finished": true })).await.ok()["is_finished"], true);
        client.post(&format!("{path}/messages/send"), json!({ "content": "more", "role": "user" })).await.ok();
        assert_eq!(client.get(&path).await.ok()["is_finished"], false, "a message from a user clears it");

        assert_eq!(client.get("/rooms").await.ok()[0]["has_unread"], true);
        let marked = client.post(&format!("{path}/mark-read"), Value::Null).await.ok();
        has_exactly(&marked, &["message", "last_read_at"]);
        is_time(&marked["last_read_at"]);
        let read = client.get("/rooms").await.ok();
        assert_eq!((&read[0]["has_unread"], &read[0]["last_read_at"]), (&json!(false), &marked["last_read_at"]));

        has_exactly(&client.delete(&path).await.ok(), &["message"]);
        client.get(&path).await.refused(404);
        assert_eq!(client.get("/rooms").await.ok(), json!([]));
        let next = client.post("/rooms", json!({ "name": "coffee" })).await.ok();
        assert!(next["id"].as_i64() > room["id"].as_i64(), "an id is never used twice");
    })
    .await;
}

#[tokio::test]
async fn rooms_with_unread_messages_come_first_and_then_the_latest_active() {
    serve(async |client| {
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(client.post("/rooms", json!({ "name": name })).await.ok()["id"].as_i64().unwrap());
        }
        for id in [ids[1], ids[0]] {
            send(client, id, "hello").await;
        }
        client.post(&format!("/rooms/{}/mark-read", ids[0]), Value::Null).await.ok();
        let order: Vec<_> = client.get("/rooms").await.ok().as_array().unwrap().iter().map(|room| room["id"].as_i64().unwrap()).collect();
        assert_eq!(order, [ids[1], ids[0], ids[2]]);
    })
    .await;
}

#[tokio::test]
async fn agents_are_made_shown_changed_and_deleted() {
    serve_with(async |client, server| {
        let body = json!({
            "name": "하늘", "group": "Guests", "in_a_nutshell": "calm", "characteristics": "slow",
            "recent_events": "- [2026-01-02] met Ada", "is_critic": true, "interrupt_every_turn": true, "priority": 3,
            "transparent": true, "profile_pic": format!("data:image/png;base64,{PNG}"),
        });
        let agent = client.post("/agents", body.clone()).await.ok();
        has_exactly(&agent, &AGENT);
        for (field, value) in body.as_object().unwrap().iter().filter(|(field, _)| *field != "profile_pic") {
            assert_eq!(agent[field], *value, "{field}");
        }
        assert!(agent["profile_pic"].as_str().is_some_and(|picture| !picture.is_empty()));
        assert!(agent["system_prompt"].as_str().unwrap().contains("calm"));
        assert_eq!((&agent["config_file"], &agent["session_id"]), (&json!("Guests/하늘/agent.yaml"), &Value::Null));
        is_time(&agent["created_at"]);
        let path = format!("/agents/{}", agent["id"]);
        assert_eq!(client.get(&path).await.ok(), agent);
        assert_eq!(client.get("/agents").await.ok(), json!([agent]));

        let picture = client.get("/agents/하늘/profile-pic").await;
        assert_eq!((picture.status.as_u16(), picture.header("content-type")), (200, "image/png"));
        assert!(picture.body.starts_with(b"\x89PNG"));
        client.get("/agents/nobody/profile-pic").await.refused(404);
        client.get("/agents/..%2F..%2Fgreenroom.db/profile-pic").await.refused(404);

        let changed = client.patch(&path, json!({ "name": "Zoë", "in_a_nutshell": "quick", "group": null })).await.ok();
        assert_eq!((&changed["name"], &changed["in_a_nutshell"], &changed["group"]), (&json!("Zoë"), &json!("quick"), &Value::Null));
        assert_eq!(changed["characteristics"], "slow", "an absent field stays");
        assert_eq!(client.get("/agents/configs").await.ok(), json!({ "configs": { "Zoë": "Zoë/agent.yaml" } }));

        has_exactly(&client.post(&format!("{path}/memory"), json!({ "text": "lost a hat" })).await.ok(), &["message"]);
        let events = client.get(&path).await.ok()["recent_events"].as_str().unwrap().to_owned();
        assert!(events.starts_with("- [2026-01-02] met Ada\n- [") && events.ends_with("] lost a hat"), "{events}");

        let file = server.folder().join("agents/Zoë/agent.yaml");
        let good = fs::read_to_string(&file).unwrap();
        fs::write(&file, good.replace("quick", "edited")).unwrap();
        assert_eq!(client.post(&format!("{path}/reload"), Value::Null).await.ok()["in_a_nutshell"], "edited");
        assert_eq!(client.get(&path).await.ok()["in_a_nutshell"], "edited");
        fs::write(&file, "in_a_nutshell: [").unwrap();
        client.post(&format!("{path}/reload"), Value::Null).await.refused(400);
        assert_eq!(client.get(&path).await.ok()["in_a_nutshell"], "edited", "the last good configuration stays");
        fs::write(&file, good).unwrap();

        let direct = client.get(&format!("{path}/direct-room")).await.ok();
        has_exactly(&direct, &ROOM);
        assert_eq!((&direct["name"], &direct["agents"][0]["id"]), (&json!("Direct: Zoë"), &agent["id"]));
        assert_eq!(client.get(&format!("{path}/direct-room")).await.ok()["id"], direct["id"]);

        has_exactly(&client.delete(&path).await.ok(), &["message"]);
        client.get(&path).await.refused(404);
        assert_eq!(client.get("/agents").await.ok(), json!([]));
        let aside = server.folder().join(format!("agents/.deleted/Zoë-{}", agent["id"]));
        assert!(aside.join("agent.yaml").is_file(), "set aside, never erased");
        assert!(client.post("/agents", json!({ "name": "Zoë" })).await.ok()["id"].as_i64() > agent["id"].as_i64());
    })
    .await;
}

#[tokio::test]
async fn an_agent_is_made_of_files_that_are_there() {
    serve_with(async |client, server| {
        let folder = server.folder().join("agents/Group/Ada");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("agent.yaml"), "in_a_nutshell: found\n").unwrap();
        assert_eq!(client.get("/agents/configs").await.ok(), json!({ "configs": { "Ada": "Group/Ada/agent.yaml" } }));
        let body = json!({ "config_file": "Group/Ada/agent.yaml" });
        let agent = client.post("/agents", body.clone()).await.ok();
        assert_eq!((&agent["name"], &agent["group"], &agent["in_a_nutshell"]), (&json!("Ada"), &json!("Group"), &json!("found")));
        client.post("/agents", body).await.refused(409);
        client.post("/agents", json!({ "config_file": "Group/Bob/agent.yaml" })).await.refused(404);
        client.post("/agents", json!({ "config_file": "../Ada/agent.yaml" })).await.refused(422);
    })
    .await;
}

#[tokio::test]
async fn agents_join_and_leave_rooms() {
    serve(async |client| {
        let agent = client.post("/agents", json!({ "name": "Ada" })).await.ok();
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"].as_i64().unwrap();
        let members = format!("/rooms/{room}/agents");
        let member = format!("{members}/{}", agent["id"]);
        assert_eq!(client.get(&members).await.ok(), json!([]));
        for _ in 0..2 {
            let shown = client.post(&member, Value::Null).await.ok();
            has_exactly(&shown, &ROOM);
            assert_eq!((shown["agents"].as_array().unwrap().len(), &shown["messages"]), (1, &json!([])));
        }
        has_exactly(&client.get(&members).await.ok()[0], &AGENT);
        has_exactly(&client.delete(&member).await.ok(), &["message"]);
        client.delete(&member).await.refused(404);
        send(client, room, "hello").await;
        client.post(&member, Value::Null).await.ok();
        let joined = &client.get(&format!("/rooms/{room}/messages")).await.ok()[1];
        assert_eq!((&joined["content"], &joined["participant_type"]), (&json!("Ada joined the chat"), &json!("system")));
        client.delete(&format!("/agents/{}", agent["id"])).await.ok();
        assert_eq!(client.get(&members).await.ok(), json!([]));
        client.post(&member, Value::Null).await.refused(404);
        client.delete(&member).await.ok();
    })
    .await;
}

#[tokio::test]
async fn messages_are_sent_shown_and_cleared() {
    serve(async |client| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"].as_i64().unwrap();
        let path = format!("/rooms/{room}/messages");
        let body = json!({
            "content": "hello", "role": "user", "participant_type": "character", "participant_name": "Queen",
            "image_data": PNG, "image_media_type": "image/png", "mentioned_agent_ids": [1],
        });
        let sent = client.post(&format!("{path}/send"), body.clone()).await.ok();
        has_exactly(&sent, &MESSAGE);
        for (field, value) in body.as_object().unwrap().iter().filter(|(field, _)| *field != "mentioned_agent_ids") {
            assert_eq!(sent[field], *value, "{field}");
        }
        assert_eq!((&sent["room_id"], &sent["interrupted"], &sent["agent_id"]), (&json!(room), &json!(false), &Value::Null));
        is_time(&sent["timestamp"]);
        assert_eq!(client.get(&path).await.ok(), json!([sent]));
        assert_eq!(client.get(&format!("/rooms/{room}")).await.ok()["messages"], json!([sent]));
        assert_eq!(client.get(&format!("/rooms/{room}")).await.ok()["last_activity_at"], sent["timestamp"]);
        let mut ids = vec![sent["id"].as_i64().unwrap()];
        for number in 1..6 {
            ids.push(send(client, room, &number.to_string()).await);
        }
        assert_eq!(shown(&client.get(&format!("{path}?limit=2")).await), ids[4..]);
        assert_eq!(shown(&client.get(&format!("{path}?limit=2&before={}", ids[3])).await), ids[1..3]);
        assert_eq!(shown(&client.get(&format!("{path}?before={}", ids[3])).await), ids[..3]);
        assert_eq!(shown(&client.get(&format!("{path}?limit=99999999999999999999999")).await), ids, "above the greatest is the greatest");
        assert_eq!(client.get(&format!("/rooms/{room}/critic-messages")).await.ok(), json!([]));
        assert_eq!(client.get(&format!("/rooms/{room}/chatting-agents")).await.ok(), json!({ "chatting_agents": [] }));
        has_exactly(&client.delete(&path).await.ok(), &["message"]);
        assert_eq!(client.get(&path).await.ok(), json!([]));
        assert!(send(client, room, "again").await > ids[5], "an id is never used twice");
    })
    .await;
}

#[tokio::test]
async fn critics_messages_are_those_of_agents_that_are_critics_now() {
    serve_with(async |client, server| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"].as_i64().unwrap();
        let ports = &server.app().cache.repositories;
        let mut said = Vec::new();
        for (name, is_critic) in [("Ada", true), ("Bob", false)] {
            let agent = client.post("/agents", json!({ "name": name, "is_critic": is_critic })).await.ok()["id"].as_i64().unwrap();
            client.post(&format!("/rooms/{room}/agents/{agent}"), Value::Null).await.ok();
            let new = domain::NewMessage::from_agent(domain::RoomId(room), domain::AgentId(agent), name);
            said.push((agent, ports.messages.append(new).await.unwrap().id.0));
        }
        let path = format!("/rooms/{room}/critic-messages");
        let answer = client.get(&path).await;
        has_exactly(&answer.ok()[0], &MESSAGE);
        assert_eq!((shown(&answer), &answer.ok()[0]["agent_name"]), (vec![said[0].1], &json!("Ada")));
        client.patch(&format!("/agents/{}", said[1].0), json!({ "is_critic": true, "name": "Bobby" })).await.ok();
        let answer = client.get(&path).await;
        assert_eq!((shown(&answer), &answer.ok()[1]["agent_name"]), (vec![said[0].1, said[1].1], &json!("Bobby")));
    })
    .await;
}

#[tokio::test]
async fn a_poll_gives_the_oldest_messages_above_an_id_or_the_newest() {
    serve(async |client| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"].as_i64().unwrap();
        let path = format!("/rooms/{room}/messages/poll");
        assert_eq!(client.get(&path).await.ok(), json!([]));
        assert_eq!(client.get(&format!("{path}?wait=0.01")).await.ok(), json!([]), "nothing came");
        let mut ids = Vec::new();
        for number in 0..105 {
            ids.push(send(client, room, &number.to_string()).await);
        }
        assert_eq!(shown(&client.get(&path).await), ids[5..], "the newest 100");
        assert_eq!(shown(&client.get(&format!("{path}?since_id=0")).await), ids[..100], "the oldest 100");
        assert_eq!(shown(&client.get(&format!("{path}?limit=3")).await), ids[102..]);
        assert_eq!(shown(&client.get(&format!("{path}?since_id={}&limit=3", ids[9])).await), ids[10..13]);
        assert_eq!(shown(&client.get(&format!("{path}?since_id={}&limit=5000", ids[0])).await), ids[1..]);
        assert_eq!(shown(&client.get(&format!("{path}?since_id={}&wait=30", ids[103])).await), ids[104..], "there is something at once");
        assert_eq!(client.get(&format!("{path}?since_id={}", ids[104])).await.ok(), json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_waiting_poll_is_answered_by_a_message_that_is_sent_meanwhile() {
    serve_with(async |client, server| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"].as_i64().unwrap();
        let first = send(client, room, "first").await;
        let path = format!("/rooms/{room}/messages/poll?since_id={first}&wait=30");
        let waiting = waits(server, &path, room, false).await;
        let second = send(client, room, "second").await;
        assert_eq!(shown(&soon(waiting).await), [second]);
        let waiting = waits(server, &format!("/rooms/{room}/messages/poll?since_id={second}&wait=30"), room, true).await;
        let third = send(client, room, "third").await;
        assert_eq!(shown(&soon(waiting).await), [third]);
    })
    .await;
}

#[tokio::test]
async fn a_wait_in_a_room_that_is_deleted_meanwhile_ends_with_404() {
    serve_with(async |client, server| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"].as_i64().unwrap();
        let waiting = waits(server, &format!("/rooms/{room}/messages/poll?since_id=0&wait=30"), room, false).await;
        client.delete(&format!("/rooms/{room}")).await.ok();
        soon(waiting).await.refused(404);
    })
    .await;
}

#[tokio::test]
async fn a_room_of_1200_messages_is_streamed_as_one_list() {
    serve_with(async |client, server| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"].as_i64().unwrap();
        let ports = &server.app().cache.repositories;
        let mut ids = Vec::new();
        for number in 0..1_200 {
            let new = domain::NewMessage::from_user(domain::RoomId(room), number.to_string());
            ids.push(ports.messages.append(new).await.unwrap().id.0);
        }
        let answer = client.get(&format!("/rooms/{room}/messages")).await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("content-length"), "", "it is streamed");
        assert_eq!(shown(&answer), ids);
        has_exactly(&answer.ok()[1_199], &MESSAGE);
        for end in [500, 501, 1_000] {
            let before = client.get(&format!("/rooms/{room}/messages?before={}", ids[end])).await;
            assert_eq!(shown(&before), ids[..end], "before message {end}");
        }
        assert_eq!(shown(&client.get(&format!("/rooms/{room}/messages?limit=1000")).await), ids[200..]);
        assert_eq!(client.get(&format!("/rooms/{room}")).await.ok()["messages"].as_array().unwrap().len(), 200);
    })
    .await;
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_by_its_status() {
    serve(async |client| {
        client.post("/rooms", json!({ "name": "taken" })).await.ok();
        client.post("/rooms", json!({ "name": "tea" })).await.ok();
        client.post("/agents", json!({ "name": "Taken" })).await.ok();
        client.post("/agents", json!({ "name": "Ada" })).await.ok();
        let send = |change: Value| {
            let mut body = json!({ "content": "hello", "role": "user" });
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            body
        };
        let none = Value::Null;
        #[rustfmt::skip] // One row a line.
        let rows = [
            ("POST",   "/rooms", json!({ "name": "taken" }), 409),
            ("POST",   "/rooms", json!({ "name": "  " }), 422),
            ("POST",   "/rooms", json!({}), 422),
            ("POST",   "/rooms", json!({ "name": 7 }), 422),
            ("POST",   "/rooms", json!([]), 422),
            ("POST",   "/rooms", json!({ "name": "a", "max_interactions": -1 }), 422),
            ("GET",    "/rooms/99", none.clone(), 404),
            ("GET",    "/rooms/0", none.clone(), 422),
            ("GET",    "/rooms/-1", none.clone(), 422),
            ("GET",    "/rooms/x", none.clone(), 422),
            ("PATCH",  "/rooms/99", json!({}), 404),
            ("PATCH",  "/rooms/2", json!({ "name": "taken" }), 409),
            ("PATCH",  "/rooms/2", json!({ "name": "" }), 422),
            ("PATCH",  "/rooms/2", json!({ "max_interactions": -1 }), 422),
            ("PATCH",  "/rooms/2", json!({ "is_paused": "yes" }), 422),
            ("POST",   "/rooms/99/pause", none.clone(), 404),
            ("POST",   "/rooms/99/resume", none.clone(), 404),
            ("POST",   "/rooms/99/mark-read", none.clone(), 404),
            ("DELETE", "/rooms/99", none.clone(), 404),
            ("DELETE", "/rooms/x", none.clone(), 422),
            ("GET",    "/rooms/99/agents", none.clone(), 404),
            ("POST",   "/rooms/2/agents/99", none.clone(), 404),
            ("POST",   "/rooms/99/agents/1", none.clone(), 404),
            ("POST",   "/rooms/2/agents/x", none.clone(), 422),
            ("DELETE", "/rooms/2/agents/1", none.clone(), 404),
            ("DELETE", "/rooms/99/agents/1", none.clone(), 404),
            ("GET",    "/rooms/99/messages", none.clone(), 404),
            ("GET",    "/rooms/2/messages?limit=0", none.clone(), 422),
            ("GET",    "/rooms/2/messages?limit=x", none.clone(), 422),
            ("GET",    "/rooms/2/messages?before=x", none.clone(), 422),
            ("DELETE", "/rooms/99/messages", none.clone(), 404),
            ("GET",    "/rooms/99/messages/poll", none.clone(), 404),
            ("GET",    "/rooms/2/messages/poll?since_id=x", none.clone(), 422),
            ("GET",    "/rooms/2/messages/poll?limit=0", none.clone(), 422),
            ("GET",    "/rooms/2/messages/poll?wait=-1", none.clone(), 422),
            ("GET",    "/rooms/2/messages/poll?wait=x", none.clone(), 422),
            ("GET",    "/rooms/2/messages/poll?wait=NaN", none.clone(), 422),
            ("GET",    "/rooms/99/chatting-agents", none.clone(), 404),
            ("GET",    "/rooms/99/critic-messages", none.clone(), 404),
            ("POST",   "/rooms/99/messages/send", send(json!({})), 404),
            ("POST",   "/rooms/2/messages/send", json!({ "role": "user" }), 422),
            ("POST",   "/rooms/2/messages/send", json!({ "content": "hello" }), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "role": "assistant" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "role": "nobody" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "participant_type": "agent" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "participant_type": "system" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "participant_type": "x" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "image_data": PNG })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "image_data": "!", "image_media_type": "image/png" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "mentioned_agent_ids": "x" })), 422),
            ("POST",   "/agents", json!({ "name": "Taken" }), 409),
            ("POST",   "/agents", json!({}), 422),
            ("POST",   "/agents", json!({ "name": "../x" }), 422),
            ("POST",   "/agents", json!({ "name": "a", "group": "../x" }), 422),
            ("POST",   "/agents", json!({ "name": "a", "profile_pic": "data:image/png;base64,AAAA" }), 422),
            ("POST",   "/agents", json!({ "name": "a", "profile_pic": "x" }), 422),
            ("POST",   "/agents", json!({ "name": "a", "is_critic": 1 }), 422),
            ("GET",    "/agents/99", none.clone(), 404),
            ("GET",    "/agents/x", none.clone(), 422),
            ("PATCH",  "/agents/99", json!({}), 404),
            ("PATCH",  "/agents/2", json!({ "name": "Taken" }), 409),
            ("PATCH",  "/agents/2", json!({ "name": "" }), 422),
            ("PATCH",  "/agents/2", json!({ "priority": "high" }), 422),
            ("DELETE", "/agents/99", none.clone(), 404),
            ("POST",   "/agents/99/reload", none.clone(), 404),
            ("POST",   "/agents/99/memory", json!({ "text": "hm" }), 404),
            ("POST",   "/agents/2/memory", json!({}), 422),
            ("POST",   "/agents/2/memory", json!({ "text": " " }), 422),
            ("GET",    "/agents/99/direct-room", none.clone(), 404),
            ("GET",    "/agents/Ada/profile-pic", none.clone(), 404),
            ("POST",   "/cache/invalidate", json!({}), 422),
            ("POST",   "/cache/invalidate", json!({ "key": "room_obj:1", "region": "room_obj" }), 422),
            ("POST",   "/cache/invalidate", json!({ "room_id": "x" }), 422),
            ("POST",   "/cache/invalidate", json!({ "region": "nowhere" }), 404),
            ("GET",    "/nowhere", none.clone(), 404),
            ("PUT",    "/rooms", none.clone(), 405),
        ];
        for (method, path, body, status) in rows {
            let text = (!body.is_null()).then(|| body.to_string());
            let answer = client.ask(method.parse().unwrap(), path, text, false).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path} {body}: {}", answer.json());
            let detail = answer.refused(status);
            assert!(!detail.is_empty() && !detail.contains("SELECT"), "{method} {path} {body}: {detail}");
            assert_eq!(answer.header("cache-control"), "no-store", "{method} {path}");
            has_exactly(&answer.json(), &["detail"]);
        }
        let posts =
            ["/rooms", "/rooms/2/messages/send", "/agents", "/agents/2/memory", "/cache/invalidate"].map(|path| (Method::POST, path));
        for (method, path) in posts.into_iter().chain([(Method::PATCH, "/rooms/2"), (Method::PATCH, "/agents/2")]) {
            client.ask(method, path, Some("{".into()), false).await.refused(400);
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let server = Running::start(|settings| settings.max_body_bytes = 1_000).await;
    let client = server.client();
    client.post("/rooms", json!({ "name": "tea" })).await.ok();
    let path = "/rooms/1/messages/send";
    client.post(path, json!({ "content": "x".repeat(1_001), "role": "user" })).await.refused(413);
    client.post(path, json!({ "content": "x".repeat(900), "role": "user" })).await.ok();
    server.end().await;
}

#[tokio::test]
async fn a_read_has_the_same_bytes_from_the_store_from_memory_and_past_the_cache() {
    serve_with(async |client, server| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"].as_i64().unwrap();
        let agent = client.post("/agents", json!({ "name": "Ada", "in_a_nutshell": "calm" })).await.ok()["id"].as_i64().unwrap();
        client.post(&format!("/rooms/{room}/agents/{agent}"), Value::Null).await.ok();
        client.post(&format!("/rooms/{room}/mark-read"), Value::Null).await.ok();
        let new = domain::NewMessage::from_agent(domain::RoomId(room), domain::AgentId(agent), "hello");
        server.app().cache.repositories.messages.append(new).await.unwrap();
        for path in [
            "/rooms".to_owned(),
            format!("/rooms/{room}"),
            format!("/rooms/{room}/agents"),
            format!("/rooms/{room}/messages"),
            format!("/rooms/{room}/messages?limit=5"),
            format!("/rooms/{room}/messages/poll"),
            format!("/rooms/{room}/messages/poll?since_id=0"),
            "/agents".to_owned(),
            format!("/agents/{agent}"),
        ] {
            client.post("/cache/clear", Value::Null).await.ok();
            let past = client.get_past(&path).await;
            let size = client.get("/cache/stats").await.ok()["size"].clone();
            assert_eq!((past.is_hit(), size), (Some(false), json!(0)), "{path}: a bypass stores nothing");
            let (miss, hit, past_again) = (client.get(&path).await, client.get(&path).await, client.get_past(&path).await);
            assert_eq!((miss.is_hit(), hit.is_hit(), past_again.is_hit()), (Some(false), Some(true), Some(false)), "{path}");
            for other in [&miss, &hit, &past_again] {
                assert_eq!(other.body, past.body, "{path}");
                let stored = if path == "/agents" { "private, no-cache" } else { "no-store" };
                assert_eq!((other.status, other.header("cache-control")), (past.status, stored), "{path}");
                assert_eq!(other.header("etag"), past.header("etag"), "{path}");
            }
            past.ok();
        }
        let chatting = client.get(&format!("/rooms/{room}/chatting-agents")).await;
        assert_eq!(chatting.is_hit(), Some(true));
        assert_eq!(client.get(&format!("/rooms/{room}/critic-messages")).await.is_hit(), Some(false));
    })
    .await;
}

#[tokio::test]
async fn the_list_of_agents_is_not_sent_again_to_who_has_it() {
    serve(async |client| {
        let agent = client.post("/agents", json!({ "name": "Ada" })).await.ok()["id"].as_i64().unwrap();
        let first = client.get("/agents").await;
        let tag = first.header("etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let again = client.get_if_none_match("/agents", &known).await;
            assert_eq!((again.status.as_u16(), again.body.len(), again.header("etag")), (304, 0, &*tag), "{known}");
            assert_eq!((again.header("cache-control"), again.is_hit()), ("private, no-cache", Some(true)));
        }
        client.patch(&format!("/agents/{agent}"), json!({ "in_a_nutshell": "calm" })).await.ok();
        let changed = client.get_if_none_match("/agents", &tag).await;
        assert_eq!(changed.ok()[0]["in_a_nutshell"], "calm");
        assert_ne!(changed.header("etag"), tag);
    })
    .await;
}

#[tokio::test]
async fn a_bypass_counts_neither_as_a_hit_nor_as_a_miss() {
    serve(async |client| {
        client.post("/rooms", json!({ "name": "tea" })).await.ok();
        client.post("/cache/clear", Value::Null).await.ok();
        let total = |stats: &Value| stats["total_requests"].clone();
        let before = client.get("/cache/stats").await.ok();
        client.get_past("/rooms").await.ok();
        client.get_past("/rooms/1").await.ok();
        let after = client.get("/cache/stats").await.ok();
        assert_eq!(total(&after), total(&before));
    })
    .await;
}

#[tokio::test]
async fn the_cache_tells_its_statistics_and_is_emptied_by_hand() {
    serve(async |client| {
        let fresh = client.get("/cache/stats").await.ok();
        has(&fresh, &STATS);
        assert_eq!((&fresh["hits"], &fresh["hit_rate"]), (&json!(0), &json!(0.0)));
        let regions = fresh["regions"].as_object().unwrap();
        assert_eq!(regions.keys().collect::<Vec<_>>(), {
            let mut names: Vec<_> = cache_adapter::rows().iter().map(|row| row.region).collect();
            names.sort_unstable();
            names
        });
        for region in regions.values() {
            has(region, &STATS);
            has(region, &["loads", "load_failures", "refused_stores", "evictions", "weight", "ttl_seconds"]);
        }
        for name in ["a", "b"] {
            client.post("/rooms", json!({ "name": name })).await.ok();
        }
        client.post("/cache/clear", Value::Null).await.ok();
        let before = client.get("/cache/stats").await.ok()["regions"]["room_obj"].clone();
        for path in ["/rooms/1/agents", "/rooms/1/agents", "/rooms/1/agents", "/rooms/2/agents"] {
            client.get(path).await.ok();
        }
        let after = client.get("/cache/stats").await.ok()["regions"]["room_obj"].clone();
        let gained = |field: &str| after[field].as_u64().unwrap() - before[field].as_u64().unwrap();
        assert_eq!((gained("hits"), gained("misses"), gained("total_requests"), gained("loads")), (2, 2, 4, 2));
        assert_eq!(after["size"], 2);

        let invalidate = async |body: Value| {
            let answer = client.post("/cache/invalidate", body).await.ok();
            has_exactly(&answer, &["invalidated"]);
            answer["invalidated"].as_u64().unwrap()
        };
        assert_eq!(invalidate(json!({ "key": "room_obj:1" })).await, 1);
        assert_eq!(invalidate(json!({ "key": "room_obj:1" })).await, 0);
        let removed = client.get("/cache/stats").await.ok()["regions"]["room_obj"].clone();
        assert_eq!(removed["invalidations"].as_u64().unwrap() - after["invalidations"].as_u64().unwrap(), 1);
        assert_eq!(client.get("/rooms/1").await.is_hit(), Some(false));
        assert_eq!(invalidate(json!({ "prefix": "room_obj:" })).await, 2);
        client.get("/rooms/1").await.ok();
        assert_eq!(invalidate(json!({ "pattern": "room_o?j:*" })).await, 1);
        client.get("/rooms/1").await.ok();
        assert_eq!(invalidate(json!({ "region": "room_obj", "key": null })).await, 1);
        client.get("/rooms/1").await.ok();
        assert!(invalidate(json!({ "room_id": 1 })).await >= 2, "over all regions");
        assert_eq!(client.get("/rooms/1").await.is_hit(), Some(false));
        client.post("/agents", json!({ "name": "Ada" })).await.ok();
        client.get("/agents/1").await.ok();
        assert_eq!(invalidate(json!({ "agent_id": 1 })).await, 2, "identity and configuration");
        let size = client.get("/cache/stats").await.ok()["size"].clone();
        assert_eq!(client.post("/cache/clear", Value::Null).await.ok(), json!({ "cleared": size }));
        assert_eq!(client.post("/cache/cleanup", Value::Null).await.ok(), json!({ "removed": 0 }));
    })
    .await;
}

#[tokio::test]
async fn the_server_tells_that_it_is_well() {
    serve(async |client| assert_eq!(client.get("/health").await.ok(), json!({ "status": "healthy" }))).await;
}

/// Runs a test against a server of its own.
async fn serve(test: impl AsyncFnOnce(&Client)) {
    serve_with(async |client, _| test(client).await).await;
}

async fn serve_with(test: impl AsyncFnOnce(&Client, &Running)) {
    let server = Running::start(|_| {}).await;
    test(&server.client(), &server).await;
    server.end().await;
}

async fn send(client: &Client, room: i64, content: &str) -> i64 {
    let body = json!({ "content": content, "role": "user" });
    client.post(&format!("/rooms/{room}/messages/send"), body).await.ok()["id"].as_i64().unwrap()
}

/// A poll that has begun to wait.
async fn waits(server: &Running, path: &str, room: i64, past: bool) -> tokio::task::JoinHandle<Answer> {
    let (client, path) = (server.client(), path.to_owned());
    let waiting = tokio::spawn(async move { client.ask(Method::GET, &path, None, past).await });
    while server.app().cache.waiting(domain::RoomId(room)) == 0 {
        tokio::task::yield_now().await;
    }
    waiting
}

/// What is answered long before the wait is over.
async fn soon(waiting: impl Future<Output = Result<Answer, tokio::task::JoinError>>) -> Answer {
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it is answered at once").unwrap()
}

fn shown(answer: &Answer) -> Vec<i64> {
    answer.ok().as_array().unwrap().iter().map(|message| message["id"].as_i64().unwrap()).collect()
}

fn has(object: &Value, fields: &[&str]) {
    for field in fields {
        assert!(object.get(field).is_some(), "{field} is missing in {object}");
    }
}

fn has_exactly(object: &Value, fields: &[&str]) {
    has(object, fields);
    assert_eq!(object.as_object().unwrap().len(), fields.len(), "{object} has more than {fields:?}");
}

/// ISO 8601 in UTC with a `Z`.
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a time"));
    assert!(text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok(), "{text}");
}
