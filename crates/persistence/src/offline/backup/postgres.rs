//! Copies of PostgreSQL databases, by the programs `pg_dump` and `pg_restore`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use domain::{Error, Result};
use percent_encoding::percent_decode_str;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    IsolationLevel, Statement, TransactionTrait,
};
use tokio::process::Command;

use crate::{offline::files::failed, platform::private_file, sql::pool::connect_postgres_to_read};

/// A transaction whose snapshot `pg_dump` uses.
pub(super) struct Snapshot {
    url: String,
    target: PathBuf,
    /// The name of the exported snapshot on the server.
    name: String,
    connection: DatabaseConnection,
    transaction: DatabaseTransaction,
}

impl Snapshot {
    /// Begins a snapshot, to be written to the new file `target`.
    pub(super) async fn begin(url: &str, target: PathBuf) -> Result<Self> {
        let connection = connect_postgres_to_read(url).await?;
        let isolation = Some(IsolationLevel::RepeatableRead);
        let begun = connection
            .begin_with_config(isolation, Some(AccessMode::ReadOnly))
            .await;
        let transaction = begun.map_err(Error::unavailable)?;
        let sql = "SELECT pg_export_snapshot() AS name";
        let row = transaction
            .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
            .await
            .map_err(Error::unavailable)?
            .ok_or_else(|| Error::unavailable("pg_export_snapshot returned no row"))?;
        Ok(Self {
            url: url.to_owned(),
            target,
            name: row.try_get("", "name").map_err(Error::unavailable)?,
            connection,
            transaction,
        })
    }

    /// Writes the snapshot, and returns the size of the file.
    pub(super) async fn write(self) -> Result<u64> {
        // Only its owner may read the copy. `pg_dump` fills the file.
        let file = private_file()
            .create_new(true)
            .open(&self.target)
            .map_err(failed(&self.target))?;
        let mut command = command("pg_dump", &self.url)?;
        command
            .args(["--format=custom", "--no-owner", "--no-privileges"])
            .args(["--snapshot", &self.name, "--file"])
            .arg(&self.target);
        run("pg_dump", command).await?;
        // The transaction ends only now, because the exported snapshot ends with it.
        self.transaction
            .rollback()
            .await
            .map_err(Error::unavailable)?;
        self.connection.close().await.map_err(Error::unavailable)?;
        file.sync_all().map_err(failed(&self.target))?;
        Ok(file.metadata().map_err(failed(&self.target))?.len())
    }
}

/// Restores a copy into an empty database, in one transaction.
pub(super) async fn restore(url: &str, source: &Path) -> Result<()> {
    let mut command = command("pg_restore", url)?;
    command
        .args(["--single-transaction", "--exit-on-error"])
        .args(["--no-owner", "--no-privileges"])
        .arg(source);
    run("pg_restore", command).await
}

/// Runs a program. If it fails, returns its error output as `Unavailable`. If the caller is
/// cancelled, kills the program.
async fn run(name: &str, mut command: Command) -> Result<()> {
    let output = command
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| Error::unavailable(format!("{name}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(Error::unavailable(format!("{name} failed: {}", why.trim())))
}

/// Returns a command that connects to the database at `url`.
fn command(name: &str, url: &str) -> Result<Command> {
    let program = program(name).ok_or_else(|| {
        Error::unavailable(format!(
            "the program {name} was not found: install PostgreSQL's client programs"
        ))
    })?;
    let Address { url, password } = Address::of(url);
    let mut command = Command::new(program);
    command.args(["--no-password", "--dbname", &url]);
    if let Some(password) = password {
        // The password is not an argument, because all users of a machine can see the arguments of
        // a process.
        command.env("PGPASSWORD", password);
    }
    Ok(command)
}

/// The URL parameters that are passed to PostgreSQL's programs: the name that the driver accepts,
/// and the name that the programs accept. Other parameters, such as the capacity of the driver's
/// statement cache, are dropped, because the programs refuse unknown ones.
const PARAMETERS: [(&str, &str); 15] = [
    ("application_name", "application_name"),
    ("dbname", "dbname"),
    ("host", "host"),
    ("hostaddr", "hostaddr"),
    ("port", "port"),
    ("user", "user"),
    ("sslmode", "sslmode"),
    ("ssl-mode", "sslmode"),
    ("sslrootcert", "sslrootcert"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("sslcert", "sslcert"),
    ("ssl-cert", "sslcert"),
    ("sslkey", "sslkey"),
    ("ssl-key", "sslkey"),
];

/// The address of a database in the form that PostgreSQL's programs accept.
struct Address {
    /// The URL without a password.
    url: String,
    password: Option<String>,
}

impl Address {
    fn of(url: &str) -> Self {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut url, mut password) = (address.to_owned(), None);
        // `//USER:PASSWORD@HOST`
        let start = url.find("//").map_or(0, |index| index + 2);
        let end = url[start..]
            .find('/')
            .map_or(url.len(), |index| start + index);
        let user = url[start..end]
            .rsplit_once('@')
            .map(|(user, _)| user.to_owned());
        if let Some((name, secret)) = user.as_deref().and_then(|user| user.split_once(':')) {
            let name_end = start + name.len();
            url.replace_range(name_end..=name_end + secret.len(), "");
            password = Some(secret.to_owned());
        }
        let mut kept = Vec::new();
        for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
            if name == "password" {
                password = Some(value.to_owned());
            } else if let Some((_, known)) = PARAMETERS.iter().find(|(from, _)| *from == name) {
                kept.push(format!("{known}={value}"));
            }
        }
        if !kept.is_empty() {
            url = format!("{url}?{}", kept.join("&"));
        }
        let decoded = |secret: String| percent_decode_str(&secret).decode_utf8_lossy().into_owned();
        Self {
            url,
            password: password.map(decoded),
        }
    }
}

/// Returns the path of one of PostgreSQL's programs, or `None`. Searches the folders in `PATH`
/// first, and then the versions that Debian's packages installed, newest first.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let installed = versions.into_iter().rev().map(|(_, folder)| folder);
    env::split_paths(&path)
        .chain(installed)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_password_and_no_parameters_of_the_driver() {
        for (url, expected, password) in [
            ("postgres://ada@db/tea", "postgres://ada@db/tea", None),
            (
                "postgres://ada:p%40ss@db:5433/tea?sslmode=verify-full",
                "postgres://ada@db:5433/tea?sslmode=verify-full",
                Some("p@ss"),
            ),
            ("postgres://db/tea", "postgres://db/tea", None),
            (
                "postgres://db/tea?statement-cache-capacity=0&ssl-mode=require",
                "postgres://db/tea?sslmode=require",
                None,
            ),
            (
                "postgres://db/tea?password=p&sslmode=require",
                "postgres://db/tea?sslmode=require",
                Some("p"),
            ),
            (
                "postgres:///tea?host=/run/postgresql",
                "postgres:///tea?host=/run/postgresql",
                None,
            ),
        ] {
            let found = Address::of(url);
            let found = (found.url.as_str(), found.password.as_deref());
            assert_eq!(found, (expected, password), "{url}");
        }
    }
}
