//! Compares the table of port methods with the traits. The compiler reports a required method that
//! is missing in the table, because the decorator is generated from the table. This test also
//! covers methods with a default body, and the order of all methods.

use contract::PORT_METHODS;

/// The files of `domain::ports`, in the order of the table.
const FILES: [&str; 9] = [
    "agents",
    "agent_files",
    "memories",
    "rooms",
    "messages",
    "read_positions",
    "sessions",
    "usage_log",
    "mod",
];

#[test]
fn the_table_lists_the_methods_of_the_traits_in_their_order() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/src/ports");
    let files = std::fs::read_dir(folder)
        .expect("the ports are a folder")
        .count();
    // The port in `changes` belongs to no bundle, so no decorator implements it.
    assert_eq!(files, FILES.len() + 1, "`FILES` differs from the folder");
    let (mut port, mut methods) = (String::new(), Vec::new());
    for file in FILES {
        let path = format!("{folder}/{file}.rs");
        let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        for line in source.lines().map(str::trim) {
            if line.starts_with("impl ") || line.starts_with("#[async_trait]") {
                port.clear();
            }
            if let Some(rest) = line.strip_prefix("pub trait ") {
                port = rest.split(':').next().unwrap_or(rest).to_owned();
            }
            if let Some(rest) = line.strip_prefix("async fn ").filter(|_| !port.is_empty()) {
                let method = rest.split('(').next().unwrap_or(rest);
                methods.push(format!("{port}::{method}"));
            }
        }
    }
    let table: Vec<_> = PORT_METHODS.iter().map(|method| method.name).collect();
    assert_eq!(
        table, methods,
        "`for_each_port_method!` differs from the traits"
    );
}
