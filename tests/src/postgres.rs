//! A throw-away PostgreSQL cluster: one for each test process, with a new database for each test.
//!
//! A shell holds the cluster: it ends the server and deletes the files when its standard input closes, which happens
//! however the test process ends.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sea_orm::{ConnectionTrait, Database};

/// Tries to find a port that nobody takes between the look and the start.
const ATTEMPTS: u32 = 5;

/// Makes the cluster, says so, and waits for the end. `$1` folder of the binaries, `$2` of the cluster, `$3` port.
const HOLD: &str = r#"
trap '' INT HUP TERM
bin=$1 folder=$2 port=$3
cd "$folder" || exit 1
exec 2>>"$folder/log"
[ -d data ] || "$bin/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --no-sync >>log || exit 1
"$bin/pg_ctl" start -w -s -D data -l server.log -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$folder' \
-c fsync=off -c full_page_writes=off -c max_connections=300 -c shared_buffers=32MB" >>log </dev/null || exit 1
echo ready
exec >/dev/null
cat
"$bin/pg_ctl" stop -s -D data -m immediate
cd / && rm -rf "$folder"
"#;

/// A running cluster.
struct Cluster {
    port: u16,
    /// Waits for the end of its standard input, which this process holds.
    _shell: Child,
}

/// Whether there are server binaries.
pub fn available() -> bool {
    binaries().is_some()
}

/// The address of a new and empty database. Without server binaries it says so for `test`, and `None`.
pub async fn database(test: &str) -> Option<String> {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    static DATABASES: AtomicU32 = AtomicU32::new(1);
    let Some(binaries) = binaries() else {
        crate::not_run(test, "no PostgreSQL server binaries");
        return None;
    };
    let port = CLUSTER.get_or_init(|| Cluster::start(&binaries)).port;
    let address = |name: &str| format!("postgres://postgres@127.0.0.1:{port}/{name}");
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let server = Database::connect(address("postgres"))
        .await
        .expect("the cluster answers");
    server
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .expect("a database can be made");
    server.close().await.expect("a connection can be closed");
    Some(address(&name))
}

impl Cluster {
    fn start(binaries: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("greenroom-pg-")
            .tempdir()
            .expect("a temporary folder can be made")
            .keep();
        let user = server_user(&folder);
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).expect("root can give a folder away");
        }
        for _ in 0..ATTEMPTS {
            if let Some(cluster) = Self::start_in(&folder, binaries, user) {
                return cluster;
            }
        }
        let log = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        panic!(
            "PostgreSQL does not start:\n{}{}",
            log("log"),
            log("server.log")
        );
    }

    fn start_in(folder: &Path, binaries: &Path, user: Option<(u32, u32)>) -> Option<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = free.local_addr().expect("a listener has an address").port();
        drop(free);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", HOLD, "sh"])
            .arg(binaries)
            .arg(folder)
            .arg(port.to_string());
        shell
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some((uid, gid)) = user {
            shell.uid(uid).gid(gid);
        }
        let mut shell = shell.spawn().expect("there is a shell");
        let said = shell.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(said)
            .read_line(&mut line)
            .expect("a shell speaks UTF-8");
        if line == "ready\n" {
            return Some(Self {
                port,
                _shell: shell,
            });
        }
        shell.wait().expect("a child can be waited for");
        None
    }
}

/// The folder of the server's binaries: the one in `PATH`, or the newest that Debian's packages put down.
fn binaries() -> Option<PathBuf> {
    let is_complete = |folder: &PathBuf| {
        ["initdb", "pg_ctl", "postgres"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|version| {
            Some((
                version.file_name().to_str()?.parse().ok()?,
                version.path().join("bin"),
            ))
        })
        .collect();
    versions.sort();
    env::split_paths(&path).find(is_complete).or_else(|| {
        versions
            .into_iter()
            .rev()
            .map(|(_, folder)| folder)
            .find(is_complete)
    })
}

/// Who runs the server, which refuses to be root: nobody else unless this process, who made `folder`, is.
fn server_user(folder: &Path) -> Option<(u32, u32)> {
    if fs::metadata(folder)
        .expect("the folder was just made")
        .uid()
        != 0
    {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("a system has users");
    let of = |name: &str| {
        let fields: Vec<&str> = users
            .lines()
            .map(|line| line.split(':').collect())
            .find(|fields: &Vec<&str>| fields[0] == name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    Some(
        of("postgres")
            .or_else(|| of("nobody"))
            .expect("a system has the user postgres or nobody"),
    )
}
