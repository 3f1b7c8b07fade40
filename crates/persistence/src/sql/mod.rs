//! The SQL database: connections, transactions, locks against a second process, and the schema.

pub(crate) mod connection;
pub(crate) mod database;
pub(crate) mod error;
mod file_lock;
pub(crate) mod inspect;
pub(crate) mod list_part;
pub(crate) mod pending;
pub(crate) mod pool;
mod postgres_lock;
pub(crate) mod rows;
mod schema;
mod span;
pub(crate) mod tables;
