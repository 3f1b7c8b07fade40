//! A running server, and a client of its HTTP interface.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The time for which a test waits for a change before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server process. Dropping it kills the process, so that a failed test leaves no process
/// running.
pub(crate) struct Greenroom {
    child: Child,
    pub(crate) address: String,
    /// The administrator's password, if it was generated at this start.
    pub(crate) password: Option<String>,
}

impl Greenroom {
    /// Starts a server in `folder`, on a free port, and waits until it listens.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, |_| {})
    }

    /// Starts a server after `change` has modified its command line.
    pub(crate) fn start_with(folder: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut program = command(folder);
        program.stderr(Stdio::null());
        change(&mut program);
        Self::run(program)
    }

    /// Starts a server with this command, and waits until it listens.
    pub(crate) fn run(mut program: Command) -> Self {
        let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
        let mut password = None;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(address) = line.strip_prefix("listening on ") {
                return Self {
                    child,
                    address: address.to_owned(),
                    password,
                };
            }
            password = line
                .rsplit_once(": ")
                .map(|(_, password)| password.to_owned());
        }
        panic!("the server ended before it listened: {:?}", child.wait());
    }

    /// Starts a server with this settings file.
    pub(crate) fn start_with_settings(folder: &Path, settings: &str) -> Self {
        fs::write(folder.join("greenroom.yaml"), settings).unwrap();
        Self::start_with(folder, |program| {
            program.args(["--config", "greenroom.yaml"]);
        })
    }

    /// Sends SIGTERM and returns `true` if the server ends without an error.
    pub(crate) fn terminate(self) -> bool {
        self.signal("TERM");
        self.exit_code() == Some(0)
    }

    /// Returns the id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits until the server ends, and returns its exit code.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Kills the server without giving it time to finish anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Logs in as the administrator, with the generated password, and returns the token.
    pub(crate) fn log_in(&self) -> String {
        let password = self.password.as_deref().expect("it was generated just now");
        let body = format!(r#"{{"password":"{password}"}}"#);
        let response = self.request("POST", "/auth/login", "", &body);
        let (_, token) = response.split_once(r#""api_key":""#).unwrap();
        token.split('"').next().unwrap().to_owned()
    }

    /// Sends one request on a new connection. Returns the head and the body of the response.
    pub(crate) fn request(&self, method: &str, path: &str, token: &str, body: &str) -> String {
        let address = self.address.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             x-api-key: {token}\r\ncontent-length: {}",
            body.len()
        );
        write!(stream, "{head}\r\n\r\n{body}").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    /// Requests `path` until `is_wanted` accepts the response, and returns it. Panics after
    /// [`PATIENCE`].
    pub(crate) fn wait_for(
        &self,
        token: &str,
        path: &str,
        is_wanted: impl Fn(&str) -> bool,
    ) -> String {
        let began = Instant::now();
        loop {
            let response = self.request("GET", path, token, "");
            if is_wanted(&response) {
                return response;
            }
            assert!(began.elapsed() < PATIENCE, "{path} returns {response}");
        }
    }
}

impl Drop for Greenroom {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns a command that runs the program in `folder`, on a free port.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_greenroom"));
    command
        .current_dir(folder)
        .env("GREENROOM_LISTEN", "127.0.0.1:0");
    command
}
