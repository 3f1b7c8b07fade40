//! An agent's files as text: `agent.yaml`, `memory.yaml`, and `group.yaml` with what its group sets.

mod edit;
mod fields;
mod print;
pub(crate) mod tree;

use domain::{AgentConfig, LongTermMemory, RecentEvent};

use fields::Fields;
use print::Value;

pub(crate) const AGENT: &str = "agent.yaml";
pub(crate) const MEMORY: &str = "memory.yaml";
pub(crate) const GROUP: &str = "group.yaml";
/// The version of the format that is written. Files without one are of the first.
pub(crate) const VERSION: i64 = 1;
/// Greater ids would lose digits in JSON.
const MAX_ID: i64 = (1 << 53) - 1;

#[rustfmt::skip] // As the schema names them.
pub(crate) const AGENT_FIELDS: [&str; 9] = [
    "schema", "id", "in_a_nutshell", "characteristics", "is_critic", "interrupt_every_turn", "priority", "transparent", "profile_pic",
];
pub(crate) const MEMORY_FIELDS: [&str; 3] = ["schema", "recent_events", "long_term_memories"];
pub(crate) const EVENT_FIELDS: [&str; 2] = ["date", "text"];
pub(crate) const LONG_TERM_FIELDS: [&str; 2] = ["title", "text"];
pub(crate) const GROUP_FIELDS: [&str; 4] =
    ["schema", "interrupt_every_turn", "priority", "transparent"];

/// The texts of an agent's files; empty for those that may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    pub(crate) agent: String,
    pub(crate) memory: String,
    pub(crate) group: String,
}

/// What the files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Persona {
    /// The agent's id, once it has one.
    pub(crate) id: Option<i64>,
    pub(crate) config: AgentConfig,
}

/// What a group sets for agents that say nothing themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupDefaults {
    pub(crate) interrupt_every_turn: Option<bool>,
    pub(crate) priority: Option<i32>,
    pub(crate) transparent: Option<bool>,
}

/// All of an agent's files read; the error names file, line, column, field and what was expected.
pub(crate) fn parse(texts: &Texts) -> Result<Persona, String> {
    let mut problems = Vec::new();
    let group = collect(&mut problems, parse_group(&texts.group));
    let mut persona = collect(&mut problems, parse_agent(&texts.agent, &group));
    let (events, memories) = collect(&mut problems, parse_memory(&texts.memory));
    persona.config.recent_events = events;
    persona.config.long_term_memories = memories;
    if problems.is_empty() {
        Ok(persona)
    } else {
        Err(problems.join("; "))
    }
}

fn collect<T: Default>(problems: &mut Vec<String>, found: Result<T, String>) -> T {
    found.unwrap_or_else(|why| {
        problems.push(why);
        T::default()
    })
}

fn read<T>(
    file: &str,
    text: &str,
    known: &[&str],
    read: impl FnOnce(&mut Fields<'_>) -> T,
) -> Result<T, String> {
    let root = tree::parse(text).map_err(|broken| fields::broken(file, &broken))?;
    let mut problems = Vec::new();
    let mut fields = Fields::new(file, String::new(), root.as_ref(), known, &mut problems);
    fields.number("schema", 1, VERSION);
    let found = read(&mut fields);
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems.join("; "))
    }
}

fn parse_agent(text: &str, group: &GroupDefaults) -> Result<Persona, String> {
    if text.trim().is_empty() {
        // As an editor leaves it for a moment that empties a file and then writes it.
        return Err(fields::told(
            AGENT,
            (1, 1),
            "",
            "expected fields, as `in_a_nutshell: …`, found an empty file",
        ));
    }
    read(AGENT, text, &AGENT_FIELDS, |fields| Persona {
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
            recent_events: Vec::new(),
            long_term_memories: Vec::new(),
        },
    })
}

fn priority(fields: &mut Fields<'_>) -> Option<i32> {
    fields
        .number("priority", i32::MIN.into(), i32::MAX.into())
        .and_then(|number| number.try_into().ok())
}

/// Whether a text has a field of its own.
pub(crate) fn says(text: &str, field: &str) -> bool {
    tree::parse(text)
        .ok()
        .flatten()
        .is_some_and(|root| root.entry(field).is_some_and(|(_, value)| !value.is_null()))
}

