//! Reads the command line and the environment.

use std::{env, ffi::OsString, fs};

use clap::{Arg, Error, error::ErrorKind};

/// Parses the command line and the environment.
///
/// An empty variable counts as not set, because tools such as Compose pass settings without a value
/// as empty variables. A secret may also be in a file that the variable with the suffix `_FILE`
/// names, as orchestrators provide secrets.
pub(crate) fn parse<C: clap::Parser>() -> Result<C, Error> {
    let mut failed = None;
    let mut command = C::command().mut_args(|arg| match with_environment(arg.clone()) {
        Ok(arg) => arg,
        Err(error) => {
            failed.get_or_insert(error);
            arg
        }
    });
    if let Some(error) = failed {
        return Err(command.error(ErrorKind::Io, error));
    }
    let matches = command.try_get_matches_from_mut(env::args_os())?;
    C::from_arg_matches(&matches)
}

/// Returns the argument without its variable if the variable is empty, and with the content of its
/// file if it is a secret in a file.
fn with_environment(arg: Arg) -> Result<Arg, String> {
    let Some(name) = arg.get_env().map(ToOwned::to_owned) else {
        return Ok(arg);
    };
    if is_set(&name) {
        return Ok(arg);
    }
    let arg = if env::var_os(&name).is_some() {
        arg.env(None)
    } else {
        arg
    };
    // The secrets are the settings whose values `--help` must not show.
    if !arg.is_hide_env_values_set() {
        return Ok(arg);
    }
    let mut variable = name;
    variable.push("_FILE");
    let Some(path) = env::var_os(&variable).filter(|path| !path.is_empty()) else {
        return Ok(arg);
    };
    let text = fs::read_to_string(&path).map_err(|error| {
        let (variable, path) = (variable.display(), path.display());
        format!("cannot read the file {path} that {variable} names: {error}")
    })?;
    // Editors add a line break at the end.
    let secret = text.trim_end_matches(['\r', '\n']).to_owned();
    Ok(arg.default_value(secret).hide_default_value(true))
}

fn is_set(name: &OsString) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}
