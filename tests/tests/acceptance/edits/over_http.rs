//! Edits by hand, combined with writes over HTTP.

use std::fs;

use serde_json::json;
use tests::{records::PIXEL_PNG, server::TestServer, wait::soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_edits_show_writes_to_unwritable_files_are_409_and_pictures_have_an_etag() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let picture = format!("data:image/png;base64,{PIXEL_PNG}");
    let agent = client
        .post("/agents", json!({ "name": "Ada", "profile_pic": picture }))
        .await
        .ok();
    let (id, path) = (&agent["id"], format!("/agents/{}", agent["id"]));
    let folder = server.folder().join("agents/Ada");
    let save = |text: String| fs::write(folder.join("agent.yaml"), text).unwrap();

    save(format!(
        "id: {id}\n# mine\ncharacteristics: by hand # why\nprofile_pic: profile.png\n"
    ));
    let shows_edit = async || {
        let agent = client.get(&path).await.ok();
        agent["system_prompt"].as_str().unwrap().contains("by hand")
    };
    let reaches_prompt = async { while !shows_edit().await {} };
    soon("an edit reaches the system prompt", reaches_prompt).await;
    client
        .patch(&path, json!({ "characteristics": "by PATCH" }))
        .await
        .ok();
    let text = fs::read_to_string(folder.join("agent.yaml")).unwrap();
    assert_eq!(
        text,
        format!("id: {id}\n# mine\ncharacteristics: by PATCH # why\nprofile_pic: profile.png\n")
    );
    assert_eq!(
        client.get("/agents/config-errors").await.ok(),
        json!({ "errors": {} })
    );

    let shown = client.get("/agents/Ada/profile-pic").await;
    assert_eq!(
        (shown.header("content-type"), shown.header("cache-control")),
        ("image/png", "private, no-cache")
    );
    let again = client
        .get_if_none_match("/agents/Ada/profile-pic", shown.header("etag"))
        .await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    fs::write(folder.join("profile.png"), "<script>").unwrap();
    client.get("/agents/Ada/profile-pic").await.refused(404);

    save(format!(
        "id: {id}\nin_a_nutshell: &a x\ncharacteristics: *a\n"
    ));
    client
        .patch(&path, json!({ "in_a_nutshell": "y" }))
        .await
        .refused(409);
    save("priority: high\n".into());
    client
        .patch(&path, json!({ "in_a_nutshell": "y" }))
        .await
        .refused(409);
    let errors = client.get("/agents/config-errors").await.ok();
    assert!(
        errors["errors"]["Ada"]
            .as_str()
            .unwrap()
            .contains("agent.yaml, line 1, column 11: priority: expected a whole number"),
        "{errors}"
    );
    client
        .post(&format!("{path}/reload"), json!({}))
        .await
        .refused(400);
    assert_eq!(client.get(&path).await.ok()["name"], "Ada");
    server.end().await;
}
