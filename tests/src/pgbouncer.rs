//! PgBouncer, a pooler that shares a few sessions of a PostgreSQL server between its clients.

use std::{ffi::OsStr, fs};

use crate::{
    background::{Background, program},
    postgres::{Server, free_port},
};

/// A running pooler. It ends when the value is dropped, or when this process ends.
pub struct Pooler {
    port: u16,
    _program: Background,
}

impl Pooler {
    /// Starts a pooler in transaction mode in front of a server. `settings` is added to the
    /// configuration. Without the program, reports `test` as not run and returns `None`.
    pub fn start(test: &str, server: &Server, settings: &str) -> Option<Self> {
        let program = program(test, "pgbouncer")?;
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let port = free_port();
        let config = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\n{settings}\n",
            server.port
        );
        fs::write(&config, settings).expect("the folder is writable");
        let arguments = [OsStr::new("-q"), config.as_os_str()];
        let program = Background::start(&program, arguments, folder);
        program.wait_for_port(port);
        Some(Self {
            port,
            _program: program,
        })
    }

    /// Returns the address of the server's database behind the pooler.
    pub fn address(&self, server: &Server) -> String {
        let (port, database) = (self.port, &server.database);
        format!("postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable")
    }
}
