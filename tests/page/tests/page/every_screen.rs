//! Rules that hold on every screen.

use std::fs;

use serde_json::{Value, json};
use tests::{
    fake_responder::{FakeResponder, fails, unanswered},
    server::{ADMIN_PASSWORD, GUEST_PASSWORD},
};

use crate::{
    browser::{Browser, address},
    fixture::Stage,
};

/// The screens of the administrator. `ROOM` and `AGENT` stand for ids.
const SCREENS: [&str; 17] = [
    "/welcome",
    "/rooms",
    "/rooms/ROOM",
    "/rooms/ROOM/members",
    "/agents",
    "/agents/AGENT",
    "/agents/new",
    "/settings",
    "/help",
    "/admin/cache",
    "/admin/conversations",
    "/admin/files",
    "/admin/usage",
    "/admin/health",
    "/admin/access",
    "/admin/events",
    "/nothing",
];

/// The names of agents in several scripts.
const NAMES: [&str; 4] = ["하늘", "月島 澪", "Критик Фёдор", "عمر البحّار"];

/// A server with a room of some messages, and the addresses of its screens.
struct House {
    stage: Stage,
    screens: Vec<String>,
    room: i64,
}

impl House {
    async fn build() -> Self {
        let stage = Stage::start(FakeResponder::new(|prompt| match unanswered(prompt) {
            Some(text) if text.contains("fail") => fails("the model is not there"),
            Some(_) => {
                tests::fake_responder::says("**Bold**, *gesture*, `code`\n\n> quote\n\n1. one")
            }
            None => tests::fake_responder::is_silent(),
        }))
        .await;
        let room = stage.room("tea", &NAMES).await;
        let send = json!({
            "content": "مرحبا بكم", "role": "user",
            "participant_type": "character", "participant_name": "Ω"
        });
        let path = format!("/rooms/{room}/messages/send");
        stage.client.post(&path, send).await.ok();
        stage.server.wait_for_answers().await;
        stage.client.send_message(room, "fail").await;
        stage.server.wait_for_answers().await;
        let agent = stage.client.get("/agents").await.json()[0]["id"].clone();
        let screens = SCREENS.iter().map(|screen| {
            let screen = screen.replace("ROOM", &room.to_string());
            screen.replace("AGENT", &agent.to_string())
        });
        Self {
            screens: screens.collect(),
            room,
            stage,
        }
    }

    async fn open(&self, test: &str, size: (u32, u32)) -> Option<Browser> {
        let browser = Browser::open_sized(test, &address(&self.stage.server), size).await?;
        browser.log_in(ADMIN_PASSWORD).await;
        Some(browser)
    }
}

/// Waits until a screen has shown its content.
async fn settled(browser: &Browser) {
    browser
        .until(
            "the screen is complete",
            "!document.querySelector('[aria-busy]') && document.fonts.status === 'loaded' && \
             document.querySelectorAll('main *').length > 2 && \
             (!/admin.(cache|conv|usage|health|events)/.test(location.hash) || \
             document.querySelector('main [role=status]').innerText)",
        )
        .await;
}

/// Returns the source of axe-core, which finds barriers for people with disabilities. Without it,
/// reports `test` as not run and returns `None`.
fn axe(test: &str) -> Option<String> {
    let path = tests::target().join("page/node_modules/axe-core/axe.min.js");
    let source = fs::read_to_string(path).ok();
    if source.is_none() {
        tests::report_not_run(test, "axe-core is not in target/page; run cargo xtask page");
    }
    source
}

async fn check_with_axe(browser: &Browser, axe: &str, place: &str, found: &mut Vec<String>) {
    if browser.run("typeof window.axe").await == json!("undefined") {
        let loaded = browser.driver.execute(axe.to_owned(), Vec::new()).await;
        loaded.expect("axe-core loads");
    }
    let violations = browser.run_async(include_str!("scripts/axe.js")).await;
    for violation in violations.as_array().expect("axe-core returns a list") {
        found.push(format!("{place}: {violation}"));
    }
}

