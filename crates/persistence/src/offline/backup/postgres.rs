//! Copies of PostgreSQL databases, by the programs `pg_dump` and `pg_restore`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use domain::{Error, Result};
use percent_encoding::percent_decode_str;
use tokio::process::Command;

use super::{blocking, failed};
use crate::platform::private_file;

/// Writes a consistent copy of the database to the new file `target`, and returns its size.
pub(super) async fn dump(url: &str, target: &Path) -> Result<u64> {
    // Only its owner may read the copy. `pg_dump` fills the file.
    let file = private_file()
        .create_new(true)
        .open(target)
        .map_err(failed(target))?;
    let mut command = command("pg_dump", url)?;
    command
        .args(["--format=custom", "--no-owner", "--no-privileges", "--file"])
        .arg(target);
    run("pg_dump", command).await?;
    let target = target.to_path_buf();
    blocking(move || {
        file.sync_all().map_err(failed(&target))?;
        Ok(file.metadata().map_err(failed(&target))?.len())
    })
    .await
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
            "the program {name} is not installed: install PostgreSQL's client programs"
        ))
    })?;
    let (url, password) = without_password(url);
    let mut command = Command::new(program);
    command.args(["--no-password", "--dbname", &url]);
    if let Some(password) = password {
        // Not an argument, because all users of a machine can see the arguments of processes.
        command.env("PGPASSWORD", password);
    }
    Ok(command)
}

/// Returns the URL without its password, and the password.
fn without_password(url: &str) -> (String, Option<String>) {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut address, mut password) = (address.to_owned(), None);
    // `//USER:PASSWORD@HOST`
    let start = address.find("//").map_or(0, |index| index + 2);
    let end = start + address[start..].find('/').unwrap_or(address.len() - start);
    if let Some((user, _)) = address[start..end].rsplit_once('@')
        && let Some((name, secret)) = user.split_once(':')
    {
        password = Some(secret.to_owned());
        address.replace_range(start + name.len()..start + user.len(), "");
    }
    // `?password=PASSWORD`
    let mut kept = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.strip_prefix("password=") {
            Some(secret) => password = Some(secret.to_owned()),
            None => kept.push(part),
        }
    }
    if !kept.is_empty() {
        address = format!("{address}?{}", kept.join("&"));
    }
    let password =
        password.map(|secret| percent_decode_str(&secret).decode_utf8_lossy().into_owned());
    (address, password)
}

/// Returns the path of one of PostgreSQL's programs. Prefers the folders in `PATH` to the newest
/// version that Debian's packages installed.
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
    fn a_password_is_taken_out_of_the_url() {
        for (url, expected, password) in [
            ("postgres://ada@db/tea", "postgres://ada@db/tea", None),
            (
                "postgres://ada:p%40ss@db:5433/tea?sslmode=verify-full",
                "postgres://ada@db:5433/tea?sslmode=verify-full",
                Some("p@ss"),
            ),
            ("postgres://db/tea", "postgres://db/tea", None),
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
            let found = without_password(url);
            assert_eq!(
                (found.0.as_str(), found.1.as_deref()),
                (expected, password),
                "{url}"
            );
        }
    }
}
