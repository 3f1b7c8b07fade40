//! The format of an agent's files: `agent.yaml`, `memory.yaml`, and its group's `group.yaml`.
//!
//! This module defines the fields and their meaning. The crate `yaml-in-place` edits a text and
//! keeps its comments.

mod fields;
mod names;
mod read;
mod write;

pub(crate) use names::{AGENT, GROUP, MEMORY, Persona, Texts};
#[cfg(test)]
pub(crate) use names::{
    AGENT_FIELDS, EVENT_FIELDS, GROUP_FIELDS, LONG_TERM_FIELDS, MEMORY_FIELDS, VERSION,
};
pub(crate) use read::{id_of, own_settings, parse, parse_group, parse_memory};
pub(crate) use write::{edited, edited_memory, print, print_archive, print_group};

#[cfg(test)]
mod tests;
