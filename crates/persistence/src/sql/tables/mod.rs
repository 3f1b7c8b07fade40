//! The tables as entities of sea-orm. A `Model` is one row.
//!
//! Times are in microseconds since 1970, UTC. The module `schema` describes keys and indexes.

#![expect(
    unreachable_pub,
    reason = "the derive macro of sea-orm requires public types"
)]
#![expect(
    clippy::struct_field_names,
    reason = "the fields have the names of the columns"
)]

pub(crate) mod agents;
pub(crate) mod answer_counts;
pub(crate) mod images;
pub(crate) mod members;
pub(crate) mod memories;
pub(crate) mod messages;
pub(crate) mod read_positions;
pub(crate) mod removals;
pub(crate) mod rooms;
pub(crate) mod sent_keys;
pub(crate) mod sessions;
pub(crate) mod snapshots;
pub(crate) mod usage;
