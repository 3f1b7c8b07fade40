//! JSON Schemas for agents' files. Editors use them to report errors while a person writes.

/// The schemas, each with its path inside the agents' folder and its text.
///
/// An editor that supports these schemas checks an `agent.yaml` whose first line is `#
/// yaml-language-server: $schema=../.schema/agent.json`.
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
        let properties = schema["properties"].as_object().unwrap();
        let mut names: Vec<_> = properties.keys().cloned().collect();
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
        for (schema, fields) in [
            (&schema("agent.json"), &yaml::AGENT_FIELDS[..]),
            (&memory, &yaml::MEMORY_FIELDS),
            (&schema("group.json"), &yaml::GROUP_FIELDS),
            (
                &memory["properties"]["recent_events"]["items"],
                &yaml::EVENT_FIELDS,
            ),
            (
                &memory["properties"]["long_term_memories"]["items"],
                &yaml::LONG_TERM_FIELDS,
            ),
        ] {
            assert_eq!(property_names(schema), sorted(fields));
            assert_eq!(schema["additionalProperties"], json!(false), "{fields:?}");
        }
        for name in ["agent.json", "memory.json", "group.json"] {
            let version = &schema(name)["properties"]["schema"]["maximum"];
            assert_eq!(*version, json!(yaml::VERSION), "{name}");
        }
    }

    fn is_agent(text: &str) -> bool {
        yaml::parse(&yaml::Texts {
            agent: text.into(),
            ..yaml::Texts::default()
        })
        .is_ok()
    }

    fn is_memory(text: &str) -> bool {
        yaml::parse_memory(text).is_ok()
    }

    fn is_group(text: &str) -> bool {
        yaml::parse_group(text).is_ok()
    }

    #[test]
    fn the_schemas_types_are_those_that_are_read() {
        for (name, property) in schema("agent.json")["properties"].as_object().unwrap() {
            let types: Vec<_> = property["type"]
                .as_array()
                .map_or_else(|| vec![&property["type"]], |types| types.iter().collect());
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
                let text = format!("{name}: {value}\n");
                assert_eq!(is_agent(&text), is_allowed, "{text}");
            }
        }
    }

    /// Returns `true` if `text` is valid by the schema `name`, so that an editor accepts it.
    fn is_valid(name: &str, text: &str) -> bool {
        let value: Value = serde_yaml::from_str(text).unwrap();
        jsonschema::validator_for(&schema(name))
            .unwrap()
            .is_valid(&value)
    }

    #[test]
    fn an_editor_accepts_what_is_read_and_refuses_what_is_not() {
        type Reads = fn(&str) -> bool;
        let cases: [(&str, Reads, &[&str], &[&str]); 3] = [
            (
                "agent.json",
                is_agent,
                &[
                    "schema: 1\nid: 7\nin_a_nutshell: 고양이\ncharacteristics: |\n  a\n  b\n",
                    "priority: -3\nis_critic: true\n",
                    "interrupt_every_turn: false\ntransparent: true\nprofile_pic: profile.png\n",
                ],
                &[
                    "schema: 2\n",
                    "prioritty: 1\n",
                    "priority: 1.5\n",
                    "id: 0\n",
                    "- a\n",
                ],
            ),
            (
                "memory.json",
                is_memory,
                &[
                    "recent_events:\n- date: 2026-01-02\n  text: x\n- text: y\n",
                    "long_term_memories:\n- title: a\n  text: b\n",
                    "recent_events: []\nlong_term_memories: []\n",
                ],
                &[
                    "recent_events:\n- date: 2026-01-02\n",
                    "recent_events:\n- texd: x\n",
                    "long_term_memories: x\n",
                    "long_term_memories:\n- text: x\n",
                ],
            ),
            (
                "group.json",
                is_group,
                &["schema: 1\ninterrupt_every_turn: true\npriority: 2\ntransparent: false\n"],
                &["priorty: 1\n", "transparent: 1\n"],
            ),
        ];
        for (name, reads, right, wrong) in cases {
            for text in right {
                assert!(reads(text) && is_valid(name, text), "{name}: {text}");
            }
            for text in wrong {
                assert!(!reads(text) && !is_valid(name, text), "{name}: {text}");
            }
        }
    }

    #[test]
    fn printed_files_are_valid_by_the_schemas() {
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
