use bolero::{check, generator::*};
use chrono::NaiveDate;
use domain::{AgentConfig, LongTermMemory, RecentEvent};

use super::*;

fn texts(agent: &str, memory: &str) -> Texts {
    Texts {
        agent: agent.into(),
        memory: memory.into(),
        group: String::new(),
    }
}

/// Changes the persona in `before`, and returns the edited texts.
fn change(before: &Texts, change: impl FnOnce(&mut Persona)) -> Result<Texts, String> {
    let old = parse(before).unwrap();
    let mut new = old.clone();
    change(&mut new);
    edited(before, &old, &new)
}

fn agent_after(agent: &str, how: impl FnOnce(&mut AgentConfig)) -> String {
    change(&texts(agent, ""), |persona| how(&mut persona.config))
        .unwrap()
        .agent
}

fn memory_after(memory: &str, how: impl FnOnce(&mut AgentConfig)) -> String {
    change(&texts("id: 1", memory), |persona| how(&mut persona.config))
        .unwrap()
        .memory
}

fn event(text: &str) -> RecentEvent {
    RecentEvent {
        date: "2026-01-02".parse().ok(),
        text: text.into(),
    }
}

#[test]
fn printed_files_read_back_equal() {
    let config = AgentConfig {
        in_a_nutshell: "달: 고양이 # \"x\"\n- y".into(),
        recent_events: vec![
            event("a: b"),
            RecentEvent {
                date: None,
                text: "~".into(),
            },
        ],
        long_term_memories: vec![LongTermMemory {
            title: "no".into(),
            text: "1e3\n\n  two".into(),
        }],
        priority: -3,
        is_critic: true,
        profile_pic: Some("profile.png".into()),
        ..AgentConfig::default()
    };
    let texts = print(Some(7), &config, String::new());
    assert_eq!(
        parse(&texts),
        Ok(Persona {
            id: Some(7),
            config
        })
    );
}

#[test]
fn a_groups_values_are_defaults_and_the_agents_own_win() {
    let group = "interrupt_every_turn: true\npriority: 5\ntransparent: true\n";
    let read = |agent: &str| {
        parse(&Texts {
            agent: agent.into(),
            group: group.into(),
            ..Texts::default()
        })
        .unwrap()
        .config
    };
    let config = read("in_a_nutshell: x\npriority: 0\ntransparent: false\n");
    assert!(config.interrupt_every_turn && config.priority == 0 && !config.transparent);
    let printed = print(None, &config, group.into());
    assert!(
        printed.agent.contains("priority: 0") && !printed.agent.contains("interrupt"),
        "{}",
        printed.agent
    );
    assert_eq!(parse(&printed).unwrap().config, config);
}

#[test]
fn an_error_names_file_line_column_field_and_what_was_expected() {
    let cases = [
        (
            "in_a_nutshell: x\npriority: high\n",
            "",
            "agent.yaml, line 2, column 11: priority: expected a whole number",
        ),
        (
            "is_critic: yes\n",
            "",
            "agent.yaml, line 1, column 12: is_critic: expected true or false, found `yes`",
        ),
        (
            "prioritty: 1\n",
            "",
            "agent.yaml, line 1, column 1: prioritty: unknown field; did you mean `priority`?",
        ),
        ("in_a_nutshell: [x\n", "", "agent.yaml, line 2, column 1"),
        (
            "in_a_nutshell: {a: 1}\n",
            "",
            "in_a_nutshell: expected text, found fields",
        ),
        (
            "id: 1\nid: 2\n",
            "",
            "agent.yaml, line 2, column 1: id: the field is there twice",
        ),
        (
            "schema: 2\n",
            "",
            "schema: expected a whole number from 1 to 1, found `2`",
        ),
        ("- a\n", "", "agent.yaml, line 1, column 1: expected fields"),
        ("", "", "found an empty file"),
        (
            "id: 1",
            "recent_events:\n- date: soon\n  text: x\n",
            "memory.yaml, line 2, column 9: recent_events[0].date: expected a date",
        ),
        (
            "id: 1",
            "recent_events:\n- date: 2026-01-01\n",
            "memory.yaml, line 2, column 3: recent_events[0].text: expected text, found nothing",
        ),
        (
            "id: 1",
            "recent_events:\n-\n",
            "recent_events[0].text: expected text, found nothing",
        ),
        (
            "id: 1",
            "long_term_memories: x\n",
            "long_term_memories: expected a list",
        ),
        (
            "id: 1",
            "recent_events:\n- texd: x\n",
            "did you mean `text`?",
        ),
    ];
    for (agent, memory, wanted) in cases {
        let found = parse(&texts(agent, memory)).unwrap_err();
        assert!(found.contains(wanted), "{wanted}\n is not in\n{found}");
    }
    let group = Texts {
        agent: "id: 1".into(),
        group: "priorty: 1".into(),
        ..Texts::default()
    };
    assert!(parse(&group).unwrap_err().starts_with("group.yaml, line 1"));
}

const WRITTEN: &str = "\
# Ada, by hand
in_a_nutshell: old   # in brief

# how she is
characteristics: |  # long
  first

  second

