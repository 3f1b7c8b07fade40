//! Operators see what the cache does, and act.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::json;
use tests::{
    client::Client,
    decorate::{Around, decorate},
    fake_responder::FakeResponder,
    faulty::{AnswerDelay, StoreFaults},
    server::TestServer,
    wait::until,
};
use tokio::sync::watch;

use crate::{browser::Browser, fixture::Stage};

async fn read(client: &Client, room: i64, times: usize) {
    for _ in 0..times {
        client.get(&format!("/rooms/{room}/agents")).await.ok();
    }
}

/// Chooses an action in the menu of `room_agents`.
async fn choose(browser: &Browser, action: &str) {
    browser
        .click("tr[data-key=room_agents] [aria-haspopup]")
        .await;
    browser.click_text(action).await;
}

/// Returns an expression for the text of a cell of the table of regions.
fn cell(region: &str, label: &str) -> String {
    format!("document.querySelector('tr[data-key={region}] [data-label=\"{label}\"]')?.innerText")
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_show_in_the_table_and_a_region_is_cleared_switched_off_and_on() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let Some(browser) = Browser::open_as_admin("the cache", &server).await else {
        return;
    };
    browser.show("/admin/cache").await;
    browser
        .until(
            "the table",
            "document.querySelector('tr[data-key=room_agents]')",
        )
        .await;
    read(&client, room, 100).await;
    let counts = client.get("/cache/stats").await.json();
    let hits = &counts["regions"]["room_agents"]["hits"];
    assert!(hits.as_u64() >= Some(99), "{hits}");
    let rate = cell("room_agents", "Hit rate");
    browser
        .until(
            "the hits in the table",
            &format!("{rate} === '99%' || {rate} === '100%'"),
        )
        .await;
    let entries = cell("room_agents", "Entries");
    browser
        .until("an entry", &format!("{entries} === '1'"))
        .await;

    choose(&browser, "Clear room_agents").await;
    browser
        .until("a dialog", "document.querySelector('dialog')")
        .await;
    browser
        .type_into("dialog input", "room_agent\u{E007}")
        .await;
    assert_eq!(
        browser
            .run("Boolean(document.querySelector('dialog'))")
            .await,
        json!(true)
    );
    let size = client.get("/cache/stats").await.json()["regions"]["room_agents"]["size"].clone();
    assert_eq!(size, json!(1), "nothing was cleared");
    browser.type_into("dialog input", "s\u{E007}").await;
    browser
        .until("no entry", &format!("{entries} === '0'"))
        .await;

    choose(&browser, "Switch room_agents off").await;
    browser.click("dialog .danger").await;
    let state = cell("room_agents", "State");
    browser
        .until("it is off", &format!("{state} === 'off'"))
        .await;
    browser
        .until(
            "a banner says by whom",
            "document.querySelector('main .bar').innerText.includes('switched off by admin')",
        )
        .await;
    read(&client, room, 3).await;
    assert_eq!(
        client.get("/cache/stats").await.json()["regions"]["room_agents"]["size"],
        json!(0)
    );
    choose(&browser, "Switch room_agents on").await;
    browser
        .until("it is on", &format!("{state} === 'on'"))
        .await;
    read(&client, room, 2).await;
    browser
        .until("an entry again", &format!("{entries} === '1'"))
        .await;
    browser.end().await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_region_are_listed_with_their_age_and_one_is_removed() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    for name in ["tea", "coffee"] {
        let room = client.create_room(name).await;
        read(&client, room, 1).await;
    }
    let Some(browser) = Browser::open_as_admin("the keys", &server).await else {
        return;
    };
    browser.show("/admin/cache").await;
    choose(&browser, "Keys of room_agents").await;
    browser.until_text("2 of 2 keys").await;
    browser
        .type_into("dialog [type=search]", "s:2\u{E007}")
        .await;
    browser.until_text("1 of 1 keys").await;
    let age = "document.querySelector('dialog tr[data-key=\"room_agents:2\"] [data-label=Age]')";
    browser.until("its age", &format!("{age}?.innerText")).await;
    browser
        .click("[aria-label=\"Invalidate room_agents:2\"]")
        .await;
    browser.until_text("No such key is in memory.").await;
    let left = client.get("/cache/keys?region=room_agents").await.ok();
    assert_eq!(left["keys"][0]["key"], "room_agents:1");
    assert_eq!(left["count"], 1);
    browser.end().await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_off_by_hand_stays_off_when_the_store_was_lost_and_is_back() {
    let server = TestServer::start(|_| {}).await;
    let Some(browser) = Browser::open_as_admin("a lost store", &server).await else {
        return;
    };
    browser.show("/admin/cache").await;
    let (by_hand, other) = (cell("room_agents", "State"), cell("agent_list", "State"));
    choose(&browser, "Switch room_agents off").await;
    browser.click("dialog .danger").await;
    browser
        .until("it is off", &format!("{by_hand} === 'off'"))
        .await;
    // The store is not healthy while its file is not where it was.
    let file = server.folder().join("greenroom.db");
    let elsewhere = server.folder().join("elsewhere.db");
    std::fs::rename(&file, &elsewhere).unwrap();
    let lost = format!("{other}?.startsWith('off') && {by_hand}?.startsWith('off')");
    browser.until("all are off", &lost).await;
    std::fs::rename(&elsewhere, &file).unwrap();
    let back = format!("{other} === 'on' && {by_hand} === 'off'");
    browser.until("the others are on again", &back).await;
    browser.end().await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_persona_is_in_another_browser_and_in_the_next_prompt() {
    let responder = FakeResponder::polite();
    let stage = Stage::start(responder.clone()).await;
    let room = stage.room("tea", &["Ada"]).await;
    let server = &stage.server;
    let Some(browser) = Browser::open_as_admin("an edit", server).await else {
        return;
    };
    let Some(other) = Browser::open_as_admin("its reader", server).await else {
        return;
    };
    browser.show("/agents/1").await;
    browser
        .type_into("[name=characteristics]", "Counts clouds.")
        .await;
    browser.click_text("Save").await;
    browser.until_text("Saved").await;
    other.show("/agents/1").await;
    let typed = "document.querySelector('[name=characteristics]')?.value.includes('clouds')";
    other.until("the edit in another browser", typed).await;
    stage.client.send_message(room, "hello").await;
    stage.server.wait_for_answers().await;
    let prompts = responder.prompts();
    let prompt = prompts.last().expect("the agent was asked");
    assert!(
        prompt.system.contains("Counts clouds."),
        "{}",
        prompt.system
    );
    other.end().await;
    browser.end().await;
    stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_moves_neither_focus_nor_scroll_nor_a_form() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let Some(browser) = Browser::open_as_admin("ticks", &server).await else {
        return;
    };
    browser.show("/admin/cache").await;
    browser
        .until(
            "the table",
            "document.querySelector('tr[data-key=room_obj]')",
        )
        .await;
    browser.click_text("Invalidate").await;
    browser.type_into("dialog input", "room_obj:7").await;
    browser
        .run("document.querySelector('main').scrollTop = 120")
        .await;
    let before = browser
        .run("document.querySelector('main').scrollTop")
        .await;
    read(&client, room, 50).await;
    let hit_rate = cell("room_agents", "Hit rate");
    browser
        .until(
            "a tick changes the table",
            &format!("{hit_rate} !== '–' && {hit_rate} !== '0%'"),
        )
        .await;
    assert_eq!(
        browser.run("document.activeElement.value").await,
        json!("room_obj:7")
    );
    assert_eq!(
        browser
            .run("document.querySelector('main').scrollTop")
            .await,
        before
    );
    browser.end().await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_edited_and_a_broken_file_shows_where() {
    let server = TestServer::start(|settings| settings.samples = true).await;
    let client = server.client();
    let Some(browser) = Browser::open_as_admin("an agent", &server).await else {
        return;
    };
    let agents = client.get("/agents").await.json();
    let agent = agents[0].clone();
    let (id, name) = (&agent["id"], agent["name"].as_str().unwrap());
    browser.show(&format!("/agents/{id}")).await;
    browser
        .type_into("[name=in_a_nutshell]", " Likes tea.")
        .await;
    browser.click_text("Save").await;
    browser.until_text("Saved").await;
    let saved = client.get(&format!("/agents/{id}")).await.json();
    assert!(
        saved["in_a_nutshell"]
            .as_str()
            .unwrap()
            .ends_with("Likes tea."),
        "{saved}"
    );

    browser.show(&format!("/agents/{id}")).await;
    browser.type_into("[name=characteristics]", "x").await;
    let change = json!({ "characteristics": "changed by another" });
    client.patch(&format!("/agents/{id}"), change).await.ok();
    browser.click_text("Save").await;
    browser
        .until_text("Somebody else has changed this agent")
        .await;
    browser.click_text("Cancel").await;
    let kept = client.get(&format!("/agents/{id}")).await.json();
    assert_eq!(kept["characteristics"], "changed by another");
    let typed = browser
        .run("document.querySelector('[name=characteristics]').value")
        .await;
    assert!(typed.as_str().unwrap().ends_with('x'), "{typed}");
    browser.click_text("Save").await;
    browser.click_text("Replace").await;
    let path = format!("/agents/{id}");
    loop {
        let replaced = client.get(&path).await.json();
        if replaced["characteristics"] == typed {
            break;
        }
    }

    let file = server
        .folder()
        .join("agents")
        .join(agent["config_file"].as_str().unwrap());
    let file = if file.is_dir() {
        file.join("agent.yaml")
    } else {
        file
    };
    std::fs::write(&file, "in_a_nutshell: [unfinished\n").unwrap();
    browser.show("/admin/files").await;
    browser.until_text(name).await;
    browser.until_text("line 2, column 1").await;
    browser.end().await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pictures_of_the_documentation_can_be_made_and_are_small() {
    let server = TestServer::start(|settings| {
        settings.samples = true;
        settings.answers.responder = "scripted".into();
        settings.answers.pace = Some(std::time::Duration::from_millis(1));
    })
    .await;
    let Some(browser) = Browser::open_as_admin("pictures of the documentation", &server).await
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("GREENROOM_SCREENSHOTS")
        .map_or_else(|| folder.path().to_owned(), std::path::PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    browser.click_text("Open a room").await;
    browser
        .until(
            "a proposed line",
            "document.querySelector('.composer textarea')?.value",
        )
        .await;
    browser.click(".composer .send").await;
    browser
        .until(
            "three answers",
            "document.querySelectorAll('.row .message.agent').length >= 3 && \
             !document.querySelector('.draft')",
        )
        .await;
    picture(&browser, &folder.join("room.png")).await;
    let client = server.client();
    read(&client, 1, 40).await;
    browser.show("/admin/cache").await;
    let rate = cell("room_agents", "Hit rate");
    browser
        .until("figures", &format!("{rate} && {rate} !== '–'"))
        .await;
    picture(&browser, &folder.join("cache.png")).await;
    browser.end().await;
    server.end().await;
}

async fn picture(browser: &Browser, path: &std::path::Path) {
    browser
        .driver
        .screenshot(path)
        .await
        .expect("Chromium makes a picture");
    let length = std::fs::metadata(path).unwrap().len();
    assert!(
        length <= 200 * 1024,
        "{} has {length} bytes",
        path.display()
    );
}

/// Reads of a store, which wait while a test holds them.
struct HeldReads(watch::Receiver<bool>);

impl Around for HeldReads {
    async fn read<'a, T: Send + 'a>(
        &'a self,
        read: BoxFuture<'a, domain::Result<T>>,
    ) -> domain::Result<T> {
        let mut is_held = self.0.clone();
        let free = is_held.wait_for(|is_held| !is_held).await;
        drop(free.expect("the test still runs"));
        read.await
    }

    async fn write<T: Send + 'static>(
        &self,
        write: BoxFuture<'static, domain::Result<T>>,
    ) -> domain::Result<T> {
        write.await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_in_progress_and_a_write_of_unknown_outcome_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("db").display());
    let store = app::open_store(&database, &folder.path().join("agents")).await;
    let faults = StoreFaults::new(1, 0, AnswerDelay::default());
    let (hold, is_held) = watch::channel(false);
    let store = decorate(faults.plant(store.unwrap()), Arc::new(HeldReads(is_held)));
    let server = TestServer::start_over(store, |_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let Some(browser) = Browser::open_as_admin("loads and unknown outcomes", &server).await else {
        return;
    };
    browser.show("/admin/cache").await;
    hold.send_replace(true);
    let reader = client.clone();
    let read = tokio::spawn(async move { reader.get("/agents").await.status });
    until("a load begins", || {
        let stats = server.app().cache.manager.stats();
        stats.iter().any(|region| region.loading > 0)
    })
    .await;
    browser.driver.refresh().await.unwrap();
    let loading = cell("agent_list", "Loading");
    browser
        .until(
            "the load with its age",
            &format!("{loading}?.startsWith('1, oldest ')"),
        )
        .await;
    hold.send_replace(false);
    assert_eq!(read.await.unwrap(), 200);

    faults.hold_writes();
    let rename = json!({ "name": "coffee" });
    client
        .patch(&format!("/rooms/{room}"), rename)
        .await
        .refused(503);
    browser.driver.refresh().await.unwrap();
    let windows = cell("room_obj", "Windows");
    browser
        .until(
            "the unknown outcome in words",
            &format!("{windows}?.includes('of unknown outcome')"),
        )
        .await;
    browser
        .until_text("room_obj has writes of unknown outcome")
        .await;
    faults.apply_held_writes().await;
    browser.end().await;
    server.end().await;
}
