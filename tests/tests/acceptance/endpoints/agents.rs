//! Agents, their files and pictures.

use std::fs;

use serde_json::{Value, json};

use super::{AGENT, PNG, ROOM, has_exactly, is_time, serve, serve_with};

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
async fn the_list_of_agents_is_not_sent_again_to_who_has_it() {
    serve(async |client| {
        let agent = client.post("/agents", json!({ "name": "Ada" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        let first = client.get("/agents").await;
        let tag = first.header("etag").to_owned();
        for known in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"other\", {tag}"),
            "*".to_owned(),
        ] {
            let again = client.get_if_none_match("/agents", &known).await;
            assert_eq!(
                (
                    again.status.as_u16(),
                    again.body.len(),
                    again.header("etag")
                ),
                (304, 0, &*tag),
                "{known}"
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