/// The id that `agent.yaml` carries, whatever else is wrong with it.
pub(crate) fn id_of(agent: &str) -> Option<i64> {
    let root = tree::parse(agent).ok().flatten()?;
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

/// `memory.yaml` alone; empty for an empty file.
pub(crate) fn parse_memory(text: &str) -> Result<(Vec<RecentEvent>, Vec<LongTermMemory>), String> {
    read(MEMORY, text, &MEMORY_FIELDS, |fields| {
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

/// `group.yaml`; nothing is set by an empty file.
pub(crate) fn parse_group(text: &str) -> Result<GroupDefaults, String> {
    read(GROUP, text, &GROUP_FIELDS, |fields| GroupDefaults {
        interrupt_every_turn: fields.flag("interrupt_every_turn"),
        priority: priority(fields),
        transparent: fields.flag("transparent"),
    })
}

/// The texts of a new agent's files, beside a group's. A value that the group sets is left to it.
pub(crate) fn print(id: Option<i64>, config: &AgentConfig, group: String) -> Texts {
    let defaults = parse_group(&group).unwrap_or_default();
    let mut agent = print::field("schema", &Value::Number(VERSION), 0);
    if let Some(id) = id {
        agent.push_str(&print::field("id", &Value::Number(id), 0));
    }
    let nothing = AgentConfig {
        interrupt_every_turn: defaults.interrupt_every_turn.unwrap_or_default(),
        priority: defaults.priority.unwrap_or_default(),
        transparent: defaults.transparent.unwrap_or_default(),
        ..AgentConfig::default()
    };
    for (name, value) in agent_values(config) {
        let is_text = matches!(name, "in_a_nutshell" | "characteristics");
        if is_text || !agent_values(&nothing).contains(&(name, value.clone())) {
            agent.push_str(&print::field(name, &value, 0));
        }
    }
    Texts {
        agent,
        memory: print_memory(config),
        group,
    }
}

fn print_memory(config: &AgentConfig) -> String {
    let mut memory = print::field("schema", &Value::Number(VERSION), 0);
    let events: Vec<_> = config.recent_events.iter().map(event_values).collect();
    let memories: Vec<_> = config
        .long_term_memories
        .iter()
        .map(memory_values)
        .collect();
    for (name, items) in [("recent_events", events), ("long_term_memories", memories)] {
        memory.push_str(&edit::list(name, &items, 0));
    }
    memory
}

/// The fields of `agent.yaml` as a persona has them; a picture only if there is one.
fn agent_values(config: &AgentConfig) -> Vec<(&'static str, Value)> {
    let mut values = vec![
        ("in_a_nutshell", Value::Text(config.in_a_nutshell.clone())),
        (
            "characteristics",
            Value::Text(config.characteristics.clone()),
        ),
        ("is_critic", Value::Flag(config.is_critic)),
        (
            "interrupt_every_turn",
            Value::Flag(config.interrupt_every_turn),
        ),
        ("priority", Value::Number(config.priority.into())),
        ("transparent", Value::Flag(config.transparent)),
    ];
    values.extend(
        config
            .profile_pic
            .clone()
            .map(|name| ("profile_pic", Value::Text(name))),
    );
    values
}

fn event_values(event: &RecentEvent) -> Vec<(&'static str, Value)> {
    let date = event.date.map(|date| ("date", Value::Date(date)));
    date.into_iter()
        .chain([("text", Value::Text(event.text.clone()))])
        .collect()
}

fn memory_values(memory: &LongTermMemory) -> Vec<(&'static str, Value)> {
    vec![
        ("title", Value::Text(memory.title.clone())),
        ("text", Value::Text(memory.text.clone())),
    ]
}

/// The texts after a change: only what differs between `old` and `new` is written, at its place. An error says why that
/// cannot be done faithfully. So is the id.
pub(crate) fn edited(texts: &Texts, old: &Persona, new: &Persona) -> Result<Texts, String> {
    let mut edited = texts.clone();
    let before = agent_values(&old.config);
    let mut values: Vec<_> = agent_values(&new.config)
        .into_iter()
        .filter(|value| !before.contains(value))
        .collect();
    if let Some(id) = new.id.filter(|_| old.id != new.id) {
        values.push(("id", Value::Number(id)));
    }
    for (name, value) in &values {
        edited.agent = edit::set(AGENT, &edited.agent, name, value)?;
    }
    edited.memory = edited_memory(&texts.memory, &old.config, &new.config)?;
    match parse(&edited) {
        Ok(found) if found == *new => Ok(edited),
        _ => Err(
            "the change cannot be written without touching what else stands in the files".into(),
        ),
    }
}

/// `memory.yaml` after a change, read back and compared.
pub(crate) fn edited_memory(
    text: &str,
    old: &AgentConfig,
    new: &AgentConfig,
) -> Result<String, String> {
    if old.recent_events == new.recent_events && old.long_term_memories == new.long_term_memories {
        return Ok(text.to_owned());
    }
    if text.trim().is_empty() {
        return Ok(print_memory(new));
    }
    let events = |config: &AgentConfig| {
        config
            .recent_events
            .iter()
            .map(event_values)
            .collect::<Vec<_>>()
    };
    let memories = |config: &AgentConfig| {
        config
            .long_term_memories
            .iter()
            .map(memory_values)
            .collect::<Vec<_>>()
    };
    let edited = edit::splice(MEMORY, text, "recent_events", &events(old), &events(new))?;
    let edited = edit::splice(
        MEMORY,
        &edited,
        "long_term_memories",
        &memories(old),
        &memories(new),
    )?;
    match parse_memory(&edited) {
        Ok((events, memories))
            if events == new.recent_events && memories == new.long_term_memories =>
        {
            Ok(edited)
        }
        _ => Err(format!(
            "the change cannot be written without touching what else stands in {MEMORY}"
        )),
    }
}

#[cfg(test)]
mod tests;