# last
priority: 5  # high
id: 3
";

#[test]
fn comments_and_order_survive_a_change_of_one_field() {
    type Case = (fn(&mut AgentConfig), &'static str, &'static str);
    let cases: [Case; 6] = [
        (
            |c| c.priority = 7,
            "priority: 5  # high",
            "priority: 7  # high",
        ),
        (
            |c| c.in_a_nutshell = "new: one".into(),
            "in_a_nutshell: old   #",
            "in_a_nutshell: \"new: one\"   #",
        ),
        (
            |c| c.in_a_nutshell = "a\nb\n".into(),
            "in_a_nutshell: old   # in brief",
            "in_a_nutshell: |   # in brief\n  a\n  b",
        ),
        (
            |c| c.characteristics = "one".into(),
            "|  # long\n  first\n\n  second\n",
            "one  # long\n",
        ),
        (
            |c| c.characteristics = "x\ny".into(),
            "|  # long\n  first\n\n  second\n",
            "|-  # long\n  x\n  y\n",
        ),
        (
            |c| c.is_critic = true,
            "id: 3\n",
            "id: 3\nis_critic: true\n",
        ),
    ];
    for (how, from, to) in cases {
        assert!(WRITTEN.contains(from));
        let wanted = WRITTEN.replacen(from, to, 1);
        assert_eq!(agent_after(WRITTEN, how), wanted);
        let crlf = |text: &str| text.replace('\n', "\r\n");
        assert_eq!(
            agent_after(&crlf(WRITTEN), how),
            crlf(&wanted),
            "with other line ends"
        );
    }
}

#[test]
fn a_value_is_changed_in_each_shape_that_people_write() {
    for (before, after) in [
        ("priority:\nid: 1\n", "priority: 9\nid: 1\n"),
        ("{id: 1, priority: 2}\n", "{id: 1, priority: 9}\n"),
        ("{id: 1}", "{priority: 9, id: 1}"),
        ("id: 1", "id: 1\npriority: 9\n"),
        ("  id: 1\n  priority: 3\n", "  id: 1\n  priority: 9\n"),
        (
            "---\nid: 1\npriority: 3\n...\n",
            "---\nid: 1\npriority: 9\n...\n",
        ),
        ("id: 1\n...\n", "priority: 9\nid: 1\n...\n"),
        (
            "\u{feff}id: 1 # 하늘\n",
            "\u{feff}id: 1 # 하늘\npriority: 9\n",
        ),
        ("\"id\": 1\n'priority': 2\n", "\"id\": 1\n'priority': 9\n"),
        ("? id\n: 1\npriority: 2 # x", "? id\n: 1\npriority: 9 # x\n"),
        ("# only a comment\n", "# only a comment\npriority: 9\n"),
        (
            "characteristics: >\n    folded\n    text\n  # not text\npriority: 1",
            "characteristics: >\n    folded\n    text\n  # not text\npriority: 9\n",
        ),
    ] {
        let found = change(&texts(before, ""), |persona| persona.config.priority = 9)
            .map(|texts| texts.agent);
        assert_eq!(found, Ok(after.into()), "{before:?}");
    }
    let long = "in_a_nutshell: a\n  b\n  c # d\nid: 1\n";
    assert_eq!(
        agent_after(long, |config| config.in_a_nutshell = "x".into()),
        "in_a_nutshell: x # d\nid: 1\n"
    );
}

#[test]
fn a_change_that_would_touch_something_else_is_refused() {
    // `characteristics` is an alias of the value of `in_a_nutshell`, so an edit would change both.
    let anchored = texts("in_a_nutshell: &a old\ncharacteristics: *a\n", "");
    assert!(
        change(&anchored, |persona| persona.config.in_a_nutshell =
            "new".into())
        .is_err()
    );
    assert_eq!(
        agent_after(&anchored.agent, |config| config.characteristics =
            "new".into()),
        "in_a_nutshell: &a old\ncharacteristics: new\n"
    );
    let commented = texts("id: 1", "recent_events: [{text: a}, # why\n {text: b}]\n");
    assert!(
        change(&commented, |persona| persona
            .config
            .recent_events
            .truncate(1))
        .is_err()
    );
}

#[test]
fn an_event_is_added_behind_the_others_and_leaves_them_alone() {
    let added = "- date: 2026-01-02\n  text: new\n";
    for (before, after) in [
        (
            String::new(),
            format!("schema: 1\nrecent_events:\n{added}long_term_memories: []\n"),
        ),
        (
            "# mine\n".into(),
            format!("# mine\nrecent_events:\n{added}"),
        ),
        (
            "recent_events:\n# first\n- text: a # x\n# end\nlong_term_memories: []\n".into(),
            format!(
                "recent_events:\n# first\n- text: a # x\n{added}# end\nlong_term_memories: []\n"
            ),
        ),
        (
            "recent_events:\n  - text: |\n      a\n\n\nlong_term_memories: []".into(),
            format!(
                "recent_events:\n  - text: |\n      a\n  {}\n\nlong_term_memories: []",
                added.replace("\n  ", "\n    ")
            ),
        ),
        (
            "recent_events: [] # none\n".into(),
            format!("recent_events: # none\n{added}"),
        ),
        (
            "recent_events:\nlong_term_memories:\n".into(),
            format!("recent_events:\n{added}long_term_memories:\n"),
        ),
        (
            "recent_events: [{text: a}] # x\n".into(),
            "recent_events: [{text: a}, {date: 2026-01-02, text: \"new\"}] # x\n".into(),
        ),
        (
            "recent_events:\n- text: a".into(),
            format!("recent_events:\n- text: a\n{added}"),
        ),
        (
            "recent_events:\n-\n  text: a\n".into(),
            format!("recent_events:\n-\n  text: a\n{added}"),
        ),
    ] {
        assert_eq!(
            memory_after(&before, |config| config.recent_events.push(event("new"))),
            after
        );
    }
}

