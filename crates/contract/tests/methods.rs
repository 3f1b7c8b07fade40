//! Compares the table of port methods with the traits. The compiler reports a required method that
//! is missing in the table, because the decorator is generated from the table. This test also
//! covers methods with a default body, and the order of all methods.

use contract::PORT_METHODS;

#[test]
fn the_table_lists_the_methods_of_the_traits_in_their_order() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/src/ports.rs");
    let source = std::fs::read_to_string(path).expect("crates/domain/src/ports.rs can be read");
    let (mut port, mut methods) = ("", Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("pub trait ") {
            port = rest.split(':').next().unwrap_or(rest);
        }
        if let Some(rest) = line.strip_prefix("async fn ") {
            let method = rest.split('(').next().unwrap_or(rest);
            methods.push(format!("{port}::{method}"));
        }
    }
    let table: Vec<_> = PORT_METHODS.iter().map(|method| method.name).collect();
    assert_eq!(
        table, methods,
        "`for_each_port_method!` differs from the traits"
    );
}
