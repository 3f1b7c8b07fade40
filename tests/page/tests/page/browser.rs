//! One window of headless Chromium that shows the page of a server.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use serde_json::{Value, json};
use tests::{
    chromium,
    server::{ADMIN_PASSWORD, TestServer},
    wait::PATIENCE,
};
use thirtyfour::{
    BrowserLogEntry, By, CapabilitiesHelper as _, ChromiumLikeCapabilities as _,
    DesiredCapabilities, WebDriver, extensions::query::ElementQueryable as _,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The most windows at the same time: more would only make each other slow.
static WINDOWS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(MOST_WINDOWS as usize));
const MOST_WINDOWS: u32 = 3;

/// A pause between two looks at the page, while a test waits for a condition.
const LOOK: Duration = Duration::from_millis(25);

const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en",
];

/// A window that shows the page.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    base: String,
    place: SemaphorePermit<'static>,
}

impl Browser {
    /// Opens a window of this size at the address that the server prints. Without the programs,
    /// reports `test` as not run and returns `None`.
    pub(crate) async fn open_sized(
        test: &str,
        base: &str,
        (width, height): (u32, u32),
    ) -> Option<Self> {
        // The client of the WebDriver protocol makes a client of its own, which needs a provider of
        // cryptography although it speaks plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let driver = chromium::driver(test)?;
        let place = WINDOWS.acquire().await.expect("the semaphore stays open");
        let mut wanted = DesiredCapabilities::chrome();
        for argument in ARGUMENTS {
            wanted.add_arg(argument).expect("an argument is JSON");
        }
        let size = format!("--window-size={width},{height}");
        wanted.add_arg(&size).expect("an argument is JSON");
        wanted
            .set("goog:loggingPrefs", json!({ "browser": "ALL" }))
            .expect("the preferences are JSON");
        let driver = WebDriver::new(driver, wanted).await;
        let browser = Self {
            driver: driver.expect("Chromium starts"),
            base: base.to_owned(),
            place,
        };
        // The size of a headless window includes bars that it does not have.
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false
        });
        browser
            .command("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        browser.go("/").await;
        Some(browser)
    }

    /// Opens a window of usual size.
    pub(crate) async fn open(test: &str, server: &TestServer) -> Option<Self> {
        Self::open_sized(test, &address(server), (1280, 900)).await
    }

    /// Waits until this is the only window, so that no other one takes its time.
    pub(crate) async fn alone(&mut self) {
        let others = WINDOWS.acquire_many(MOST_WINDOWS - 1).await;
        self.place.merge(others.expect("the semaphore stays open"));
    }

    /// Opens a window of usual size, and logs in as the administrator.
    pub(crate) async fn open_as_admin(test: &str, server: &TestServer) -> Option<Self> {
        let browser = Self::open(test, server).await?;
        browser.log_in(ADMIN_PASSWORD).await;
        Some(browser)
    }

    /// Opens another address of the server.
    pub(crate) async fn go(&self, path: &str) {
        let address = format!("{}{path}", self.base);
        self.driver.goto(address).await.expect("the page opens");
    }

    /// Shows a screen, such as `/rooms/7`, and waits for its heading.
    pub(crate) async fn show(&self, screen: &str) {
        self.run(&format!("location.hash = '#{screen}'")).await;
        let path = screen.split('?').next().unwrap_or_default();
        self.until(
            &format!("the screen {screen}"),
            &format!("location.hash.startsWith('#{path}') && document.querySelector('main h1')"),
        )
        .await;
    }

    /// Enters the password, and waits until the page goes on.
    pub(crate) async fn log_in(&self, password: &str) {
        self.type_into("input[type=password]", password).await;
        self.click("button[type=submit]").await;
        self.until(
            "the login succeeds",
            "!document.querySelector('input[type=password]')",
        )
        .await;
    }

    /// Evaluates an expression of JavaScript in the page, and returns its value.
    pub(crate) async fn run(&self, expression: &str) -> Value {
        let script = format!("return ({expression})");
        let returned = self.driver.execute(script, Vec::new()).await;
        returned
            .unwrap_or_else(|error| panic!("{expression}: {error}"))
            .json()
            .clone()
    }

    /// Runs the body of an async function, and returns its value.
    pub(crate) async fn run_async(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1]; \
             (async () => {{ {body} }})().then(done, (error) => done(String(error)))"
        );
        let returned = self.driver.execute_async(script, Vec::new()).await;
        returned.expect("the script runs").json().clone()
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, what: &str, expression: &str) -> Value {
        let wait = async {
            loop {
                let value = self.run(expression).await;
                let is_true = !matches!(value, Value::Null | Value::Bool(false))
                    && value != json!(0)
                    && value != json!("");
                if is_true {
                    return value;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        if let Ok(value) = tokio::time::timeout(PATIENCE, wait).await {
            return value;
        }
        panic!("not within {PATIENCE:?}: {what}\n{}", self.describe().await)
    }

    /// Waits until the page contains a text.
    pub(crate) async fn until_text(&self, text: &str) {
        let text = json!(text);
        let what = format!("the page contains {text}");
        self.until(&what, &format!("document.body.innerText.includes({text})"))
            .await;
    }

    async fn describe(&self) -> String {
        let text = self.run("document.body.innerText").await;
        let log: Vec<_> = self
            .log()
            .await
            .into_iter()
            .map(|line| line.message)
            .collect();
        format!("the page: {text}\nits log: {log:#?}")
    }

    /// Clicks on an element, when it is there.
    pub(crate) async fn click(&self, css: &str) {
        let element = self
            .driver
            .query(By::Css(css))
            .and_clickable()
            .first()
            .await;
        let element = match element {
            Ok(element) => element,
            Err(error) => panic!("{css}: {error}\n{}", self.describe().await),
        };
        element.click().await.expect("the element can be clicked");
    }

    /// Clicks on the button or link with this text.
    pub(crate) async fn click_text(&self, text: &str) {
        let find = format!(
            "[...document.querySelectorAll('button, a, summary')].find((element) => \
             element.checkVisibility() && element.innerText.trim() === {})",
            json!(text)
        );
        self.until(&format!("a button {text}"), &format!("Boolean({find})"))
            .await;
        self.run(&format!("{find}.click()")).await;
    }

    /// Types a text into a field.
    pub(crate) async fn type_into(&self, css: &str, text: &str) {
        let element = self
            .driver
            .query(By::Css(css))
            .and_displayed()
            .first()
            .await;
        let element = match element {
            Ok(element) => element,
            Err(error) => panic!("{css}: {error}\n{}", self.describe().await),
        };
        element.send_keys(text).await.expect("the field takes keys");
    }

    /// Presses keys where the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        let active = self.driver.active_element().await;
        let active = active.expect("an element has the focus");
        active
            .send_keys(keys)
            .await
            .expect("the element takes keys");
    }

    /// Sends a command of the Chrome `DevTools` protocol.
    pub(crate) async fn command(&self, name: &str, parameters: Value) -> Value {
        let sent = self.driver.cdp().send_raw(name, parameters).await;
        sent.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Returns the lines of the console since the last call.
    pub(crate) async fn log(&self) -> Vec<BrowserLogEntry> {
        self.driver.browser_log().await.expect("Chromium has a log")
    }

    /// Returns the addresses of requests to other servers, each with its count.
    pub(crate) async fn foreign_requests(&self) -> HashMap<String, usize> {
        let names = self
            .run("performance.getEntriesByType('resource').map((entry) => entry.name)")
            .await;
        let mut found = HashMap::new();
        for name in names.as_array().expect("a list") {
            let name = name.as_str().expect("an address");
            if !name.starts_with(&self.base) && !name.starts_with("blob:") {
                *found.entry(name.to_owned()).or_default() += 1;
            }
        }
        found
    }

    /// Closes the window. Fails if the console has errors, or if a request went to another server.
    pub(crate) async fn end(self) {
        self.end_despite(&[]).await;
    }

    /// Closes the window as [`Browser::end`] does. Errors that contain one of the texts are
    /// expected.
    pub(crate) async fn end_despite(self, expected: &[&str]) {
        let foreign = self.foreign_requests().await;
        assert!(
            foreign.is_empty(),
            "requests to other servers: {foreign:#?}"
        );
        let errors: Vec<_> = self
            .log()
            .await
            .into_iter()
            .filter(|line| line.level == "SEVERE")
            .map(|line| line.message)
            .filter(|message| !expected.iter().any(|text| message.contains(text)))
            .collect();
        assert!(errors.is_empty(), "errors in the console: {errors:#?}");
        self.driver.quit().await.expect("Chromium ends");
    }
}

/// Returns the address of a server.
pub(crate) fn address(server: &TestServer) -> String {
    format!("http://{}", server.address())
}
