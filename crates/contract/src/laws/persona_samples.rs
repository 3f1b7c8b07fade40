//! Sample personas and events.

use domain::{AgentConfig, LongTermMemory, RecentEvent};

pub(super) fn event(text: &str) -> RecentEvent {
    RecentEvent {
        date: None,
        text: text.into(),
    }
}

/// Returns a persona whose texts are hard to store as YAML or SQL.
pub(super) fn tricky_persona() -> AgentConfig {
    AgentConfig {
        in_a_nutshell: "- no: 'it' \"is\" # not: a comment".into(),
        characteristics: "하늘을 본다: yes\n\n  indented {like: [this]}\nÆther 🜁 | null".into(),
        recent_events: vec![
            RecentEvent {
                date: chrono::NaiveDate::from_ymd_opt(1999, 12, 31),
                text: "met: 'Ada' & \"Bo\" # 하늘".into(),
            },
            event("true"),
        ],
        long_term_memories: vec![
            LongTermMemory {
                title: "the: first".into(),
                text: "- cold & 'wet'".into(),
            },
            LongTermMemory {
                title: "바다".into(),
                text: "42".into(),
            },
        ],
        is_critic: true,
        interrupt_every_turn: true,
        priority: -2,
        transparent: true,
        profile_pic: None,
    }
}
