//! The agents that a first start writes, so that the first run shows something real.

use std::{fs, io, path::Path};

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
    Ok(SAMPLES.len())
}
