//! PgBouncer, a pooler that shares a few sessions of a PostgreSQL server between its clients.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpStream},
    os::unix::{fs::chown, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    postgres::{Server, free_port, unprivileged_user},
    wait::PATIENCE,
};

/// Runs PgBouncer until the end of the script's input. `$1` is the program, `$2` its configuration.
const SCRIPT: &str = r#"
trap '' INT HUP TERM
"$1" -q "$2" >/dev/null 2>&1 &
cat >/dev/null
kill -KILL $!
"#;

/// A running pooler. It ends when the value is dropped, or when this process ends.
pub struct Pooler {
    port: u16,
    shell: Child,
    _folder: TempDir,
}

impl Pooler {
    /// Starts a pooler in transaction mode in front of a server. `settings` is added to the
    /// configuration. Without the program, reports `test` as not run and returns `None`.
    pub fn start(test: &str, server: &Server, settings: &str) -> Option<Self> {
        let Some(program) = program() else {
            crate::report_not_run(test, "PgBouncer is not installed");
            return None;
        };
        let temporary = tempfile::tempdir().expect("the temporary folder is writable");
        let port = free_port();
        let config = temporary.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\n{settings}\n",
            server.port
        );
        fs::write(&config, settings).expect("the folder is writable");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT, "sh"])
            .arg(program)
            .arg(&config)
            .stdin(Stdio::piped());
        if let Some((uid, gid)) = unprivileged_user(temporary.path()) {
            for path in [temporary.path(), &config] {
                chown(path, Some(uid), Some(gid)).expect("root may change the owner of a file");
            }
            shell.uid(uid).gid(gid);
        }
        let pooler = Self {
            port,
            shell: shell.spawn().expect("the system has a shell"),
            _folder: temporary,
        };
        pooler.wait();
        Some(pooler)
    }

    /// Returns the address of the server's database behind the pooler.
    pub fn address(&self, server: &Server) -> String {
        let (port, database) = (self.port, &server.database);
        format!("postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    fn wait(&self) {
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "PgBouncer does not start");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The shell kills the pooler before it ends.
        let _ = self.shell.wait();
    }
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder: PathBuf| folder.join("pgbouncer"))
        .find(|program| program.is_file())
}
