//! Parsing of `agent.yaml`, `memory.yaml` and `group.yaml`.

use domain::{AgentConfig, GroupDefaults, LongTermMemory, RecentEvent};

use super::{
    fields::{self, Fields},
    names::{
        AGENT, AGENT_FIELDS, EVENT_FIELDS, GROUP, GROUP_FIELDS, LONG_TERM_FIELDS, MAX_ID, MEMORY,
        MEMORY_FIELDS, Persona, Texts, VERSION,
    },
};

/// The fields of `agent.yaml` that contain a flag or a number. For a missing field, the group's
/// value or the default applies.
const SETTINGS: [&str; 4] = [
    "is_critic",
    "interrupt_every_turn",
    "priority",
    "transparent",
];

/// Parses an agent's files. The error lists every problem with its file, line, column and field,
/// and the value that was expected.
pub(crate) fn parse(texts: &Texts) -> Result<Persona, String> {
    let mut problems = Vec::new();
    let group = unless_broken(&mut problems, parse_group(&texts.group));
    let mut persona = unless_broken(&mut problems, parse_agent(&texts.agent, &group));
    let (events, memories) = unless_broken(&mut problems, parse_memory(&texts.memory));
    persona.config.recent_events = events;
    persona.config.long_term_memories = memories;
    if problems.is_empty() {
        Ok(persona)
    } else {
        Err(problems.join("; "))
    }
}

/// Returns the value that was read. On an error, adds the error to `problems` and returns the
/// default value, so that the other files are checked as well.
fn unless_broken<T: Default>(problems: &mut Vec<String>, read: Result<T, String>) -> T {
    read.unwrap_or_else(|problem| {
        problems.push(problem);
        T::default()
    })
}

fn read_file<T>(
    file: &str,
    text: &str,
    known: &[&str],
    read: impl FnOnce(&mut Fields<'_>) -> T,
) -> Result<T, String> {
    let root = yaml_in_place::parse(text)
        .map_err(|error| fields::problem(file, error.position, "", &error.reason))?;
    let mut problems = Vec::new();
    let mut fields = Fields::new(file, String::new(), root.as_ref(), known, &mut problems);
    fields.number("schema", 1, VERSION);
    let value = read(&mut fields);
    if problems.is_empty() {
        Ok(value)
    } else {
        Err(problems.join("; "))
    }
}

fn parse_agent(text: &str, group: &GroupDefaults) -> Result<Persona, String> {
    if text.trim().is_empty() {
        // An empty file is an error, because some editors empty a file before they write it.
        // Otherwise readers would briefly receive an empty persona.
        let start = yaml_in_place::Position { line: 1, column: 1 };
        let problem = "expected fields, as `in_a_nutshell: …`, found an empty file";
        return Err(fields::problem(AGENT, start, "", problem));
    }
    read_file(AGENT, text, &AGENT_FIELDS, |fields| Persona {
        id: fields.number("id", 1, MAX_ID),
        config: AgentConfig {
            in_a_nutshell: fields.text("in_a_nutshell").unwrap_or_default(),
            characteristics: fields.text("characteristics").unwrap_or_default(),
            is_critic: fields.flag("is_critic").unwrap_or_default(),
            interrupt_every_turn: fields
                .flag("interrupt_every_turn")
                .or(group.interrupt_every_turn)
                .unwrap_or_default(),
            priority: priority(fields).or(group.priority).unwrap_or_default(),
            transparent: fields
                .flag("transparent")
                .or(group.transparent)
                .unwrap_or_default(),
            profile_pic: fields.text("profile_pic"),
            // `recent_events` and `long_term_memories` are in `memory.yaml`.
            ..AgentConfig::default()
        },
    })
}

fn priority(fields: &mut Fields<'_>) -> Option<i32> {
    fields
        .number("priority", i32::MIN.into(), i32::MAX.into())
        .and_then(|number| number.try_into().ok())
}

/// Returns the names of the settings that `agent.yaml` contains, and that the agent thus does not
/// inherit. Returns no names if the text is not valid YAML.
pub(crate) fn own_settings(agent: &str) -> Vec<&'static str> {
    let Ok(Some(root)) = yaml_in_place::parse(agent) else {
        return Vec::new();
    };
    let is_set = |field: &&str| root.entry(field).is_some_and(|(_, value)| !value.is_null());
    SETTINGS.into_iter().filter(is_set).collect()
}

/// Returns the id in `agent.yaml`, even if other fields have errors. Returns `None` without a valid
/// id, or if the text is not valid YAML.
pub(crate) fn id_of(agent: &str) -> Option<i64> {
    let root = yaml_in_place::parse(agent).ok().flatten()?;
    let mut problems = Vec::new();
    Fields::new(
        AGENT,
        String::new(),
        Some(&root),
        &AGENT_FIELDS,
        &mut problems,
    )
    .number("id", 1, MAX_ID)
}

/// Parses `memory.yaml`. Both lists are empty for an empty text.
pub(crate) fn parse_memory(text: &str) -> Result<(Vec<RecentEvent>, Vec<LongTermMemory>), String> {
    read_file(MEMORY, text, &MEMORY_FIELDS, |fields| {
        let events = fields.list("recent_events", &EVENT_FIELDS, |fields, item| RecentEvent {
            date: fields.date("date"),
            text: fields.required_text("text", item),
        });
        let memories = fields.list("long_term_memories", &LONG_TERM_FIELDS, |fields, item| {
            LongTermMemory {
                title: fields.required_text("title", item),
                text: fields.required_text("text", item),
            }
        });
        (events, memories)
    })
}

/// Parses `group.yaml`. An empty text yields defaults without values.
pub(crate) fn parse_group(text: &str) -> Result<GroupDefaults, String> {
    read_file(GROUP, text, &GROUP_FIELDS, |fields| GroupDefaults {
        interrupt_every_turn: fields.flag("interrupt_every_turn"),
        priority: priority(fields),
        transparent: fields.flag("transparent"),
    })
}
