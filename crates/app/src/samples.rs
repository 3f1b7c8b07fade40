//! Sample agents. They are created at the first start, so that users have agents to try.

use std::{fs, io, path::Path};

use crate::wiring::{schemas, write_private};

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

/// The folders in the agents' folder that contain schemas.
const SCHEMA_FOLDERS: [&str; 1] = [".schema"];

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
        // `agent.yaml` is written last, because a folder without it is not an agent. So if the
        // process ends here, no incomplete agent remains.
        write_private(&agent.join("memory.yaml"), sample.memory.as_bytes())?;
        write_private(&agent.join("agent.yaml"), sample.agent.as_bytes())?;
    }
    // The first line of each sample names its schema, which lets editors check the file.
    for (path, schema) in schemas() {
        write_private(&folder.join(path), schema.as_bytes())?;
    }
    Ok(SAMPLES.len())
}

/// Removes the sample agents that [`write_if_new`] has just created, because the start failed.
/// Keeps everything else.
pub(crate) fn remove(folder: &Path) {
    let remove = || {
        for sample in SAMPLES {
            fs::remove_dir_all(folder.join(sample.name))?;
        }
        for (path, _) in schemas() {
            fs::remove_file(folder.join(path))?;
        }
        // These fail if somebody has added something.
        for folder in SCHEMA_FOLDERS.iter().map(|name| folder.join(name)) {
            fs::remove_dir(folder)?;
        }
        fs::remove_dir(folder)
    };
    if let Err(error) = remove() {
        let folder = folder.display();
        tracing::warn!(%folder, %error, "cannot remove the sample agents of a start that failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_names_a_schema_that_is_written_beside_it_and_has_its_fields() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("agents");
        assert_eq!(write_if_new(&root).unwrap(), SAMPLES.len());
        remove(&root);
        assert!(!root.exists());
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
