//! An agent's files as text: `agent.yaml` and `memory.yaml`.

use chrono::NaiveDate;
use domain::{AgentConfig, LongTermMemory, Memo, RecentEvent};
use serde::{Deserialize, Serialize};

/// `agent.yaml`. Unknown fields are refused by name.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct AgentFile {
    in_a_nutshell: String,
    characteristics: String,
    is_critic: bool,
    interrupt_every_turn: bool,
    priority: i32,
    transparent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_pic: Option<String>,
}

/// `memory.yaml`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct MemoryFile {
    recent_events: Vec<EventEntry>,
    long_term_memories: Vec<MemoryEntry>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct EventEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    text: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MemoryEntry {
    title: String,
    text: String,
}

/// Both files read; the error names file, line, column and field.
pub(crate) fn parse(agent: &str, memory: &str) -> Result<AgentConfig, String> {
    let file: AgentFile = read("agent.yaml", agent)?;
    let memory: MemoryFile = read("memory.yaml", memory)?;
    let event = |entry: EventEntry| {
        let date =
            entry.date.map(|date| date.parse::<NaiveDate>().map_err(|why| format!("memory.yaml: recent_events: date {date:?}: {why}")));
        Ok(RecentEvent { date: date.transpose()?, text: entry.text })
    };
    Ok(AgentConfig {
        in_a_nutshell: file.in_a_nutshell,
        characteristics: file.characteristics,
        recent_events: memory.recent_events.into_iter().map(event).collect::<Result<_, String>>()?,
        long_term_memories: memory
            .long_term_memories
            .into_iter()
            .map(|entry| LongTermMemory { title: entry.title, text: entry.text })
            .collect(),
        is_critic: file.is_critic,
        interrupt_every_turn: file.interrupt_every_turn,
        priority: file.priority,
        transparent: file.transparent,
        profile_pic: file.profile_pic,
        memo: Memo::default(),
    })
}

fn read<T: Default + for<'a> Deserialize<'a>>(file: &str, text: &str) -> Result<T, String> {
    if text.trim().is_empty() {
        return Ok(T::default());
    }
    serde_yaml::from_str(text).map_err(|error| format!("{file}: {error}"))
}

/// The texts of `agent.yaml` and `memory.yaml`.
pub(crate) fn print(config: &AgentConfig) -> (String, String) {
    let agent = AgentFile {
        in_a_nutshell: config.in_a_nutshell.clone(),
        characteristics: config.characteristics.clone(),
        is_critic: config.is_critic,
        interrupt_every_turn: config.interrupt_every_turn,
        priority: config.priority,
        transparent: config.transparent,
        profile_pic: config.profile_pic.clone(),
    };
    let event = |event: &RecentEvent| EventEntry { date: event.date.map(|date| date.to_string()), text: event.text.clone() };
    let memory = MemoryFile {
        recent_events: config.recent_events.iter().map(event).collect(),
        long_term_memories: config
            .long_term_memories
            .iter()
            .map(|memory| MemoryEntry { title: memory.title.clone(), text: memory.text.clone() })
            .collect(),
    };
    let print = "plain texts and flags are always YAML";
    (serde_yaml::to_string(&agent).expect(print), serde_yaml::to_string(&memory).expect(print))
}

#[cfg(test)]
mod tests {
    use bolero::{check, generator::*};

    use super::*;

    #[test]
    fn what_was_printed_reads_back() {
        let config = AgentConfig {
            in_a_nutshell: "달: 고양이 # \"x\"\n- y".into(),
            recent_events: vec![
                RecentEvent { date: "2026-01-02".parse().ok(), text: "a: b".into() },
                RecentEvent { date: None, text: "~".into() },
            ],
            long_term_memories: vec![LongTermMemory { title: "no".into(), text: "1e3\n\n  two".into() }],
            priority: -3,
            is_critic: true,
            profile_pic: Some("profile.png".into()),
            ..AgentConfig::default()
        };
        let (agent, memory) = print(&config);
        assert_eq!(parse(&agent, &memory), Ok(config));
    }

    /// How long a target is fuzzed.
    fn time() -> std::time::Duration {
        std::time::Duration::from_secs(if std::env::var_os("GREENROOM_PROOF").is_some() { 60 } else { 3 })
    }

    #[test]
    fn whatever_text_parses_is_printed_and_reads_back_equal() {
        /// What YAML and these files are made of.
        const WORDS: [&str; 44] = [
            "in_a_nutshell",
            "characteristics",
            "is_critic",
            "interrupt_every_turn",
            "priority",
            "transparent",
            "profile_pic",
            "recent_events",
            "long_term_memories",
            "date",
            "text",
            "title",
            ": ",
            ":",
            "\n",
            "\n  ",
            "\n- ",
            " - ",
            "- ",
            "{",
            "}",
            "[",
            "]",
            ", ",
            "|\n  ",
            ">-\n  ",
            "\"",
            "'",
            "&a ",
            "*a",
            "!!str ",
            "# ",
            "~",
            "null",
            "true",
            "no",
            "-7",
            "1e3",
            "0x1F",
            "2026-01-02",
            "\t",
            "---\n",
            "하늘",
            "\u{85}",
        ];
        let join = |picks: &[u8]| picks.iter().map(|pick| WORDS[usize::from(*pick) % WORDS.len()]).collect::<String>();
        let text = || produce_with::<Vec<u8>>().len(0..24_usize);
        check!()
            .with_test_time(time())
            .with_generator((text(), text(), (produce_with::<String>().len(0..3_usize), produce_with::<String>().len(0..3_usize))))
            .for_each(|(agent, memory, raw)| {
                // A field first, so that many of them parse.
                let agent = format!("characteristics: {}{}", join(agent), raw.0);
                let memory = format!("recent_events:\n- text: {}{}", join(memory), raw.1);
                if let Ok(config) = parse(&agent, &memory) {
                    let (agent, memory) = print(&config);
                    assert_eq!(parse(&agent, &memory), Ok(config));
                }
            });
    }

    #[test]
    fn whatever_persona_is_printed_reads_back_equal() {
        type Persona = (String, String, Vec<(Option<u32>, String)>, Vec<(String, String)>, i32, bool, Option<String>);
        check!().with_test_time(time()).with_type::<Persona>().for_each(|(nutshell, text, events, memories, priority, flag, picture)| {
            let date = |days: &u32| NaiveDate::from_epoch_days(i32::try_from(days % 4_000_000).expect("it is small"));
            let config = AgentConfig {
                memo: domain::Memo::default(),
                in_a_nutshell: nutshell.clone(),
                characteristics: text.clone(),
                recent_events: events
                    .iter()
                    .map(|(days, text)| RecentEvent { date: days.as_ref().and_then(date), text: text.clone() })
                    .collect(),
                long_term_memories: memories
                    .iter()
                    .map(|(title, text)| LongTermMemory { title: title.clone(), text: text.clone() })
                    .collect(),
                priority: *priority,
                is_critic: *flag,
                interrupt_every_turn: !*flag,
                transparent: *flag,
                profile_pic: picture.clone(),
            };
            let (agent, memory) = print(&config);
            assert_eq!(parse(&agent, &memory), Ok(config));
        });
    }

    #[test]
    fn an_error_names_file_line_and_field() {
        let error = parse("in_a_nutshell: x\npriority: high\n", "").unwrap_err();
        assert!(error.contains("agent.yaml") && error.contains("priority") && error.contains("line 2"), "{error}");
        let error = parse("prioritty: 1\n", "").unwrap_err();
        assert!(error.contains("prioritty") && error.contains("`priority`"), "{error}");
    }
}
