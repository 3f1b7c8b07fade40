//! Printing of new files, and edits of existing files that keep their comments.

use domain::{AgentConfig, GroupDefaults, LongTermMemory, RecentEvent};
use yaml_in_place::{EditError, Record, Value, print_field, print_list, replace_items, set_field};

use super::{
    names::{AGENT, MEMORY, Persona, Texts, VERSION},
    read::{parse, parse_group, parse_memory},
};

/// Returns the texts of a new agent's files. `group` is the text of its group's `group.yaml`. A
/// setting that equals the group's default is left out, so that the agent follows later changes of
/// that default.
pub(crate) fn print(id: Option<i64>, config: &AgentConfig, group: String) -> Texts {
    let group_defaults = parse_group(&group).unwrap_or_default();
    let mut agent = print_field("schema", &Value::Number(VERSION));
    if let Some(id) = id {
        agent.push_str(&print_field("id", &Value::Number(id)));
    }
    let inherited = agent_values(&AgentConfig {
        interrupt_every_turn: group_defaults.interrupt_every_turn.unwrap_or_default(),
        priority: group_defaults.priority.unwrap_or_default(),
        transparent: group_defaults.transparent.unwrap_or_default(),
        ..AgentConfig::default()
    });
    for field in agent_values(config) {
        let (name, value) = &field;
        let is_text = matches!(*name, "in_a_nutshell" | "characteristics");
        if is_text || !inherited.contains(&field) {
            agent.push_str(&print_field(name, value));
        }
    }
    let memory = print_memory(config);
    Texts {
        agent,
        memory,
        group,
    }
}

fn print_memory(config: &AgentConfig) -> String {
    let mut memory = print_field("schema", &Value::Number(VERSION));
    memory.push_str(&print_list("recent_events", &event_records(config)));
    memory.push_str(&print_list("long_term_memories", &memory_records(config)));
    memory
}

/// Returns events as a YAML list. The text can be appended to the text of another such list.
pub(crate) fn print_archive(events: &[RecentEvent]) -> String {
    let config = AgentConfig {
        recent_events: events.to_vec(),
        ..AgentConfig::default()
    };
    let field = print_list("recent_events", &event_records(&config));
    // Removes the first line, which contains the name of the field.
    field
        .split_once('\n')
        .map(|(_, items)| items.to_owned())
        .unwrap_or_default()
}

/// Returns the text of a new `group.yaml`. The text is empty if `defaults` has no values.
pub(crate) fn print_group(defaults: &GroupDefaults) -> String {
    let values = [
        (
            "interrupt_every_turn",
            defaults.interrupt_every_turn.map(Value::Flag),
        ),
        (
            "priority",
            defaults.priority.map(|number| Value::Number(number.into())),
        ),
        ("transparent", defaults.transparent.map(Value::Flag)),
    ];
    let fields: String = values
        .into_iter()
        .filter_map(|(name, value)| Some(print_field(name, &value?)))
        .collect();
    if fields.is_empty() {
        return fields;
    }
    print_field("schema", &Value::Number(VERSION)) + &fields
}

/// Returns the fields of `agent.yaml` except `schema` and `id`. Without a picture, `profile_pic` is
/// left out.
fn agent_values(config: &AgentConfig) -> Record<'static> {
    let text = |text: &String| Value::Text(text.clone());
    let mut values = vec![
        ("in_a_nutshell", text(&config.in_a_nutshell)),
        ("characteristics", text(&config.characteristics)),
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
            .as_ref()
            .map(|name| ("profile_pic", text(name))),
    );
    values
}

fn event_records(config: &AgentConfig) -> Vec<Record<'static>> {
    let record = |event: &RecentEvent| {
        let date = event
            .date
            .map(|date| ("date", Value::Plain(date.to_string())));
        date.into_iter()
            .chain([("text", Value::Text(event.text.clone()))])
            .collect()
    };
    config.recent_events.iter().map(record).collect()
}

fn memory_records(config: &AgentConfig) -> Vec<Record<'static>> {
    let record = |memory: &LongTermMemory| {
        vec![
            ("title", Value::Text(memory.title.clone())),
            ("text", Value::Text(memory.text.clone())),
        ]
    };
    config.long_term_memories.iter().map(record).collect()
}

/// Returns `texts` changed to the persona `new`. `old` is the persona that `texts` contain. Only
/// values that differ are written, and comments stay. The error says why the change cannot be
/// written.
pub(crate) fn edited(texts: &Texts, old: &Persona, new: &Persona) -> Result<Texts, String> {
    let mut edited = texts.clone();
    let before = agent_values(&old.config);
    let mut changes: Vec<_> = agent_values(&new.config)
        .into_iter()
        .filter(|value| !before.contains(value))
        .collect();
    if let Some(id) = new.id.filter(|_| old.id != new.id) {
        changes.push(("id", Value::Number(id)));
    }
    for (name, value) in &changes {
        edited.agent = set_field(&edited.agent, name, value).map_err(refused(AGENT))?;
    }
    edited.memory = edited_memory(&texts.memory, &old.config, &new.config)?;
    match parse(&edited) {
        Ok(persona) if persona == *new => Ok(edited),
        _ => Err(unfaithful(AGENT)),
    }
}

/// Returns the text of `memory.yaml` with its lists changed to those of `new`. `old` has the lists
/// that `text` contains.
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
    let edited = replace_items(
        text,
        "recent_events",
        &event_records(old),
        &event_records(new),
    )
    .map_err(refused(MEMORY))?;
    let edited = replace_items(
        &edited,
        "long_term_memories",
        &memory_records(old),
        &memory_records(new),
    )
    .map_err(refused(MEMORY))?;
    match parse_memory(&edited) {
        Ok((events, memories))
            if events == new.recent_events && memories == new.long_term_memories =>
        {
            Ok(edited)
        }
        _ => Err(unfaithful(MEMORY)),
    }
}

fn refused(file: &'static str) -> impl Fn(EditError) -> String {
    move |error| match error {
        EditError::Syntax(error) => format!("{file}, {error}"),
        other => format!("{file}: {other}"),
    }
}

/// Returns the error for an edit whose result does not parse to the intended values. This happens
/// if the text has a form that the editor does not support, such as a field that occurs twice.
fn unfaithful(file: &str) -> String {
    format!(
        "{file}: the change cannot be made without changing other fields; edit the file by hand"
    )
}
