//! Agents, their files and pictures.

use std::fs;

use serde_json::{Value, json};

use tests::{records::PIXEL_PNG, response::id_of};

use super::{AGENT, ROOM, assert_has_exactly, assert_is_time, on_each_database, on_each_server};

#[tokio::test]
async fn agents_are_created_shown_changed_and_deleted() {
    on_each_server(async |client, server| {
        let body = json!({
            "name": "하늘",
            "group": "Guests",
            "in_a_nutshell": "calm",
            "characteristics": "slow",
            "recent_events": "- [2026-01-02] met Ada",
            "is_critic": true,
            "interrupt_every_turn": true,
            "priority": 3,
            "transparent": true,
            "profile_pic": format!("data:image/png;base64,{PIXEL_PNG}"),
        });
        let agent = client.post("/agents", body.clone()).await.ok();
        assert_has_exactly(&agent, &AGENT);
        let fields = body.as_object().unwrap().iter();
        for (field, value) in fields.filter(|(field, _)| *field != "profile_pic") {
            assert_eq!(agent[field], *value, "{field}");
        }
        assert!(
            agent["profile_pic"]
                .as_str()
                .is_some_and(|picture| !picture.is_empty())
        );
        assert!(agent["system_prompt"].as_str().unwrap().contains("calm"));
        assert_eq!(agent["config_file"], "Guests/하늘/agent.yaml");
        assert_eq!(agent["session_id"], Value::Null);
        assert_is_time(&agent["created_at"]);
        let path = format!("/agents/{}", agent["id"]);
        assert_eq!(client.get(&path).await.ok(), agent);
        assert_eq!(client.get("/agents").await.ok(), json!([agent]));

        let picture = client.get("/agents/하늘/profile-pic").await;
        assert_eq!(
            (picture.status.as_u16(), picture.header("content-type")),
            (200, "image/png")
        );
        assert!(picture.body.starts_with(b"\x89PNG"));
        client.get("/agents/nobody/profile-pic").await.refused(404);
        client
            .get("/agents/..%2F..%2Fgreenroom.db/profile-pic")
            .await
            .refused(404);

        let change = json!({ "name": "Zoë", "in_a_nutshell": "quick", "group": null });
        let changed = client.patch(&path, change.clone()).await.ok();
        for field in ["name", "in_a_nutshell", "group"] {
            assert_eq!(changed[field], change[field], "{field}");
        }
        assert_eq!(
            changed["characteristics"], "slow",
            "a missing field must not change"
        );
        let configs = client.get("/agents/configs").await.ok();
        assert_eq!(configs, json!({ "configs": { "Zoë": "Zoë/agent.yaml" } }));

        let memory = json!({ "text": "lost a hat" });
        let remembered = client.post(&format!("{path}/memory"), memory).await.ok();
        assert_has_exactly(&remembered, &["message"]);
        let shown = client.get(&path).await.ok();
        let events = shown["recent_events"].as_str().unwrap();
        assert!(
            events.starts_with("- [2026-01-02] met Ada\n- [") && events.ends_with("] lost a hat"),
            "{events}"
        );

        let file = server.folder().join("agents/Zoë/agent.yaml");
        let good = fs::read_to_string(&file).unwrap();
        fs::write(&file, good.replace("quick", "edited")).unwrap();
        let reload = format!("{path}/reload");
        let reloaded = client.post(&reload, Value::Null).await.ok();
        assert_eq!(reloaded["in_a_nutshell"], "edited");
        assert_eq!(client.get(&path).await.ok()["in_a_nutshell"], "edited");
        fs::write(&file, "in_a_nutshell: [").unwrap();
        client.post(&reload, Value::Null).await.refused(400);
        assert_eq!(
            client.get(&path).await.ok()["in_a_nutshell"],
            "edited",
            "the last good persona must stay in force"
        );
        fs::write(&file, good).unwrap();

        let direct = client.get(&format!("{path}/direct-room")).await.ok();
        assert_has_exactly(&direct, &ROOM);
        assert_eq!(direct["name"], "Direct: Zoë");
        assert_eq!(direct["agents"][0]["id"], agent["id"]);
        let again = client.get(&format!("{path}/direct-room")).await.ok();
        assert_eq!(again["id"], direct["id"]);

        assert_has_exactly(&client.delete(&path).await.ok(), &["message"]);
        client.get(&path).await.refused(404);
        assert_eq!(client.get("/agents").await.ok(), json!([]));
        let deleted = format!("agents/.deleted/Zoë-{}/agent.yaml", agent["id"]);
        assert!(
            server.folder().join(deleted).is_file(),
            "the files of a deleted agent must be kept"
        );
        assert!(client.create_agent("Zoë").await > id_of(&agent));
    })
    .await;
}

#[tokio::test]
async fn an_agent_is_created_from_existing_files() {
    on_each_server(async |client, server| {
        let folder = server.folder().join("agents/Group/Ada");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("agent.yaml"), "in_a_nutshell: found\n").unwrap();
        assert_eq!(
            client.get("/agents/configs").await.ok(),
            json!({ "configs": { "Ada": "Group/Ada/agent.yaml" } })
        );
        let body = json!({ "config_file": "Group/Ada/agent.yaml" });
        let agent = client.post("/agents", body.clone()).await.ok();
        assert_eq!(
            (&agent["name"], &agent["group"], &agent["in_a_nutshell"]),
            (&json!("Ada"), &json!("Group"), &json!("found"))
        );
        client.post("/agents", body).await.refused(409);
        client
            .post("/agents", json!({ "config_file": "Group/Bob/agent.yaml" }))
            .await
            .refused(404);
        client
            .post("/agents", json!({ "config_file": "../Ada/agent.yaml" }))
            .await
            .refused(422);
    })
    .await;
}

#[tokio::test]
async fn the_list_of_agents_is_not_sent_again_to_a_client_that_has_its_etag() {
    on_each_database(async |client| {
        let agent = client.create_agent("Ada").await;
        let first = client.get("/agents").await;
        let tag = first.header("etag").to_owned();
        for tags in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"other\", {tag}"),
            "*".to_owned(),
        ] {
            let again = client.get_if_none_match("/agents", &tags).await;
            assert_eq!(
                (
                    again.status.as_u16(),
                    again.body.len(),
                    again.header("etag")
                ),
                (304, 0, &*tag),
                "{tags}"
            );
            assert_eq!(
                (again.header("cache-control"), again.is_hit()),
                ("private, no-cache", Some(true))
            );
        }
        client
            .patch(
                &format!("/agents/{agent}"),
                json!({ "in_a_nutshell": "calm" }),
            )
            .await
            .ok();
        let changed = client.get_if_none_match("/agents", &tag).await;
        assert_eq!(changed.ok()[0]["in_a_nutshell"], "calm");
        assert_ne!(changed.header("etag"), tag);
    })
    .await;
}
