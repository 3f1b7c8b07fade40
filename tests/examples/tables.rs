//! Compares the generated tables in the documentation with the code, or rewrites the tables.
//!
//! ```sh
//! cargo run -p tests --example tables             # prints the rows that differ
//! cargo run -p tests --example tables -- --write  # rewrites the tables between their markers
//! ```
//!
//! The exit status is 1 if a table differs and is not rewritten, and 2 for unknown arguments.

use std::{env, io, process::ExitCode};

use tests::tables::{WRITE_COMMAND, tables};

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["--write"] => write(),
        _ => {
            eprintln!("the only argument is --write, got {arguments:?}");
            Ok(ExitCode::from(2))
        }
    }
}

fn compare() -> io::Result<ExitCode> {
    let mut differ = false;
    for table in tables() {
        let diff = table.diff()?;
        if !diff.is_empty() {
            differ = true;
            println!("{}, table {}:\n{diff}", table.page, table.name);
        }
    }
    if differ {
        println!("`{WRITE_COMMAND}` rewrites these tables.");
        return Ok(ExitCode::FAILURE);
    }
    println!("The pages show the tables of the code.");
    Ok(ExitCode::SUCCESS)
}

fn write() -> io::Result<ExitCode> {
    for table in tables() {
        let has_changed = !table.diff()?.is_empty();
        table.write()?;
        if has_changed {
            println!("{}: rewrote table {}", table.page, table.name);
        }
    }
    Ok(ExitCode::SUCCESS)
}
