//! Recent events and long-term memories as Markdown.

use domain::{LongTermMemory, RecentEvent};

/// A line `- [YYYY-MM-DD] text` begins an event, `- text` one without a date; other lines belong to the one before.
pub(super) fn events(text: &str) -> Vec<RecentEvent> {
    let mut events: Vec<RecentEvent> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match (line.strip_prefix("- "), events.last_mut()) {
            (None, Some(event)) => event.text = format!("{}\n{line}", event.text),
            (entry, _) => events.push(event(entry.unwrap_or(line))),
        }
    }
    events
}

fn event(entry: &str) -> RecentEvent {
    let dated = entry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    match dated.and_then(|(date, text)| Some((date.parse().ok()?, text))) {
        Some((date, text)) => RecentEvent {
            date: Some(date),
            text: text.trim().to_owned(),
        },
        None => RecentEvent {
            date: None,
            text: entry.to_owned(),
        },
    }
}

pub(super) fn print_events(events: &[RecentEvent]) -> String {
    let line = |event: &RecentEvent| match event.date {
        Some(date) => format!("- [{date}] {}\n", event.text),
        None => format!("- {}\n", event.text),
    };
    events.iter().map(line).collect()
}

/// A line `## [title]` begins a memory; a header of another form belongs to the one before. What stands before the first
/// is a memory without a title.
pub(super) fn memories(text: &str) -> Vec<LongTermMemory> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        let title = line
            .trim_end()
            .strip_prefix("## [")
            .and_then(|rest| rest.strip_suffix(']'));
        match (title, found.last_mut()) {
            (Some(title), _) => found.push((title.to_owned(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) if line.trim().is_empty() => {}
            (None, None) => found.push((String::new(), vec![line])),
        }
    }
    let text = |lines: Vec<&str>| {
        let is_blank = |line: &&&str| line.trim().is_empty();
        let (above, below) = (
            lines.iter().take_while(is_blank).count(),
            lines.iter().rev().take_while(is_blank).count(),
        );
        lines
            .get(above..lines.len() - below)
            .unwrap_or_default()
            .join("\n")
    };
    found
        .into_iter()
        .map(|(title, lines)| LongTermMemory {
            title,
            text: text(lines),
        })
        .collect()
}

pub(super) fn print_memories(memories: &[LongTermMemory]) -> String {
    let entry = |memory: &LongTermMemory| format!("## [{}]\n\n{}\n\n", memory.title, memory.text);
    memories.iter().map(entry).collect()
}
