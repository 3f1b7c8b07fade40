//! A real Prometheus that scrapes a server under test.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use reqwest::Client;
use serde_json::Value;

use crate::{
    background::{Background, program},
    postgres::free_port,
    wait::PATIENCE,
};

/// A running Prometheus. It ends when the value is dropped, or when this process ends.
pub struct Prometheus {
    base: String,
    client: Client,
    _program: Background,
}

impl Prometheus {
    /// Starts Prometheus and lets it scrape `/metrics` at this address five times a second.
    ///
    /// Without the program, reports `test` as not run and returns `None`.
    pub fn start(test: &str, target: SocketAddr) -> Option<Self> {
        let program = program(test, "prometheus")?;
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let config = format!(
            "scrape_configs:\n  - job_name: greenroom\n    scrape_interval: 200ms\n    \
             scrape_timeout: 200ms\n    static_configs: [{{targets: ['{target}']}}]\n"
        );
        let path = folder.path().join("prometheus.yml");
        fs::write(path, config).expect("the folder is writable");
        let port = free_port();
        let arguments = [
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=data".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--log.level=error".to_owned(),
        ];
        Some(Self {
            base: format!("http://127.0.0.1:{port}/api/v1"),
            client: crate::client::plain_http(),
            _program: Background::start(&program, arguments, folder),
        })
    }

    /// Calls the interface of Prometheus. Returns `None` while it does not answer.
    async fn call(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let query: Vec<_> = parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let address = format!("{}{path}?{}", self.base, query.join("&"));
        let answer = self.client.get(address).send().await.ok()?;
        answer.json().await.ok()
    }

    /// Evaluates an expression. Returns its result, or the error of Prometheus.
    pub async fn query(&self, expression: &str) -> Result<Value, String> {
        let answer = self.call("/query", &[("query", expression)]).await;
        let answer = answer.ok_or("Prometheus does not answer")?;
        if answer["status"] == "success" {
            Ok(answer["data"]["result"].clone())
        } else {
            Err(answer["error"].to_string())
        }
    }

    /// Waits until an expression has a result that is not empty.
    pub async fn wait_for(&self, expression: &str) {
        let wait = async {
            loop {
                let result = self.query(expression).await;
                if result.is_ok_and(|result| result.as_array().is_some_and(|list| !list.is_empty()))
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, wait).await;
        assert!(found.is_ok(), "{expression} has no result");
    }

    /// Returns the names of all metrics.
    pub async fn names(&self) -> Vec<String> {
        let answer = self.call("/label/__name__/values", &[]).await;
        let answer = answer.expect("Prometheus answers");
        let names = answer["data"].as_array().expect("a list of names");
        let names = names.iter().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    }
}

/// Runs promtool in a folder, with a file as its input. Without the program, reports `test` as not
/// run and returns `None`.
pub fn promtool(
    test: &str,
    folder: &Path,
    arguments: &[&str],
    input: Option<File>,
) -> Option<Output> {
    let mut command = Command::new(program(test, "promtool")?);
    command.args(arguments).current_dir(folder);
    command.stdin(input.map_or_else(Stdio::null, Stdio::from));
    Some(command.output().expect("promtool runs"))
}

/// Encodes a value for the query of an address.
fn encoded(value: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}