async fn without_barriers(test: &str, size: (u32, u32)) {
    let Some(axe) = axe(test) else {
        return;
    };
    let house = House::build().await;
    let Some(browser) = house.open(test, size).await else {
        return;
    };
    let mut found = Vec::new();
    for (theme, direction) in [("light", "ltr"), ("dark", "rtl")] {
        for screen in &house.screens {
            browser.show(screen).await;
            browser
                .run(&format!(
                    "(document.documentElement.dataset.theme = '{theme}', \
                     document.documentElement.dir = '{direction}')"
                ))
                .await;
            settled(&browser).await;
            let place = format!("{screen} {theme} {direction}");
            check_with_axe(&browser, &axe, &place, &mut found).await;
        }
    }
    browser.show(&format!("/rooms/{}", house.room)).await;
    for opener in [
        "Rename",
        "Limit the answers",
        "Invite agents",
        "Clear the room",
    ] {
        browser.click("main .head [aria-haspopup]").await;
        browser.click_text(opener).await;
        browser
            .until("a dialog", "document.querySelector('dialog[open]')")
            .await;
        check_with_axe(&browser, &axe, opener, &mut found).await;
        browser.press("\u{E00C}").await;
        browser
            .until("no dialog", "!document.querySelector('dialog')")
            .await;
    }
    browser.show("/admin/cache").await;
    browser.click("tr[data-key=room_obj] [aria-haspopup]").await;
    browser.click_text("Keys of room_obj").await;
    browser
        .until("the keys", "document.querySelector('dialog tbody tr')")
        .await;
    check_with_axe(&browser, &axe, "the keys of a region", &mut found).await;
    assert!(found.is_empty(), "{} barriers: {found:#?}", found.len());
    browser.end().await;
    house.stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_screen_has_barriers_on_a_wide_window() {
    without_barriers("barriers on a wide window", (1280, 900)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_screen_has_barriers_on_a_phone() {
    without_barriers("barriers on a phone", (390, 800)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_screen_scrolls_sideways_on_a_small_phone_and_every_target_can_be_hit() {
    let house = House::build().await;
    let test = "a small phone";
    let Some(browser) = house.open(test, (320, 568)).await else {
        return;
    };
    let mut found = Vec::new();
    for screen in &house.screens {
        browser.show(screen).await;
        settled(&browser).await;
        let scrolls = "document.documentElement.scrollWidth > innerWidth";
        assert_eq!(
            browser.run(scrolls).await,
            json!(false),
            "{screen} scrolls sideways"
        );
        let list = browser.run_async(include_str!("scripts/sizes.js")).await;
        if list != json!([]) {
            found.push(format!("{screen}: {list:#}"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    browser.end().await;
    house.stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_can_never_become_markup_on_any_screen() {
    let house = House::build().await;
    let Some(browser) = house.open("trusted types", (1280, 900)).await else {
        return;
    };
    for screen in &house.screens {
        browser.show(screen).await;
        let script = "try { document.body.innerHTML = 'x'; return 'changed'; } \
                      catch (error) { return error.name; }";
        let tried = browser.run_async(script).await;
        assert_eq!(tried, json!("TypeError"), "{screen}");
    }
    browser.end_despite(&["TrustedHTML", "Trusted Type"]).await;
    house.stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_for_people_who_want_no_motion() {
    let house = House::build().await;
    let Some(browser) = house.open("reduced motion", (1280, 900)).await else {
        return;
    };
    let features = json!([{ "name": "prefers-reduced-motion", "value": "reduce" }]);
    let features = json!({ "features": features });
    browser
        .command("Emulation.setEmulatedMedia", features)
        .await;
    for screen in &house.screens {
        browser.show(screen).await;
        settled(&browser).await;
        assert_eq!(
            browser.run("document.getAnimations().length").await,
            json!(0),
            "{screen}"
        );
    }
    browser.end().await;
    house.stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_texts_of_every_script_stand_in_their_own_direction() {
    let house = House::build().await;
    let Some(browser) = house.open("scripts", (1280, 900)).await else {
        return;
    };
    browser.show(&format!("/rooms/{}", house.room)).await;
    for name in NAMES {
        browser.until_text(name).await;
    }
    let arabic = "[...document.querySelectorAll('.row .plain')].find((text) => \
                  text.innerText.includes('مرحبا'))";
    let direction = format!("getComputedStyle({arabic}).direction");
    assert_eq!(browser.run(&direction).await, json!("rtl"));
    browser.show("/settings").await;
    let choose = "(() => { const list = [...document.querySelectorAll('select')].find((list) => \
        [...list.options].some((option) => option.value === 'ar')); list.value = 'ar'; \
        list.dispatchEvent(new Event('change')); })()";
    browser.run(choose).await;
    browser
        .until(
            "the page is mirrored",
            "document.documentElement.dir === 'rtl' && document.querySelector('main h1')",
        )
        .await;
    let is_mirrored = "document.getElementById('side').getBoundingClientRect().left > \
                       document.getElementById('main').getBoundingClientRect().left";
    browser
        .until("the navigation is at the right", is_mirrored)
        .await;
    browser.end().await;
    house.stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_no_control_of_the_administrator_and_is_refused_behind_it() {
    let house = House::build().await;
    let test = "a guest";
    let base = address(&house.stage.server);
    let Some(browser) = Browser::open_sized(test, &base, (1280, 900)).await else {
        return;
    };
    browser.log_in(GUEST_PASSWORD).await;
    browser.until_text("Welcome to Greenroom").await;
    browser.click_text("Open a room").await;
    browser
        .until("the room", "document.querySelector('.composer')")
        .await;
    browser.click("main .head [aria-haspopup]").await;
    let menu = browser
        .run("document.querySelector('.menu:popover-open').innerText")
        .await;
    let menu = menu.as_str().unwrap();
    assert!(
        menu.contains("Rename") && !menu.contains("Clear") && !menu.contains("Delete"),
        "{menu}"
    );
    assert_eq!(
        browser
            .run("document.querySelectorAll('.members button, a[href*=admin]').length")
            .await,
        json!(0)
    );
    browser.run("location.hash = '#/admin/cache'").await;
    browser.until_text("Only the administrator").await;
    let guest = house.stage.server.guest();
    for path in [
        "/admin/overview",
        "/admin/events",
        "/cache/stats",
        "/agents/config-errors",
    ] {
        assert_eq!(guest.get(path).await.status, 403, "{path}");
    }
    let switch = json!({ "enabled": false });
    assert_eq!(
        guest.patch("/cache/regions/room_obj", switch).await.status,
        403
    );
    browser.end().await;
    house.stage.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_reaches_every_control_with_a_visible_focus() {
    let house = House::build().await;
    let Some(browser) = house.open("the keyboard", (1280, 900)).await else {
        return;
    };
    for screen in ["/rooms/ROOM", "/agents/AGENT", "/admin/cache", "/settings"] {
        let index = SCREENS.iter().position(|other| *other == screen).unwrap();
        browser.show(&house.screens[index]).await;
        settled(&browser).await;
        let controls = browser.run_async(include_str!("scripts/controls.js")).await;
        let most = controls.as_u64().unwrap() + 30;
        let (mut left, mut unseen) = (json!(null), Vec::new());
        for _ in 0..most {
            for kind in ["keyDown", "keyUp"] {
                browser.command("Input.dispatchKeyEvent", tab(kind)).await;
            }
            let focus = browser.run_async(include_str!("scripts/focus.js")).await;
            if let Value::String(html) = &focus["unseen"] {
                unseen.push(html.clone());
            }
            left = focus["left"].clone();
            if left == json!([]) {
                break;
            }
        }
        assert_eq!(left, json!([]), "{screen}: not reached");
        assert!(
            unseen.is_empty(),
            "{screen}: without a visible focus: {unseen:#?}"
        );
    }
    browser.end().await;
    house.stage.server.end().await;
}

fn tab(kind: &str) -> Value {
    json!({ "type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 })
}
