//! Reading the files' texts.

use domain::{AgentConfig, GroupDefaults, LongTermMemory, RecentEvent};

use super::{
    fields::{self, Fields},
    names::{
        AGENT, AGENT_FIELDS, EVENT_FIELDS, GROUP, GROUP_FIELDS, LONG_TERM_FIELDS, MAX_ID, MEMORY,
        MEMORY_FIELDS, Persona, Texts, VERSION,
    },
};

/// The fields of `agent.yaml` that are no texts and that an agent can leave to its group or to
/// the default.
const SETTINGS: [&str; 4] = [
    "is_critic",
    "interrupt_every_turn",
    "priority",
    "transparent",
];

/// Reads an agent's files. The error lists every problem, each with file, line, column, field and
/// what was expected.
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

/// Returns the value, or its default after noting the problem, so that one file's problem does
/// not hide another's.
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
        // Not an agent without fields: some editors empty a file before they write it.
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
            // The lists are in `memory.yaml`.
            ..AgentConfig::default()
        },
    })
}

fn priority(fields: &mut Fields<'_>) -> Option<i32> {
    fields
        .number("priority", i32::MIN.into(), i32::MAX.into())
        .and_then(|number| number.try_into().ok())
}

/// Returns the settings that `agent.yaml` has itself, instead of its group's or the default.
pub(crate) fn own_settings(agent: &str) -> Vec<&'static str> {
    let Ok(Some(root)) = yaml_in_place::parse(agent) else {
        return Vec::new();
    };
    let is_set = |field: &&str| root.entry(field).is_some_and(|(_, value)| !value.is_null());
    SETTINGS.into_iter().filter(is_set).collect()
}

/// Returns the id in `agent.yaml`, whatever else is wrong with the file.
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

/// Reads `memory.yaml`. Both lists are empty for an empty text.
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

/// Reads `group.yaml`. An empty text sets nothing.
pub(crate) fn parse_group(text: &str) -> Result<GroupDefaults, String> {
    read_file(GROUP, text, &GROUP_FIELDS, |fields| GroupDefaults {
        interrupt_every_turn: fields.flag("interrupt_every_turn"),
        priority: priority(fields),
        transparent: fields.flag("transparent"),
    })
}
