//! A temporary PostgreSQL cluster: one for each test process, with a new database for each test.
//!
//! A shell owns the cluster. It stops the server and deletes the files when its standard input
//! closes, which happens even if the test process is killed.

use std::{
    env,
    fs::{self, Permissions},
    io::{BufRead, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sea_orm::{ConnectionTrait, Database};

/// The maximum number of attempts to start the server. An attempt fails if another process takes
/// the port between its choice and the start. This is rare, so five failures in a row have another
/// cause.
const ATTEMPTS: u32 = 5;

/// A script that creates and starts the cluster, prints `ready`, waits for the end of its input,
/// and removes the cluster. `$1` is the folder of the binaries, `$2` the cluster's folder, `$3` the
/// port.
///
/// The server's certificate and key are in the folder already. The server skips fsync, because the
/// data need not survive a crash. It admits more connections than its default of 100, because the
/// tests of one process run at the same time.
const CLUSTER_SCRIPT: &str = r#"
trap '' INT HUP TERM
bin=$1 folder=$2 port=$3
cd "$folder" || exit 1
exec 2>>"$folder/log"
[ -d data ] ||
    "$bin/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --no-sync >>log || exit 1
address="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$folder'"
options="-c ssl=on -c ssl_cert_file='$folder/server.pem' -c ssl_key_file='$folder/server.key'"
options="$options -c fsync=off -c full_page_writes=off"
options="$options -c max_connections=300 -c shared_buffers=32MB"
"$bin/pg_ctl" start -w -s -D data -l server.log -o "$address $options" >>log </dev/null || exit 1
echo ready
while read -r line; do
    "$bin/pg_ctl" restart -w -s -D data -l server.log -m immediate >>log </dev/null &&
        echo restarted || echo failed
done
exec >/dev/null
"$bin/pg_ctl" stop -s -D data -m immediate
cd / && rm -rf "$folder"
"#;

/// The running cluster of this process.
struct Cluster {
    port: u16,
    folder: PathBuf,
    /// The shell that runs [`CLUSTER_SCRIPT`]. It ends when this process closes the shell's
    /// standard input.
    _shell: Child,
    /// The input and output of the shell. A line of input restarts the server.
    console: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// Returns `true` if the server's binaries are installed.
pub fn available() -> bool {
    binaries().is_some()
}

/// Creates an empty database and returns its address. Without the server's binaries, reports `test`
/// as not run and returns `None`.
pub async fn database(test: &str) -> Option<String> {
    Some(server(test).await?.address())
}

/// A server with a new, empty database.
pub struct Server {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The name of the database.
    pub database: String,
    /// The certificate of the authority that issued the server's certificate. The server's
    /// certificate is valid for the name `localhost`.
    pub authority: PathBuf,
    /// The certificate of another authority.
    pub other_authority: PathBuf,
}

impl Server {
    /// Returns the database's address, for a connection without TLS.
    pub fn address(&self) -> String {
        let Self { port, database, .. } = self;
        format!("postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable")
    }
}

/// The server of this process. It is started for the first test that needs it.
static CLUSTER: OnceLock<Cluster> = OnceLock::new();

/// Ends the server without giving it time to finish anything, and starts it again. Does nothing if
/// it was not started.
pub async fn restart() {
    let restarting = tokio::task::spawn_blocking(|| {
        let Some(cluster) = CLUSTER.get() else {
            return;
        };
        let mut console = cluster.console.lock().expect("no restart panics");
        let (input, output) = &mut *console;
        input.write_all(b"restart\n").expect("the shell is running");
        assert_eq!(read_line(output), "restarted\n");
    });
    restarting.await.expect("the shell answers");
}

fn read_line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    let read = output.read_line(&mut line);
    read.expect("the script prints UTF-8");
    line
}

/// Creates an empty database and returns its server, as [`database`] does.
pub async fn server(test: &str) -> Option<Server> {
    static DATABASES: AtomicU32 = AtomicU32::new(1);
    let Some(binaries) = binaries() else {
        crate::report_not_run(test, "no PostgreSQL server binaries");
        return None;
    };
    let cluster = CLUSTER.get_or_init(|| Cluster::start(&binaries));
    let port = cluster.port;
    let address = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
    // Relaxed: only the number's uniqueness matters.
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let server = Database::connect(address)
        .await
        .expect("the cluster accepts connections");
    server
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .expect("the cluster creates databases");
    server.close().await.expect("the connection closes");
    Some(Server {
        port,
        database: name,
        authority: cluster.folder.join("authority.pem"),
        other_authority: cluster.folder.join("other.pem"),
    })
}

impl Cluster {
    fn start(binaries: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("greenroom-pg-")
            .tempdir()
            .expect("the temporary folder can be created")
            .keep();
        write_certificates(&folder);
        let user = unprivileged_user(&folder);
        if let Some((uid, gid)) = user {
            for path in [
                folder.clone(),
                folder.join("server.pem"),
                folder.join("server.key"),
            ] {
                chown(path, Some(uid), Some(gid)).expect("root may change the owner of a file");
            }
        }
        for _ in 0..ATTEMPTS {
            if let Some(cluster) = Self::start_in(&folder, binaries, user) {
                return cluster;
            }
        }
        let log = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        panic!(
            "PostgreSQL does not start after {ATTEMPTS} attempts:\n{}{}",
            log("log"),
            log("server.log")
        );
    }

    fn start_in(folder: &Path, binaries: &Path, user: Option<(u32, u32)>) -> Option<Self> {
        let port = free_port();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", CLUSTER_SCRIPT, "sh"])
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
        let mut shell = shell.spawn().expect("the system has a shell");
        let input = shell.stdin.take().expect("standard input is piped");
        let mut output = BufReader::new(shell.stdout.take().expect("standard output is piped"));
        if read_line(&mut output) == "ready\n" {
            return Some(Self {
                port,
                folder: folder.to_path_buf(),
                _shell: shell,
                console: Mutex::new((input, output)),
            });
        }
        shell.wait().expect("a child can be waited for");
        None
    }
}

/// Returns a port of 127.0.0.1 that no process listens on.
pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    free.local_addr().expect("a listener has an address").port()
}

/// Creates `server.pem` and `server.key`, the certificate of its authority in `authority.pem`, and
/// the certificate of another authority in `other.pem`.
fn write_certificates(folder: &Path) {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).expect("the folder is writable");
        // The server refuses a key that others can read.
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("the file is ours");
    };
    let authority = || {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be generated");
        let certificate = params.self_signed(&key).expect("the parameters are valid");
        (certificate.pem(), Issuer::new(params, key))
    };
    let (certificate, issuer) = authority();
    write("authority.pem", certificate);
    write("other.pem", authority().0);
    let key = KeyPair::generate().expect("a key can be generated");
    let server = CertificateParams::new(vec!["localhost".into()])
        .and_then(|params| params.signed_by(&key, &issuer))
        .expect("the parameters are valid");
    write("server.pem", server.pem());
    write("server.key", key.serialize_pem());
}

/// Returns the folder of the server's binaries, or `None` if they are not installed. Searches the
/// folders in `PATH` first, and then the versions that Debian's packages installed, newest first.
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

/// Returns the ids of the user and the group that must run a server, or `None` if this process is
/// not root. PostgreSQL and PgBouncer refuse to run as root, so a root process runs them as
/// `postgres` or `nobody`.
///
/// This process must have created `folder`. The owner of `folder` is then the user of this process.
pub(crate) fn unprivileged_user(folder: &Path) -> Option<(u32, u32)> {
    if fs::metadata(folder)
        .expect("the folder was just created")
        .uid()
        != 0
    {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
    let ids_of = |name: &str| {
        let fields: Vec<&str> = users
            .lines()
            .map(|line| line.split(':').collect())
            .find(|fields: &Vec<&str>| fields[0] == name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    Some(
        ids_of("postgres")
            .or_else(|| ids_of("nobody"))
            .expect("the system has a user postgres or nobody"),
    )
}
