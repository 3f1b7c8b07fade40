//! `greenroom check`: reports problems with the settings, the database and the agents' files. It
//! changes no file, so it can run beside the server.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use clap::Args;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    auth::Auth,
    settings::Settings,
    traces::Traces,
    wiring::{build_models, build_responders, check_agents, check_database},
};

/// The longest wait for a response of the program that listens on the server's address.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of bytes that are read from the response. Greenroom's response has about 200.
const HEALTH_BYTES: u64 = 4_096;

/// Check the settings, the database and the agents' files, and print each problem; change nothing
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Check {
    /// Also ask each configured model for one word, and print its answer
    #[arg(long)]
    pub online: bool,
}

impl Check {
    /// Returns one line for each problem. Creates and changes nothing.
    pub async fn run(&self, settings: &Settings) -> Vec<String> {
        let mut problems: Vec<_> = settings
            .unsuitable_ttls()
            .into_iter()
            .map(|warning| format!("settings: {warning}"))
            .collect();
        if let Err(error) = build_responders(&settings.answers) {
            problems.push(format!("settings: {error}"));
        }
        if let Err(error) = Auth::check(settings) {
            problems.push(format!("settings: {error}"));
        }
        if let Some(Err(error)) = settings.otlp.as_deref().map(Traces::check) {
            problems.push(format!("settings: {error}"));
        }
        problems.extend(check_listen(settings.listen).await);
        let problem = settings.frontend.as_deref().and_then(check_frontend);
        problems.extend(problem.map(|problem| format!("settings: {problem}")));
        if let Err(error) = check_database(&settings.database).await {
            problems.push(format!("database: {error}"));
        }
        match check_agents(&settings.agents) {
            Ok(found) => {
                problems.extend(
                    found
                        .iter()
                        .map(|problem| format!("agents: {}", problem.text)),
                );
            }
            Err(error) => problems.push(format!("agents: {error}")),
        }
        if self.online {
            problems.extend(check_models(settings).await);
        }
        problems
    }
}

/// Returns a problem if the server cannot listen on the address. Returns none if Greenroom already
/// listens on it.
async fn check_listen(address: SocketAddr) -> Option<String> {
    let error = TcpListener::bind(address).await.err()?;
    if error.kind() == ErrorKind::AddrInUse {
        let health = timeout(HEALTH_TIMEOUT, health_of(address)).await;
        if health.is_ok_and(|response| response.is_ok_and(|text| is_greenroom(&text))) {
            return None;
        }
    }
    Some(format!(
        "settings: cannot listen on {address}: {error}; use `--listen` to choose another address"
    ))
}

/// Requests the health of the program that listens on the address. Returns the first
/// [`HEALTH_BYTES`] of the response.
async fn health_of(address: SocketAddr) -> io::Result<String> {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let mut stream = TcpStream::connect((ip, address.port())).await?;
    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    stream.take(HEALTH_BYTES).read_to_end(&mut response).await?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}

/// Returns `true` if a response is probably from Greenroom: it reports a healthy server, or it is a
/// refusal in Greenroom's form.
fn is_greenroom(response: &str) -> bool {
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_default();
    let is_healthy = head.starts_with("HTTP/1.1 200") && body.starts_with(r#"{"status":"healthy""#);
    let head = head.to_ascii_lowercase();
    let has_headers = ["referrer-policy: no-referrer", "cache-control: no-store"]
        .iter()
        .all(|header| head.contains(&format!("\r\n{header}")));
    is_healthy || (has_headers && body.starts_with(r#"{"detail":"#))
}

/// Returns a problem if a front end's folder has no page.
pub(crate) fn check_frontend(folder: &Path) -> Option<String> {
    let index = folder.join("index.html");
    (!index.is_file()).then(|| {
        format!(
            "the front end has no page {}: build it, or name another folder",
            index.display()
        )
    })
}

async fn check_models(settings: &Settings) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, model) in build_models(&settings.answers) {
        let checked = match model {
            Ok(model) => model
                .check()
                .await
                .map_err(|failure| format!("model `{name}`: {failure}")),
            Err(error) => Err(error.to_string()),
        };
        match checked {
            // The answer is the model's own text, so it is shown without control characters.
            Ok(answer) => println!("model `{name}` answers {answer:?}"),
            Err(problem) => problems.push(format!("settings: {problem}")),
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_responses_of_this_server_are_recognized() {
        let response = |head: &str, body: &str| format!("HTTP/1.1 {head}\r\n\r\n{body}");
        let healthy = r#"{"status":"healthy"}"#;
        assert!(is_greenroom(&response("200 OK", healthy)));
        let headers = "Referrer-Policy: no-referrer\r\nCache-Control: no-store";
        let refusal = response(&format!("503 X\r\n{headers}"), r#"{"detail":"busy"}"#);
        assert!(is_greenroom(&refusal));
        assert!(!is_greenroom(&response(
            "200 OK",
            r#"{"status":"unhealthy"}"#
        )));
        assert!(!is_greenroom(&response("404 Not Found", healthy)));
        assert!(!is_greenroom("no HTTP"));
    }
}
