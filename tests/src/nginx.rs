//! nginx, with the configuration from `docs/deploy`.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpStream},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    postgres::{free_port, unprivileged_user},
    wait::PATIENCE,
    workspace,
};

/// Runs nginx until the end of the script's input. `$1` is the program, `$2` its configuration.
const SCRIPT: &str = r#"
trap '' INT HUP TERM
"$1" -e stderr -c "$2" 2>"$3" &
cat >/dev/null
kill -KILL $!
"#;

/// A running nginx. It ends when the value is dropped, or when this process ends.
pub struct Nginx {
    port: u16,
    shell: Child,
    folder: TempDir,
}

impl Nginx {
    /// Starts nginx in front of a server on `upstream`, a host and a port, with the configuration
    /// from `docs/deploy`. `change` edits the configuration.
    ///
    /// Without the program, reports `test` as not run and returns `None`.
    pub fn start(
        test: &str,
        upstream: &str,
        change: impl FnOnce(String) -> String,
    ) -> Option<Self> {
        let Some(program) = program() else {
            crate::report_not_run(test, "nginx is not installed");
            return None;
        };
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let port = free_port();
        let config = write_files(folder.path(), port, upstream, change);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT, "sh"])
            .arg(program)
            .arg(config)
            .arg(folder.path().join("errors"))
            .stdin(Stdio::piped());
        if let Some((uid, gid)) = unprivileged_user(folder.path()) {
            let files = fs::read_dir(folder.path()).expect("the folder exists");
            let files = files.map(|file| file.expect("the folder can be read").path());
            for path in files.chain([folder.path().to_owned()]) {
                chown(path, Some(uid), Some(gid)).expect("root may change the owner of a file");
            }
            shell.uid(uid).gid(gid);
        }
        let nginx = Self {
            port,
            shell: shell.spawn().expect("the system has a shell"),
            folder,
        };
        nginx.wait();
        Some(nginx)
    }

    /// Returns the address that clients use.
    pub fn address(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Returns the file with the certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn wait(&self) {
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let errors = fs::read_to_string(self.folder.path().join("errors"));
            assert!(
                began.elapsed() < PATIENCE,
                "nginx does not start: {errors:?}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The end of its input makes the script kill nginx.
        drop(self.shell.stdin.take());
        drop(self.shell.wait());
    }
}

/// Writes a certificate, and the configuration for this machine. Returns the configuration's path.
fn write_files(
    folder: &Path,
    port: u16,
    upstream: &str,
    change: impl FnOnce(String) -> String,
) -> PathBuf {
    let certified =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("the name is valid");
    let certificate = folder.join("cert.pem");
    let key = folder.join("key.pem");
    fs::write(&certificate, certified.cert.pem()).expect("the folder is writable");
    fs::write(&key, certified.signing_key.serialize_pem()).expect("the folder is writable");
    let site = fs::read_to_string(workspace().join("docs/deploy/nginx.conf"))
        .expect("the configuration exists");
    let site = site
        .replace("listen 443 ", &format!("listen 127.0.0.1:{port} "))
        .replace("chat.example;", "localhost;")
        .replace(
            "/etc/ssl/certs/chat.example.pem",
            &certificate.display().to_string(),
        )
        .replace(
            "/etc/ssl/private/chat.example.key",
            &key.display().to_string(),
        )
        .replace("127.0.0.1:8001", upstream);
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};", folder.join(kind).display()))
        .join("\n");
    let config = format!(
        "daemon off; master_process off; pid {};\nevents {{}}\nhttp {{\naccess_log off;\n\
         {temporary}\n{}\n}}\n",
        folder.join("pid").display(),
        change(site)
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, config).expect("the folder is writable");
    path
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders
        .map(|folder| folder.join("nginx"))
        .find(|program| program.is_file())
}
