//! A program that runs beside tests, as an unprivileged user, until a test or its process ends.

use std::{
    env,
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, TcpStream},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{postgres::unprivileged_user, wait::PATIENCE};

/// Runs a program in a session of its own until the end of the script's input. Then kills it with
/// the processes that it has started, and removes its folder. `$1` is the folder; the program and
/// its arguments follow.
const SCRIPT: &str = r#"
trap '' INT HUP TERM
folder=$1
shift
cd "$folder" || exit 1
HOME=$folder TMPDIR=$folder setsid "$@" >/dev/null 2>"$folder/errors" &
cat >/dev/null
kill -KILL "-$!"
cd / && rm -rf "$folder"
"#;

/// A running program. It ends when the value is dropped, or when this process ends.
pub struct Background {
    shell: Child,
    folder: PathBuf,
}

impl Background {
    /// Starts a program in a folder with the files that it needs. The program owns them.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        folder: TempDir,
    ) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "sh"]).arg(folder.path());
        shell.arg(program).args(arguments).stdin(Stdio::piped());
        if let Some((uid, gid)) = unprivileged_user(folder.path()) {
            let files = fs::read_dir(folder.path()).expect("the folder exists");
            let files = files.map(|file| file.expect("the folder can be read").path());
            for path in files.chain([folder.path().to_owned()]) {
                chown(path, Some(uid), Some(gid)).expect("root may change the owner of a file");
            }
            shell.uid(uid).gid(gid);
        }
        let shell = shell.spawn().expect("the system has a shell");
        // The script removes the folder when the program has ended.
        let folder = TempDir::keep(folder);
        Self { shell, folder }
    }

    /// Returns the folder of the program's files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until the program listens on this port.
    ///
    /// # Panics
    ///
    /// Panics after [`PATIENCE`], with what the program has written to standard error.
    pub fn wait_for_port(&self, port: u16) {
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let errors = fs::read_to_string(self.folder.join("errors"));
            assert!(began.elapsed() < PATIENCE, "nothing listens: {errors:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // The end of its input makes the script kill the program.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Returns the path of a program. Those that only root uses are found, too. Without the program,
/// reports `test` as not run and returns `None`.
pub fn program(test: &str, name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    let mut programs = folders.map(|folder| folder.join(name));
    let found = programs.find(|program| program.is_file());
    if found.is_none() {
        crate::report_not_run(test, &format!("{name} is not installed"));
    }
    found
}
