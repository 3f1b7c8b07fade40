//! nginx, with the configuration from `docs/deploy`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    background::{Background, program},
    postgres::free_port,
    workspace,
};

/// A running nginx. It ends when the value is dropped, or when this process ends.
pub struct Nginx {
    port: u16,
    program: Background,
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
        let program = program(test, "nginx")?;
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let port = free_port();
        let config = write_files(folder.path(), port, upstream, change);
        let arguments = ["-e".into(), "stderr".into(), "-c".into(), config];
        let program = Background::start(&program, arguments, folder);
        program.wait_for_port(port);
        Some(Self { port, program })
    }

    /// Returns the address that clients use.
    pub fn address(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Returns the file with the certificate.
    pub fn certificate(&self) -> PathBuf {
        self.program.folder().join("cert.pem")
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
