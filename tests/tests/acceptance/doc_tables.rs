//! Checks that the tables in the documentation equal those that are generated from the code.

use tests::tables::{WRITE_COMMAND, tables};

#[test]
fn the_tables_in_the_documentation_are_those_of_the_code() {
    for table in tables() {
        let shown = table.read().unwrap();
        assert!(
            shown == table.text,
            "{}, table {}, differs from the code:\n{}\nRun `{WRITE_COMMAND}`.",
            table.page,
            table.name,
            table.diff().unwrap()
        );
    }
}
