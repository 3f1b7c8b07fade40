//! JSON Schemas of the agents' files, for editors.

/// File names inside the agents' folder, and their texts. `# yaml-language-server: $schema=../.schema/agent.json` at the
/// head of an `agent.yaml` has an editor check it as it is written.
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
        let (_, text) = SCHEMAS.iter().find(|(path, _)| path.ends_with(name)).unwrap();
        serde_json::from_str(text).unwrap()
    }

    fn names(of: &Value) -> Vec<String> {
        let mut names: Vec<_> = of["properties"].as_object().unwrap().keys().cloned().collect();
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
        assert_eq!(names(&schema("agent.json")), sorted(&yaml::AGENT_FIELDS));
        assert_eq!(names(&memory), sorted(&yaml::MEMORY_FIELDS));
        assert_eq!(names(&schema("group.json")), sorted(&yaml::GROUP_FIELDS));
        for (list, fields) in [("recent_events", &yaml::EVENT_FIELDS), ("long_term_memories", &yaml::LONG_TERM_FIELDS)] {
            let item = &memory["properties"][list]["items"];
            assert_eq!((names(item), &item["additionalProperties"]), (sorted(fields), &json!(false)), "{list}");
        }
        for name in ["agent.json", "memory.json", "group.json"] {
            assert_eq!(schema(name)["additionalProperties"], json!(false), "{name}");
            assert_eq!(schema(name)["properties"]["schema"]["maximum"], json!(yaml::VERSION), "{name}");
        }
    }

    #[test]
    fn the_schemas_types_are_those_that_are_read() {
        let read = |text: String| yaml::parse(&yaml::Texts { agent: text, ..yaml::Texts::default() }).is_ok();
        for (name, about) in schema("agent.json")["properties"].as_object().unwrap() {
            let types: Vec<_> = about["type"].as_array().map_or_else(|| vec![&about["type"]], |types| types.iter().collect());
            for (kind, value) in [("string", "high up"), ("integer", "1"), ("boolean", "true"), ("array", "[a]"), ("object", "{a: 1}")] {
                let is_told = types.iter().any(|told| *told == kind || (*told == "number" && kind == "integer"));
                assert_eq!(read(format!("{name}: {value}\n")), is_told, "{name}: {value}");
            }
        }
    }
}
