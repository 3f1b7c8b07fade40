//! The program as a child process.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::client::Client;
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::Failure;

/// The longest time for a start or a stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program, its folder and its database.
pub(crate) struct Program {
    path: PathBuf,
    folder: PathBuf,
    database: Option<String>,
    token: Option<String>,
    child: Option<Child>,
}

/// A connection to the running program.
pub(crate) struct Session {
    client: Client,
}

impl Program {
    pub(crate) fn new(path: &Path, folder: &Path, database: Option<String>) -> Self {
        Self {
            path: path.to_path_buf(),
            folder: folder.to_path_buf(),
            database,
            token: None,
            child: None,
        }
    }

    /// Starts the program, and waits until it listens.
    pub(crate) async fn start(&mut self) -> Result<Session, Failure> {
        let mut command = Command::new(&self.path);
        command
            .current_dir(&self.folder)
            .args(["--responder", "none"])
            .env("GREENROOM_LISTEN", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(database) = &self.database {
            command.env("GREENROOM_DATABASE", database);
        }
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or("standard output is piped")?;
        self.child = Some(child);
        let reading = spawn_blocking(move || {
            let mut password = None;
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("listening on ") {
                    return Some((address.to_owned(), password));
                }
                password = line.rsplit_once(": ").map(|(_, last)| last.to_owned());
            }
            None
        });
        let started = timeout(PATIENCE, reading).await??;
        let (address, password) = started.ok_or("the program did not start")?;
        let client = Client::new(&address);
        if let Some(password) = password {
            let login = client.post("/auth/login", json!({ "password": password }));
            let login = login.await.ok();
            self.token = login["api_key"].as_str().map(str::to_owned);
        }
        let token = self
            .token
            .as_deref()
            .ok_or("the first start prints a password")?;
        Ok(Session {
            client: client.with_token(token),
        })
    }

    /// Ends the program at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only if the program has ended already.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Ends the program as an operator does.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        Command::new("kill").arg(child.id().to_string()).status()?;
        let status = timeout(PATIENCE, spawn_blocking(move || child.wait())).await???;
        if status.success() {
            return Ok(());
        }
        Err(format!("the program stopped with {status}").into())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Session {
    /// Sends a request. Returns `None` if the connection fails or the answer is not 200: the effect
    /// of a write is then unknown.
    pub(crate) async fn try_send(&self, method: Method, path: &str, body: &Value) -> Option<Value> {
        let mut request = self.client.request(method, path).timeout(PATIENCE);
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        serde_json::from_slice(&response.bytes().await.ok()?).ok()
    }

    /// Waits until a write succeeds. Fails after [`PATIENCE`].
    pub(crate) async fn wait_until_it_writes(&self) -> Result<(), Failure> {
        let waiting = async {
            let path = "/rooms/1/mark-read";
            while self
                .try_send(Method::POST, path, &Value::Null)
                .await
                .is_none()
            {
                sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        waited.map_err(|_| "the program does not write any more".into())
    }

    /// Sends a request that must succeed.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Value, Failure> {
        let sent = self.try_send(method, path, &body).await;
        sent.ok_or_else(|| format!("{path} failed").into())
    }

    /// Reads a path that must succeed.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(Method::GET, path, Value::Null).await
    }
}