#[test]
fn events_in_the_middle_are_changed_in_their_place() {
    let before = "recent_events:\n# a\n- text: a\n# b\n- text: b # !\n\n# c\n- text: c\n# end\n";
    let after = memory_after(before, |config| config.recent_events[1].text = "B".into());
    assert_eq!(
        after,
        "recent_events:\n# a\n- text: a\n- text: B\n# b\n\n# c\n- text: c\n# end\n"
    );
    let after = memory_after(before, |config| drop(config.recent_events.remove(0)));
    assert_eq!(
        after,
        "recent_events:\n# a\n# b\n- text: b # !\n\n# c\n- text: c\n# end\n"
    );
    let after = memory_after(before, |config| config.recent_events.clear());
    assert_eq!(after, "recent_events: []\n# a\n# b\n\n# c\n# end\n");
}

/// Returns the duration for which each target is fuzzed.
fn time() -> std::time::Duration {
    std::time::Duration::from_secs(if std::env::var_os("GREENROOM_PROOF").is_some() {
        60
    } else {
        3
    })
}

/// The field names and YAML tokens that random texts are made from.
const WORDS: [&str; 46] = [
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
    "\n- text: ",
    "\npriority: ",
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

fn join(picks: &[u8]) -> String {
    picks
        .iter()
        .map(|pick| WORDS[usize::from(*pick) % WORDS.len()])
        .collect()
}

#[test]
fn every_text_that_parses_is_printed_and_reads_back_equal_and_can_be_changed_or_is_refused() {
    let text = || produce_with::<Vec<u8>>().len(0..24_usize);
    check!()
        .with_test_time(time())
        .with_generator((
            text(),
            text(),
            (
                produce_with::<String>().len(0..3_usize),
                produce_with::<String>().len(0..3_usize),
            ),
        ))
        .for_each(|(agent, memory, raw)| {
            // The texts begin with a field name, so that many of them are valid.
            let found = texts(
                &format!("characteristics: {}{}", join(agent), raw.0),
                &format!("recent_events:\n- text: {}{}", join(memory), raw.1),
            );
            let Ok(persona) = parse(&found) else { return };
            assert_eq!(
                parse(&print(persona.id, &persona.config, String::new())),
                Ok(persona.clone())
            );
            let mut new = persona.clone();
            new.config.characteristics = "a\nb: #\n".into();
            new.config.priority = 12;
            new.config.recent_events.push(event("c\n- d"));
            if let Ok(edited) = edited(&found, &persona, &new) {
                assert_eq!(parse(&edited), Ok(new));
                let comments = |text: &str| {
                    text.lines()
                        .filter(|line| line.trim_start().starts_with("# "))
                        .count()
                };
                assert!(
                    comments(&edited.memory) >= comments(&found.memory),
                    "{found:?}\n{edited:?}"
                );
            }
        });
}

#[test]
fn every_persona_that_is_printed_reads_back_equal() {
    type Persona = (
        String,
        String,
        Vec<(Option<u32>, String)>,
        Vec<(String, String)>,
        i32,
        bool,
        Option<String>,
    );
    check!()
        .with_test_time(time())
        .with_type::<Persona>()
        .for_each(
            |(nutshell, text, events, memories, priority, flag, picture)| {
                let date = |days: &u32| {
                    NaiveDate::from_epoch_days(
                        i32::try_from(days % 4_000_000).expect("the bound fits into an i32"),
                    )
                };
                let mut config = AgentConfig {
                    in_a_nutshell: nutshell.clone(),
                    characteristics: text.clone(),
                    recent_events: events
                        .iter()
                        .map(|(days, text)| RecentEvent {
                            date: days.as_ref().and_then(date),
                            text: text.clone(),
                        })
                        .collect(),
                    long_term_memories: memories
                        .iter()
                        .map(|(title, text)| LongTermMemory {
                            title: title.clone(),
                            text: text.clone(),
                        })
                        .collect(),
                    priority: *priority,
                    is_critic: *flag,
                    interrupt_every_turn: !*flag,
                    profile_pic: picture.clone(),
                    ..AgentConfig::default()
                };
                config.transparent = *flag;
                assert_eq!(
                    parse(&print(None, &config, String::new())).map(|persona| persona.config),
                    Ok(config)
                );
            },
        );
}
