//! chromedriver, which drives headless Chromium.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpStream},
    os::unix::{fs::chown, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    postgres::{free_port, unprivileged_user},
    wait::PATIENCE,
};

/// Runs chromedriver in a session of its own until the end of the script's input, then ends
/// it with its browsers. `$1` is the program, `$2` the port, `$3` the folder for its files.
const SCRIPT: &str = r#"
trap '' INT HUP TERM
cd "$3" || exit 1
HOME=$3 TMPDIR=$3 setsid "$1" --port="$2" --log-level=OFF >/dev/null 2>&1 &
cat >/dev/null
kill -KILL "-$!"
cd / && rm -rf "$3"
"#;

/// The running chromedriver of this process.
struct Driver {
    port: u16,
    /// The shell that runs [`SCRIPT`]. It ends when this process closes its standard input.
    _shell: Child,
}

/// Returns the address of this process's chromedriver. Without the programs, reports `test` as not
/// run and returns `None`.
pub fn driver(test: &str) -> Option<String> {
    static DRIVER: OnceLock<Option<Driver>> = OnceLock::new();
    let Some(driver) = DRIVER.get_or_init(start) else {
        crate::report_not_run(test, "Chromium or chromedriver is not installed");
        return None;
    };
    Some(format!("http://127.0.0.1:{}", driver.port))
}

fn start() -> Option<Driver> {
    let driver = program("chromedriver")?;
    program("chromium")?;
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let port = free_port();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", SCRIPT, "sh"])
        .arg(driver)
        .arg(port.to_string())
        .arg(folder.path())
        .stdin(Stdio::piped());
    if let Some((uid, gid)) = unprivileged_user(folder.path()) {
        chown(folder.path(), Some(uid), Some(gid)).expect("root may change the owner of a file");
        shell.uid(uid).gid(gid);
    }
    let shell = shell.spawn().expect("the system has a shell");
    // The script removes the folder, after the browsers have ended.
    let _ = TempDir::keep(folder);
    let began = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(began.elapsed() < PATIENCE, "chromedriver starts");
        thread::sleep(Duration::from_millis(10));
    }
    Some(Driver {
        port,
        _shell: shell,
    })
}

fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut programs = env::split_paths(&path).map(|folder| folder.join(name));
    programs.find(|program| fs::metadata(program).is_ok_and(|file| file.is_file()))
}
