//! Long rooms, many tabs, and servers that end.

use std::time::{Duration, Instant};

use domain::{NewMessage, Repositories, RoomId};
use serde_json::json;
use tests::{
    fake_responder::{FakeResponder, is_silent},
    server::TestServer,
};

use crate::{
    browser::Browser,
    fixture::{OnCommand, Stage},
};

/// The longest time until a page shows that its server is gone.
const NOTICED: Duration = Duration::from_secs(3);
/// The longest time until a page goes on after its server has started.
const RESUMED: Duration = Duration::from_secs(5);

/// Returns the number of messages in a long room: 10,000 if `GREENROOM_PROOF` is set.
fn messages() -> usize {
    match std::env::var_os("GREENROOM_PROOF") {
        Some(_) => 10_000,
        None => 2_500,
    }
}

/// Appends messages to a room in the store.
async fn fill(store: &Repositories, room: RoomId) {
    for number in 0..messages() {
        let text = format!("message {number} {}", "word ".repeat(number % 40));
        let message = NewMessage::from_user(room, text);
        store
            .messages
            .append(message)
            .await
            .expect("the store takes a message");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_room_is_read_up_and_down_without_a_gap_or_a_jump() {
    let stage = Stage::start(FakeResponder::new(|_| is_silent())).await;
    let room = stage.room("long", &["Ada"]).await;
    let began = Instant::now();
    fill(&stage.server.app().cache.repositories, RoomId(room)).await;
    println!("filled in {:?}", began.elapsed());
    let Some(mut browser) = Browser::open_as_admin("a long room", &stage.server).await else {
        return;
    };
    browser.alone().await;
    browser
        .driver
        .set_script_timeout(Duration::from_mins(5))
        .await
        .unwrap();
    let script = include_str!("scripts/open_room.js").replace("ROOM", &room.to_string());
    let opened = browser.run_async(&script).await;
    let script = include_str!("scripts/long_room.js").replace("COUNT", &messages().to_string());
    let found = browser.run_async(&script).await;
    println!("opened in {opened} ms; {found}");
    assert!(opened.as_f64().unwrap() < 1_500.0, "{opened}");
    assert_eq!(found["up"], json!(messages()), "{found}");
    assert_eq!(found["down"], json!(messages()), "{found}");
    assert!(found["rows"].as_u64().unwrap() <= 300, "{found}");
    assert!(found["elements"].as_u64().unwrap() <= 6_000, "{found}");
    assert!(found["jump"].as_f64().unwrap() <= 1.0, "{found}");
    assert!(found["longest"].as_f64().unwrap() <= 200.0, "{found}");
    browser.end().await;
    stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_in_the_midst_of_an_answer_and_starts_again_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("db").display());
    let open = async || {
        let store = app::open_store(&database, &folder.path().join("agents")).await;
        store.expect("the store opens")
    };
    let (responder, command) = OnCommand::new(vec!["One ".into(), "two.".into()]);
    let server = TestServer::start_answering(open().await, responder, |_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let agent = client.create_agent("Ada").await;
    client.add_member(room, agent).await;
    let Some(browser) = Browser::open_as_admin("a restart", &server).await else {
        return;
    };
    browser.show(&format!("/rooms/{room}")).await;
    client.send_message(room, "hello").await;
    command.pieces(1);
    browser
        .until(
            "half of an answer",
            "document.querySelector('.draft .text')?.innerText.includes('One')",
        )
        .await;
    browser.type_into(".composer textarea", "unsent").await;
    let listen = server.address().parse().unwrap();
    server.end().await;
    let ended = Instant::now();
    browser
        .until(
            "the page says so",
            "!document.getElementById('offline').hidden",
        )
        .await;
    assert!(ended.elapsed() < NOTICED, "{:?}", ended.elapsed());
    assert_eq!(
        browser
            .run("document.querySelector('.send').ariaDisabled")
            .await,
        json!("true")
    );
    let (responder, command) = OnCommand::new(vec!["One ".into(), "two.".into()]);
    command.pieces(2);
    let server = TestServer::start_answering(open().await, responder, |settings| {
        settings.listen = listen;
    })
    .await;
    let started = Instant::now();
    browser
        .until(
            "the whole answer",
            "document.querySelector('.row .message.agent')",
        )
        .await;
    browser
        .until(
            "the page is connected",
            "document.getElementById('offline').hidden",
        )
        .await;
    assert!(started.elapsed() < RESUMED, "{:?}", started.elapsed());
    let texts = browser
        .run("[...document.querySelectorAll('.row .text')].map((text) => text.innerText.trim())")
        .await;
    assert_eq!(texts, json!(["hello", "One two."]));
    assert_eq!(
        browser
            .run("document.querySelector('.composer textarea').value")
            .await,
        json!("unsent")
    );
    browser.end_despite(&["ERR_", "401"]).await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_tabs_open_quickly_and_hidden_ones_hold_no_stream() {
    let stage = Stage::start(FakeResponder::new(|_| is_silent())).await;
    let room = stage.room("tea", &["Ada"]).await;
    let Some(browser) = Browser::open_as_admin("twelve tabs", &stage.server).await else {
        return;
    };
    let test = stage.server.app();
    browser.show(&format!("/rooms/{room}")).await;
    let first = browser.driver.window().await.unwrap();
    for _ in 0..11 {
        // Another tab of the browser has no session of its own until it is told to stay.
        let token = browser
            .run("sessionStorage.getItem('greenroom.session')")
            .await;
        browser.driver.new_tab().await.unwrap();
        let tabs = browser.driver.windows().await.unwrap();
        browser
            .driver
            .switch_to_window(tabs.last().unwrap().clone())
            .await
            .unwrap();
        browser.go("/ui/icon.svg").await;
        let keep = format!("sessionStorage.setItem('greenroom.session', {token})");
        browser.run(&keep).await;
        let began = std::time::Instant::now();
        browser.go(&format!("/ui/#/rooms/{room}")).await;
        browser
            .until(
                "the room",
                "document.querySelector('.scroller[data-ready]')",
            )
            .await;
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
    browser.driver.switch_to_window(first).await.unwrap();
    // Hidden tabs end their stream after 30 seconds, and only the visible one has one then.
    let streams = || test.cache.message_listeners(RoomId(room));
    let wait = async {
        while streams() > 1 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_mins(1), wait).await;
    assert!(ended.is_ok(), "{} streams", streams());
    browser.end_despite(&["favicon.ico"]).await;
    stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_messages_that_could_not_be_read_are_read_when_the_reader_scrolls_again() {
    let stage = Stage::start(FakeResponder::new(|_| is_silent())).await;
    let room = stage.room("tea", &["Ada"]).await;
    for number in 0..120 {
        stage
            .client
            .send_message(room, &format!("line {number}"))
            .await;
    }
    let Some(browser) = Browser::open_as_admin("a failed page", &stage.server).await else {
        return;
    };
    browser.show(&format!("/rooms/{room}")).await;
    browser.until_text("line 119").await;
    let refuse = include_str!("scripts/refuse_page.js");
    browser.run_async(refuse).await;
    let scroll = "document.querySelector('.scroller').scrollTo(0, 0)";
    browser.run(scroll).await;
    browser.until_text("the store is unavailable").await;
    assert_eq!(
        browser
            .run("document.querySelectorAll('.row').length")
            .await,
        json!(50)
    );
    let again = "(document.querySelector('.scroller').scrollBy(0, 300), \
                 document.querySelector('.scroller').scrollTo(0, 0), \
                 document.querySelector('.row .text').innerText === 'line 0')";
    browser.until("the first message", again).await;
    browser.end().await;
    stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_thousands_of_marks_neither_freezes_nor_breaks_the_page() {
    let stage = Stage::start(FakeResponder::new(|_| is_silent())).await;
    let Some(browser) = Browser::open_as_admin("many marks", &stage.server).await else {
        return;
    };
    let marks = include_str!("scripts/long_marks.js");
    let found = browser.run_async(marks).await;
    assert_eq!(found["depth"], json!(8), "{found}");
    assert!(found["milliseconds"].as_f64() < Some(1_000.0), "{found}");
    browser.end().await;
    stage.server.end().await;
}
