//! JSON Schemas of agents' files, for editors.

/// The JSON Schemas of `agent.yaml`, `memory.yaml` and `group.yaml`: each with its path inside the
/// agents' folder, and its text.
///
/// An editor checks an `agent.yaml` against its schema if the file begins with
/// `# yaml-language-server: $schema=../.schema/agent.json`.
pub const SCHEMAS: [(&str, &str); 3] = [
    (".schema/agent.json", include_str!("../schema/agent.json")),
    (".schema/memory.json", include_str!("../schema/memory.json")),
    (".schema/group.json", include_str!("../schema/group.json")),
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::yaml;

    fn schema(name: &str) -> Value {
        let (_, text) = SCHEMAS
            .iter()
            .find(|(path, _)| path.ends_with(name))
            .unwrap();
        serde_json::from_str(text).unwrap()
    }

    fn property_names(schema: &Value) -> Vec<String> {
        let mut names: Vec<_> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        names.sort();
        names
    }

    fn sorted(names: &[&str]) -> Vec<String> {
        let mut names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_schemas_name_the_fields_that_are_read_and_no_others() {
        let memory = schema("memory.json");
        assert_eq!(
            property_names(&schema("agent.json")),
            sorted(&yaml::AGENT_FIELDS)
        );
        assert_eq!(property_names(&memory), sorted(&yaml::MEMORY_FIELDS));
        assert_eq!(
            property_names(&schema("group.json")),
            sorted(&yaml::GROUP_FIELDS)
        );
        for (list, fields) in [
            ("recent_events", &yaml::EVENT_FIELDS),
            ("long_term_memories", &yaml::LONG_TERM_FIELDS),
        ] {
            let item = &memory["properties"][list]["items"];
            assert_eq!(
                (property_names(item), &item["additionalProperties"]),
                (sorted(fields), &json!(false)),
                "{list}"
            );
        }
        for name in ["agent.json", "memory.json", "group.json"] {
            assert_eq!(schema(name)["additionalProperties"], json!(false), "{name}");
            assert_eq!(
                schema(name)["properties"]["schema"]["maximum"],
                json!(yaml::VERSION),
                "{name}"
            );
        }
    }

    #[test]
    fn the_schemas_types_are_those_that_are_read() {
        let read = |text: String| {
            yaml::parse(&yaml::Texts {
                agent: text,
                ..yaml::Texts::default()
            })
            .is_ok()
        };
        for (name, about) in schema("agent.json")["properties"].as_object().unwrap() {
            let types: Vec<_> = about["type"]
                .as_array()
                .map_or_else(|| vec![&about["type"]], |types| types.iter().collect());
            for (kind, value) in [
                ("string", "high up"),
                ("integer", "1"),
                ("boolean", "true"),
                ("array", "[a]"),
                ("object", "{a: 1}"),
            ] {
                let is_allowed = types
                    .iter()
                    .any(|allowed| *allowed == kind || (*allowed == "number" && kind == "integer"));
                assert_eq!(
                    read(format!("{name}: {value}\n")),
                    is_allowed,
                    "{name}: {value}"
                );
            }
        }
    }

    /// Returns `true` if an editor that checks the schema finds no error.
    fn is_valid(name: &str, text: &str) -> bool {
        let value: Value = serde_yaml::from_str(text).unwrap();
        jsonschema::validator_for(&schema(name))
            .unwrap()
            .is_valid(&value)
    }

    #[test]
    fn an_editor_takes_what_is_read_and_refuses_what_is_not() {
        type Read = fn(&str) -> bool;
        let agent: Read = |text| {
            yaml::parse(&yaml::Texts {
                agent: text.into(),
                ..yaml::Texts::default()
            })
            .is_ok()
        };
        let memory: Read = |text| {
            yaml::parse(&yaml::Texts {
                agent: "id: 1".into(),
                memory: text.into(),
                group: String::new(),
            })
            .is_ok()
        };
        let group: Read = |text| {
            yaml::parse(&yaml::Texts {
                agent: "id: 1".into(),
                memory: String::new(),
                group: text.into(),
            })
            .is_ok()
        };
        for (name, read, text, is_expected) in [
            (
                "agent.json",
                agent,
                "schema: 1\nid: 7\nin_a_nutshell: 고양이\ncharacteristics: |\n  a\n  b\n\
                 priority: -3\nis_critic: true\n",
                true,
            ),
            (
                "agent.json",
                agent,
                "interrupt_every_turn: false\ntransparent: true\nprofile_pic: profile.png\n",
                true,
            ),
            ("agent.json", agent, "schema: 2\n", false),
            ("agent.json", agent, "prioritty: 1\n", false),
            ("agent.json", agent, "priority: 1.5\n", false),
            ("agent.json", agent, "id: 0\n", false),
            ("agent.json", agent, "- a\n", false),
            (
                "memory.json",
                memory,
                "recent_events:\n- date: 2026-01-02\n  text: x\n- text: y\n\
                 long_term_memories:\n- title: a\n  text: b\n",
                true,
            ),
            (
                "memory.json",
                memory,
                "recent_events: []\nlong_term_memories: []\n",
                true,
            ),
            (
                "memory.json",
                memory,
                "recent_events:\n- date: 2026-01-02\n",
                false,
            ),
            ("memory.json", memory, "recent_events:\n- texd: x\n", false),
            ("memory.json", memory, "long_term_memories: x\n", false),
            (
                "memory.json",
                memory,
                "long_term_memories:\n- text: x\n",
                false,
            ),
            (
                "group.json",
                group,
                "schema: 1\ninterrupt_every_turn: true\npriority: 2\ntransparent: false\n",
                true,
            ),
            ("group.json", group, "priorty: 1\n", false),
            ("group.json", group, "transparent: 1\n", false),
        ] {
            assert_eq!(
                (read(text), is_valid(name, text)),
                (is_expected, is_expected),
                "{name}: {text}"
            );
        }
    }

    #[test]
    fn what_is_printed_suits_the_schemas() {
        let event = domain::RecentEvent {
            date: "2026-01-02".parse().ok(),
            text: "a: b".into(),
        };
        let memory = domain::LongTermMemory {
            title: "no".into(),
            text: "1e3\n\n  two".into(),
        };
        let config = domain::AgentConfig {
            in_a_nutshell: "달: \"x\"".into(),
            recent_events: vec![event],
            long_term_memories: vec![memory],
            profile_pic: Some("profile.png".into()),
            ..domain::AgentConfig::default()
        };
        let texts = yaml::print(Some(7), &config, String::new());
        assert!(is_valid("agent.json", &texts.agent), "{}", texts.agent);
        assert!(is_valid("memory.json", &texts.memory), "{}", texts.memory);
    }
}
