//! Messages while agents are imported.

use domain::{AgentConfig, AgentName};
use persistence::AgentImport;
use serde_json::json;

use super::{
    new_store::{Backend, NewStore},
    traffic::{Traffic, quiet},
};
use crate::{
    error::BenchError,
    measure::{Estimate, percentile},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::RunMode,
};

pub(super) async fn measure(mode: RunMode, section: &mut Section) -> Result<(), BenchError> {
    let agents = mode.choose(4_000, 400);
    let store = NewStore::open(Backend::Sqlite).await?;
    let ports = &store.ports;
    let room = tests::records::create_room(ports, "tea").await.id;
    let quiet = quiet(mode, ports, room).await;
    let traffic = Traffic::start(ports, room);
    let folder = store.folder.path().join("agents");
    let importing = tokio::task::spawn_blocking(move || -> domain::Result<()> {
        let mut import = AgentImport::start(&folder)?;
        for number in 0..agents {
            let name = AgentName::parse(&format!("agent {number}"))?;
            let config = AgentConfig {
                characteristics: "Slow to speak, quick to laugh when it rains.".into(),
                ..AgentConfig::default()
            };
            import.add_agent(None, &name, &config, Vec::new())?;
        }
        Ok(())
    });
    importing.await.expect("the import does not panic")?;
    let times = traffic.stop().await;
    let mut table = Table::new(["messages", "median", "99th percentile"]);
    for (name, times) in [
        ("quiet".to_owned(), &quiet),
        (format!("during an import of {agents} agents"), &times),
    ] {
        table.row([
            name,
            format!("{:.2} ms", percentile(times, 50.0) / 1e3),
            format!("{:.2} ms", percentile(times, 99.0) / 1e3),
        ]);
    }
    let slower = percentile(&times, 99.0) / percentile(&quiet, 99.0);
    section.ratios.push(Ratio::new(
        "99th percentile of messages during an import, relative to quiet",
        Estimate {
            drift: 0.5,
            ..Estimate::exact(slower)
        },
        Goal::AtMost(2.0),
    ));
    section.tables.push(table);
    section.raw["imports"] = json!({"quiet_us": quiet, "import_us": times});
    Ok(())
}
