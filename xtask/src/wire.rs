//! Sends property-based requests, derived from the OpenAPI document, to the running program. No
//! answer may be 5xx or undocumented.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::steps::{Steps, target, top};

/// The Python package that generates and checks the requests, with its version.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// A running server with its files in a temporary folder. Dropping it stops the server and deletes
/// the folder.
struct Server {
    child: Child,
    address: String,
    password: String,
    folder: PathBuf,
}

pub(crate) fn run(steps: &mut Steps, seconds: u32) -> Result<(), String> {
    let Some(python) = ["python3", "python"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
    else {
        if env::var_os("CI").is_some() {
            return Err("schemathesis needs Python; install python3".into());
        }
        println!("not run: requests over the OpenAPI document (no Python)");
        return Ok(());
    };
    let installed = target().join(SCHEMATHESIS.replace("==", "-"));
    let tool = installed.join("bin").join("schemathesis");
    if !tool.exists() {
        steps.run(
            "a Python environment",
            Command::new(python).args(["-m", "venv"]).arg(&installed),
        )?;
        steps.run(
            SCHEMATHESIS,
            Command::new(installed.join("bin").join("pip")).args([
                "install",
                "--quiet",
                SCHEMATHESIS,
            ]),
        )?;
    }
    // The program as the tests use it. Built by itself, it would have other features, and so would
    // the crates below it: they would be compiled twice.
    steps.cargo(
        "the program and the tests",
        &[
            "test",
            "--quiet",
            "--no-run",
            "--workspace",
            "--all-features",
        ],
    )?;
    let server = Server::start()?;
    let token = server.log_in()?;
    let mut requests = Command::new(tool);
    requests
        .arg("--config-file")
        .arg(top().join("tests").join("schemathesis.toml"));
    requests.args([
        "run",
        &format!("http://{}/openapi.json", server.address),
        "-H",
        &format!("X-API-Key: {token}"),
    ]);
    requests.args([
        "--max-time",
        &seconds.to_string(),
        "--suppress-health-check",
        "all",
        "--warnings",
        "off",
    ]);
    // schemathesis writes its findings into its working folder, so it runs in the server's
    // temporary folder.
    steps.run(
        "requests over the OpenAPI document",
        requests.current_dir(&server.folder),
    )
}

impl Server {
    fn start() -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let folder = env::temp_dir().join(format!("greenroom-wire-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(text)?;
        let mut program = Command::new(target().join("debug").join("greenroom"));
        program
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // Raises the rate limits, because refused requests would test nothing. Other tests check
        // the limits.
        program.envs([
            ("GREENROOM_REQUESTS_PER_SECOND", "1000000"),
            ("GREENROOM_REQUEST_BURST", "1000000"),
        ]);
        let mut child = program.spawn().map_err(text)?;
        let output = child.stdout.take().ok_or("the output is not piped")?;
        let mut server = Self {
            child,
            address: String::new(),
            password: String::new(),
            folder,
        };
        for line in BufReader::new(output).lines() {
            let line = line.map_err(text)?;
            if let Some(address) = line.strip_prefix("listening on http://") {
                address.clone_into(&mut server.address);
                return Ok(server);
            }
            if let Some((_, password)) = line.rsplit_once(": ") {
                password.clone_into(&mut server.password);
            }
        }
        Err("greenroom exited before it listened".into())
    }

    fn log_in(&self) -> Result<String, String> {
        let body = format!(r#"{{"password":"{}"}}"#, self.password);
        let mut stream = TcpStream::connect(&self.address).map_err(|error| error.to_string())?;
        let head = "POST /auth/login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                    content-type: application/json";
        write!(
            stream,
            "{head}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .map_err(|error| error.to_string())?;
        let token = answer
            .split(r#""api_key":""#)
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        token
            .map(str::to_owned)
            .ok_or_else(|| format!("the login returned no token: {answer}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // These calls fail if the program has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
