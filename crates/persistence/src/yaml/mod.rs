//! The format of an agent's files: `agent.yaml`, `memory.yaml`, and its group's `group.yaml`.
//!
//! Knows which fields there are and what they mean. How a text is changed without touching its
//! comments is the job of the crate `yaml-in-place`.

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
pub(crate) use write::{edited, edited_memory, print, print_group};

#[cfg(test)]
mod tests;
