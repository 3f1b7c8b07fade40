//! The agents that a first start writes, so that the first run shows something real.

use std::{fs, io, path::Path};

use crate::wiring::schemas;

/// Name, `agent.yaml`, `memory.yaml`.
type Sample = (&'static str, &'static str, &'static str);

macro_rules! samples {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../samples/", $name, "/agent.yaml")), include_str!(concat!("../samples/", $name, "/memory.yaml")))),*]
    };
}

const SAMPLES: &[Sample] = samples!["Ada Brackwater" "하늘" "月島 澪" "Zoë Lindqvist" "عمر البحّار" "Критик Фёдор" "Tomás Ibarra"];

/// Writes the samples into `folder` if it does not exist. How many there were.
pub fn write_if_new(folder: &Path) -> io::Result<usize> {
    if folder.exists() {
        return Ok(0);
    }
    for (name, agent, memory) in SAMPLES {
        let place = folder.join(name);
        fs::create_dir_all(&place)?;
        fs::write(place.join("memory.yaml"), memory)?;
        fs::write(place.join("agent.yaml"), agent)?;
    }
    // The samples name them, for editors.
    for (path, schema) in schemas() {
        let place = folder.join(path);
        fs::create_dir_all(place.parent().unwrap_or(folder))?;
        fs::write(place, schema)?;
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
        for (name, ..) in SAMPLES {
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
