//! The system prompt, built from the persona each time an agent is prompted.

use std::fmt::Write;

use domain::{Agent, AgentConfig, RecentEvent};

/// Returns the system prompt: the agent's name, then each part of its persona that is not empty.
pub fn system_prompt(agent: &Agent, config: &AgentConfig) -> String {
    let mut prompt = format!("You are {}. Stay in character.\n", agent.name);
    let mut part = |title: &str, text: &str| {
        if !text.trim().is_empty() {
            write!(prompt, "\n# {title}\n{}\n", text.trim())
                .expect("writing to a string cannot fail");
        }
    };
    part("In a nutshell", &config.in_a_nutshell);
    part("Characteristics", &config.characteristics);
    part("Recent events", &events_text(&config.recent_events));
    let titles: Vec<_> = config
        .long_term_memories
        .iter()
        .map(|memory| format!("- {}", memory.title))
        .collect();
    part(
        "Long-term memories you can recall by title",
        &titles.join("\n"),
    );
    prompt
}

/// Formats each recent event as a line `- [YYYY-MM-DD] text`, or `- text` without a date.
pub(crate) fn events_text(events: &[RecentEvent]) -> String {
    let line = |event: &RecentEvent| match event.date {
        Some(date) => format!("- [{date}] {}", event.text),
        None => format!("- {}", event.text),
    };
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Parses recent events in the format of [`events_text`].
///
/// A line that begins with `- ` starts an event. Any other line continues the event before it; the
/// first line always starts an event. Blank lines are skipped.
pub(crate) fn parse_events(text: &str) -> Vec<RecentEvent> {
    let mut events: Vec<RecentEvent> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match (line.strip_prefix("- "), events.last_mut()) {
            (None, Some(event)) => {
                event.text.push('\n');
                event.text.push_str(line);
            }
            (Some(entry), _) => events.push(event(entry)),
            (None, None) => events.push(event(line)),
        }
    }
    events
}

fn event(entry: &str) -> RecentEvent {
    let dated = entry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "));
    match dated.and_then(|(date, text)| Some((date.parse().ok()?, text))) {
        Some((date, text)) => RecentEvent {
            date: Some(date),
            text: text.to_owned(),
        },
        None => RecentEvent {
            date: None,
            text: entry.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_back_as_they_were_printed() {
        let text = "- [2026-01-02] met 하늘\nin the garden\n- lost a hat";
        let events = parse_events(text);
        assert_eq!(events.len(), 2);
        assert_eq!(events_text(&events), text);
    }
}
