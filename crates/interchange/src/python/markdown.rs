//! Parsing and formatting of recent events and long-term memories in Markdown.

use domain::{LongTermMemory, RecentEvent};

/// Parses events. A line `- [YYYY-MM-DD] text` begins an event with a date, and `- text` begins an
/// event without one. Any other line continues the event above. Blank lines are dropped.
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

/// Formats events as [`events`] parses them.
pub(super) fn print_events(events: &[RecentEvent]) -> String {
    let line = |event: &RecentEvent| match event.date {
        Some(date) => format!("- [{date}] {}\n", event.text),
        None => format!("- {}\n", event.text),
    };
    events.iter().map(line).collect()
}

/// Parses memories. A line `## [title]` begins a memory; other headers belong to the memory above.
/// Text before the first such line becomes a memory without a title.
pub(super) fn memories(text: &str) -> Vec<LongTermMemory> {
    let mut memories: Vec<(String, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        let title = line
            .trim_end()
            .strip_prefix("## [")
            .and_then(|rest| rest.strip_suffix(']'));
        match (title, memories.last_mut()) {
            (Some(title), _) => memories.push((title.to_owned(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) if line.trim().is_empty() => {}
            (None, None) => memories.push((String::new(), vec![line])),
        }
    }
    memories
        .into_iter()
        .map(|(title, lines)| LongTermMemory {
            title,
            text: without_blank_ends(&lines),
        })
        .collect()
}

/// Joins lines, without the blank lines at the beginning and at the end.
fn without_blank_ends(lines: &[&str]) -> String {
    let is_blank = |line: &&&str| line.trim().is_empty();
    let above = lines.iter().take_while(is_blank).count();
    let below = lines.iter().rev().take_while(is_blank).count();
    // If all lines are blank, the range is reversed, and `get` returns `None`.
    let lines = lines.get(above..lines.len() - below).unwrap_or_default();
    lines.join("\n")
}

/// Formats memories as [`memories`] parses them.
pub(super) fn print_memories(memories: &[LongTermMemory]) -> String {
    let entry = |memory: &LongTermMemory| format!("## [{}]\n\n{}\n\n", memory.title, memory.text);
    memories.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_by_their_dashes_and_dates() {
        let text = "before\n- [2026-01-02]  x \n  more\n\n- [soon] y\n";
        let event = |date: Option<&str>, text: &str| RecentEvent {
            date: date.map(|date| date.parse().unwrap()),
            text: text.into(),
        };
        let wanted = [
            event(None, "before"),
            event(Some("2026-01-02"), "x\n  more"),
            event(None, "[soon] y"),
        ];
        assert_eq!(events(text), wanted);
        assert_eq!(events(&print_events(&wanted)), wanted);
    }

    #[test]
    fn memories_are_read_by_their_headers_in_brackets() {
        let text = "\nbefore\n## [one]\n\n1\n## other header\n\n## [two]\n\n\n";
        let memory = |title: &str, text: &str| LongTermMemory {
            title: title.into(),
            text: text.into(),
        };
        let wanted = [
            memory("", "before"),
            memory("one", "1\n## other header"),
            memory("two", ""),
        ];
        assert_eq!(memories(text), wanted);
        assert_eq!(memories(&print_memories(&wanted)), wanted);
    }
}
