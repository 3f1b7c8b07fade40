//! People talk: from the first login to an answer.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use tests::{
    fake_responder::{FakeResponder, is_silent, says, unanswered},
    server::{ADMIN_PASSWORD, TestServer},
};
use thirtyfour::By;

use crate::{
    browser::Browser,
    fixture::{OnCommand, Stage},
};

/// Starts the whole program as a person who installs it has it: with sample agents that answer.
async fn first_start() -> TestServer {
    TestServer::start(|settings| {
        settings.samples = true;
        settings.answers.responder = "scripted".into();
        settings.answers.pace = Some(Duration::from_millis(5));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_logs_in_clicks_once_and_sees_a_whole_answer_within_ten_seconds() {
    let server = first_start().await;
    let Some(browser) = Browser::open("a stranger's first answer", &server).await else {
        return;
    };
    let began = Instant::now();
    browser.log_in(ADMIN_PASSWORD).await;
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
            "an agent's whole answer",
            "document.querySelector('.row .message.agent .text')?.innerText",
        )
        .await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(
        browser.run("document.activeElement.tagName").await,
        json!("TEXTAREA")
    );
    browser.end().await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_stays_text_and_loads_nothing() {
    const HOSTILE: [&str; 4] = [
        "<img src=x onerror=\"window.hacked = true\">",
        "[click](javascript:window.hacked=true)",
        "![pixel](http://192.0.2.1/secret.png)",
        "<script>window.hacked = true</script>",
    ];
    let stage = Stage::start(FakeResponder::new(|prompt| match unanswered(prompt) {
        Some(_) => says(&HOSTILE.join("\n\n")),
        None => is_silent(),
    }))
    .await;
    let room = stage.room("tea", &["Ada"]).await;
    stage.client.send_message(room, HOSTILE[0]).await;
    stage.server.wait_for_answers().await;
    let Some(browser) = Browser::open_as_admin("hostile text", &stage.server).await else {
        return;
    };
    browser.show(&format!("/rooms/{room}")).await;
    browser.until_text(HOSTILE[3]).await;
    for text in HOSTILE {
        if !text.starts_with('!') {
            browser.until_text(text).await;
        }
    }
    assert_eq!(browser.run("window.hacked ?? null").await, json!(null));
    let loaded = "document.querySelectorAll('.row img:not(.face), .row script').length";
    assert_eq!(browser.run(loaded).await, json!(0));
    let links = "[...document.querySelectorAll('.row a')].map((link) => link.protocol)";
    assert_eq!(browser.run(links).await, json!(["http:"]));
    browser.end().await;
    stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enter_sends_once_but_not_while_an_input_method_composes() {
    let stage = Stage::start(FakeResponder::new(|_| is_silent())).await;
    let room = stage.room("tea", &["하늘"]).await;
    let Some(browser) = Browser::open_as_admin("input methods", &stage.server).await else {
        return;
    };
    browser.show(&format!("/rooms/{room}")).await;
    browser.click(".composer textarea").await;
    let composing = json!({ "text": "한", "selectionStart": 1, "selectionEnd": 1 });
    browser.command("Input.imeSetComposition", composing).await;
    let enter = |kind: &str| json!({ "type": kind, "key": "Enter", "windowsVirtualKeyCode": 229 });
    browser
        .command("Input.dispatchKeyEvent", enter("keyDown"))
        .await;
    browser
        .command("Input.dispatchKeyEvent", enter("keyUp"))
        .await;
    let text = json!({ "text": "한국" });
    browser.command("Input.insertText", text).await;
    let messages = format!("/rooms/{room}/messages");
    let rows = "document.querySelectorAll('.row').length";
    assert_eq!(browser.run(rows).await, json!(0));
    browser.press("\u{E007}").await;
    browser.until("the message stands in the room", rows).await;
    let sent = stage.client.get(&messages).await.json();
    assert_eq!(sent.as_array().map(Vec::len), Some(1), "{sent}");
    assert_eq!(sent[0]["content"], "한국");
    browser.end().await;
    stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_scrolls_up_reads_on_while_answers_stream() {
    let pieces: Vec<String> = (0..40)
        .map(|line| format!("{line} {}\n", "word ".repeat(60)))
        .collect();
    let (responder, command) = OnCommand::new(pieces);
    let stage = Stage::start(responder).await;
    let room = stage.room("tea", &["Ada"]).await;
    for number in 0..30 {
        stage
            .client
            .send_message(room, &format!("line {number}"))
            .await;
    }
    let Some(browser) = Browser::open_as_admin("reading while answers stream", &stage.server).await
    else {
        return;
    };
    browser.show(&format!("/rooms/{room}")).await;
    browser
        .until("an agent composes", "document.querySelector('.draft')")
        .await;
    let end = "(() => { const s = document.querySelector('.scroller'); \
               return s.scrollHeight - s.scrollTop - s.clientHeight < 2 })()";
    command.pieces(10);
    browser
        .until(
            "the view follows",
            &format!(
                "document.querySelector('.draft .text').innerText.includes('9 word') && {end}"
            ),
        )
        .await;
    browser
        .run("document.querySelector('.scroller').scrollBy(0, -200)")
        .await;
    browser
        .until("the button", "!document.querySelector('.below').hidden")
        .await;
    let top = "document.querySelector('.scroller').scrollTop";
    let before = browser.run(top).await;
    command.pieces(30);
    browser
        .until(
            "the whole answer",
            "document.querySelector('.row .message.agent')",
        )
        .await;
    assert_eq!(browser.run(top).await, before);
    let button = browser
        .run("document.querySelector('.below').innerText")
        .await;
    assert_eq!(button, json!("1 new"));
    browser.click(".below").await;
    browser.until("the end is shown", end).await;
    browser
        .until(
            "the button is gone",
            "document.querySelector('.below').hidden",
        )
        .await;
    browser.end().await;
    stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_reader_hears_each_whole_answer_once_and_no_part_of_it() {
    let pieces = ["One ", "two ", "three."].map(str::to_owned);
    let (responder, command) = OnCommand::new(pieces.into());
    let stage = Stage::start(responder).await;
    let room = stage.room("tea", &["Ada"]).await;
    let Some(browser) = Browser::open_as_admin("announcements", &stage.server).await else {
        return;
    };
    browser.show(&format!("/rooms/{room}")).await;
    browser
        .run(
            "(window.heard = [], new MutationObserver((records) => records.forEach((record) => \
             record.addedNodes.forEach((node) => window.heard.push(node.textContent))))\
             .observe(document.getElementById('spoken'), { childList: true }))",
        )
        .await;
    stage.client.send_message(room, "hello").await;
    browser
        .until("a draft", "document.querySelector('.draft')")
        .await;
    command.pieces(2);
    browser
        .until(
            "two words",
            "document.querySelector('.draft .text').innerText.includes('two')",
        )
        .await;
    command.pieces(1);
    browser
        .until(
            "the answer",
            "document.querySelector('.row .message.agent')",
        )
        .await;
    let heard = browser.run("window.heard").await;
    assert_eq!(heard, json!(["1 agent is writing", "Ada: One two three."]));
    browser.end().await;
    stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_acknowledgement_is_lost_stands_once() {
    let stage = Stage::start(FakeResponder::new(|_| is_silent())).await;
    let room = stage.room("tea", &["Ada"]).await;
    let Some(browser) = Browser::open_as_admin("a lost acknowledgement", &stage.server).await
    else {
        return;
    };
    browser.show(&format!("/rooms/{room}")).await;
    // The request reaches the server, but the response does not reach the page, once.
    let script = include_str!("scripts/lose_response.js");
    browser.run_async(script).await;
    browser.type_into(".composer textarea", "hello").await;
    browser.click(".composer .send").await;
    browser
        .until(
            "the page is offline or has sent again",
            "document.querySelector('.row')",
        )
        .await;
    browser
        .until(
            "nothing is pending",
            "!document.querySelector('.pending') && !localStorage.length",
        )
        .await;
    let sent = stage
        .client
        .get(&format!("/rooms/{room}/messages"))
        .await
        .json();
    assert_eq!(sent.as_array().map(Vec::len), Some(1), "{sent}");
    browser.end().await;
    stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_leads_to_the_login_and_back_with_the_unsent_text() {
    let stage = Stage::start(FakeResponder::new(|_| is_silent())).await;
    let room = stage.room("tea", &["Ada"]).await;
    let Some(browser) = Browser::open_as_admin("the end of a session", &stage.server).await else {
        return;
    };
    browser.show(&format!("/rooms/{room}")).await;
    browser.type_into(".composer textarea", "unsent").await;
    let revoke = json!({ "role": "admin" });
    stage.client.post("/auth/revoke", revoke).await.ok();
    browser
        .until(
            "the login",
            "document.querySelector('input[type=password]')",
        )
        .await;
    browser.log_in(ADMIN_PASSWORD).await;
    browser
        .until(
            "the room with the unsent text",
            "document.querySelector('.composer textarea')?.value === 'unsent'",
        )
        .await;
    browser.end_despite(&["401"]).await;
    stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_picture_is_made_small_and_a_text_file_is_refused_before_it_is_sent() {
    let stage = Stage::start(FakeResponder::new(|_| is_silent())).await;
    let room = stage.room("tea", &["Ada"]).await;
    let Some(browser) = Browser::open_as_admin("pictures", &stage.server).await else {
        return;
    };
    browser.show(&format!("/rooms/{room}")).await;
    let folder = tempfile::tempdir().unwrap();
    let (text, picture) = (folder.path().join("a.txt"), folder.path().join("a.png"));
    std::fs::write(&text, "not a picture").unwrap();
    // Noise does not compress, so the file has about eight megabytes.
    let mut seed = 1_u32;
    let noise = image::RgbImage::from_fn(1_700, 1_600, |_, _| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, red, green, blue] = seed.to_be_bytes();
        image::Rgb([red, green, blue])
    });
    noise.save(&picture).unwrap();
    assert!(std::fs::metadata(&picture).unwrap().len() > 8_000_000);
    readable_by_all(folder.path());
    let input = browser
        .driver
        .find(By::Css("input[type=file]"))
        .await
        .unwrap();
    input.send_keys(text.to_str().unwrap()).await.unwrap();
    browser.until_text("Only PNG, JPEG, GIF and WebP").await;
    input.send_keys(picture.to_str().unwrap()).await.unwrap();
    browser
        .until("a preview", "document.querySelector('.preview img')")
        .await;
    browser.click(".composer .send").await;
    browser
        .until(
            "the picture in the room",
            "document.querySelector('.row img.picture')?.naturalWidth",
        )
        .await;
    let sent = stage
        .client
        .get(&format!("/rooms/{room}/messages"))
        .await
        .json();
    let data = sent[0]["image_data"].as_str().unwrap();
    let bytes = STANDARD.decode(data).unwrap();
    let decoded = image::load_from_memory(&bytes).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (512, 482));
    browser.end().await;
    stage.server.end().await;
}

fn readable_by_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_after_an_at_sign_is_completed_and_mentions_the_agent() {
    let stage = Stage::start(FakeResponder::new(|_| is_silent())).await;
    let room = stage.room("tea", &["Ada", "Ada Brackwater"]).await;
    let Some(browser) = Browser::open_as_admin("mentions", &stage.server).await else {
        return;
    };
    browser.show(&format!("/rooms/{room}")).await;
    browser
        .type_into(".composer textarea", "Hello @ada b")
        .await;
    browser
        .until(
            "one name",
            "document.querySelectorAll('[role=option]').length === 1",
        )
        .await;
    browser.press("\u{E007}").await;
    assert_eq!(
        browser.run("document.activeElement.value").await,
        json!("Hello @Ada Brackwater ")
    );
    let script = "const { mentioned } = await import('./room/mentions.js'); \
                  return mentioned('@ada brackwater and @Ada', [{ id: 1, name: 'Ada' }, \
                  { id: 2, name: 'Ada Brackwater' }]);";
    assert_eq!(browser.run_async(script).await, json!([2, 1]));
    browser.end().await;
    stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_from_region_to_region_from_message_to_message_and_from_room_to_room() {
    let stage = Stage::start(FakeResponder::new(|_| is_silent())).await;
    let other = stage.room("coffee", &["Bo"]).await;
    let room = stage.room("tea", &["Ada"]).await;
    for text in ["first", "second", "third"] {
        stage.client.send_message(room, text).await;
    }
    let Some(browser) = Browser::open_as_admin("keys", &stage.server).await else {
        return;
    };
    browser.show(&format!("/rooms/{room}")).await;
    browser.until_text("third").await;
    let focus = "(() => { const at = document.activeElement; \
                 return at.tagName + '.' + at.className.split(' ')[0]; })()";
    let f6 = json!({ "key": "F6", "code": "F6", "windowsVirtualKeyCode": 117 });
    let mut regions = Vec::new();
    for _ in 0..4 {
        press(&browser, f6.clone()).await;
        regions.push(browser.run(focus).await);
    }
    assert_eq!(
        regions,
        ["DIV.scroller", "BUTTON.icon-button", "MAIN.main", "A.brand"].map(|at| json!(at))
    );

    browser
        .run("document.querySelector('.scroller').focus()")
        .await;
    let text = "document.activeElement.querySelector('.text')?.innerText";
    for (key, expected) in [
        ("ArrowUp", "third"),
        ("ArrowUp", "second"),
        ("Home", "first"),
        ("ArrowDown", "second"),
        ("End", "third"),
    ] {
        press(&browser, json!({ "key": key, "code": key })).await;
        assert_eq!(browser.run(text).await, json!(expected), "{key}");
    }
    let down = json!({ "key": "ArrowDown", "code": "ArrowDown", "modifiers": 1 });
    press(&browser, down).await;
    let hash = format!("location.hash === '#/rooms/{other}'");
    browser.until("the other room", &hash).await;
    browser.end().await;
    stage.server.end().await;
}

/// Presses and releases a key, as the keyboard does.
async fn press(browser: &Browser, key: serde_json::Value) {
    for kind in ["rawKeyDown", "keyUp"] {
        let mut event = key.clone();
        event["type"] = json!(kind);
        browser.command("Input.dispatchKeyEvent", event).await;
    }
}
