//! Sample agents. They are created at the first start, so that users have agents to try.

use std::{fs, io, path::Path};

use crate::wiring::schemas;

/// The files of one sample agent.
struct Sample {
    name: &'static str,
    agent: &'static str,
    memory: &'static str,
}

macro_rules! samples {
    ($($name:literal)*) => {
        &[$(Sample {
            name: $name,
            agent: include_str!(concat!("../samples/", $name, "/agent.yaml")),
            memory: include_str!(concat!("../samples/", $name, "/memory.yaml")),
        }),*]
    };
}

const SAMPLES: &[Sample] = samples![
    "Ada Brackwater"
    "하늘"
    "月島 澪"
    "Zoë Lindqvist"
    "عمر البحّار"
    "Критик Фёдор"
    "Tomás Ibarra"
];

/// Creates `folder` with the sample agents and returns their number. If `folder` exists, returns 0
/// and changes nothing.
pub fn write_if_new(folder: &Path) -> io::Result<usize> {
    if folder.exists() {
        return Ok(0);
    }
    for sample in SAMPLES {
        let agent = folder.join(sample.name);
        fs::create_dir_all(&agent)?;
        // `agent.yaml` is written last, because a folder without it is not an agent. So if the
        // process ends here, no incomplete agent remains.
        fs::write(agent.join("memory.yaml"), sample.memory)?;
        fs::write(agent.join("agent.yaml"), sample.agent)?;
    }
    // The first line of each sample names its schema, which lets editors check the file.
    for (path, schema) in schemas() {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        fs::write(file, schema)?;
    }
    Ok(SAMPLES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_names_a_schema_that_is_written_beside_it_and_has_its_fields() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("agents");
        assert_eq!(write_if_new(&root).unwrap(), SAMPLES.len());
        for Sample { name, .. } in SAMPLES {
            for file in ["agent.yaml", "memory.yaml"] {
                let text = fs::read_to_string(root.join(name).join(file)).unwrap();
                let path = text
                    .lines()
                    .next()
                    .unwrap()
                    .strip_prefix("# yaml-language-server: $schema=")
                    .unwrap();
                let schema: serde_json::Value =
                    serde_json::from_str(&fs::read_to_string(root.join(name).join(path)).unwrap())
                        .unwrap();
                let fields: serde_json::Map<String, serde_json::Value> =
                    serde_yaml::from_str(&text).unwrap();
                for field in fields.keys() {
                    assert!(
                        schema["properties"][field].is_object(),
                        "{name}/{file}: {field}"
                    );
                }
            }
        }
    }
}
