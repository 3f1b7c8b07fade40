//! Laws of stores whose personas are in files that people edit.

use std::{pin::pin, task::Poll};

use domain::{AgentId, AgentName, Error, Repositories};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, poll_fn},
};

use crate::{law::Breach, pause::pause, report::Report};

/// A store whose personas are in files, with the edits of a person.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # #[cfg(feature = "planted")] {
/// let store = contract::planted::EditedMemory::default();
/// contract::check_files(&store).await.assert();
/// # }
/// # }
/// ```
pub trait EditFiles: Sync {
    /// Returns the ports of the store.
    fn repositories(&self) -> Repositories;
    /// Replaces the files at `path`, an agent's `config_file`, by a valid persona with this
    /// description. Creates the files if there are none.
    fn write(&self, path: &str, in_a_nutshell: &str);
    /// Makes the files at `path` invalid. Creates the files if there are none.
    fn break_files(&self, path: &str);
    /// Returns the path of the files of an agent with this name and without a group.
    fn path(&self, name: &AgentName) -> String;
}

/// Runs the laws of stores whose personas are in files that people edit.
///
/// [`check`](crate::check) runs the laws that hold for every store. The agents of this run have the
/// names `edited`, `broken` and so on, which must be free.
pub async fn check_files(store: &dyn EditFiles) -> Report {
    let mut report = Report::default();
    let laws: [(_, BoxFuture<'_, Result<(), Breach>>); 5] = [
        (
            "an_edit_is_reported_once_and_a_reload_returns_it",
            Box::pin(an_edit_is_reported_once(store)),
        ),
        (
            "broken_files_leave_the_last_valid_persona",
            Box::pin(broken_files_leave_the_last_valid_persona(store)),
        ),
        (
            "files_without_an_agent_become_one",
            Box::pin(files_without_an_agent_become_one(store)),
        ),
        (
            "broken_files_do_not_become_an_agent",
            Box::pin(broken_files_do_not_become_an_agent(store)),
        ),
        (
            "a_watch_ends_with_an_edit",
            Box::pin(a_watch_ends_with_an_edit(store)),
        ),
    ];
    for (name, law) in laws {
        report.add(name, law.await);
    }
    report
}

/// The number of times that the last law polls a watch. A store may learn of an edit from another
/// thread, so an edit can be visible only after some time.
const POLLS: u32 = 2_000_000;

fn ensure(condition: bool, reason: &str) -> Result<(), Breach> {
    if condition {
        Ok(())
    } else {
        Err(Breach::new(reason))
    }
}

/// Creates files and adopts them as an agent.
async fn adopt(store: &dyn EditFiles, name: &str) -> Result<(AgentId, String), Breach> {
    let path = store.path(&AgentName::parse(name)?);
    store.write(&path, "first");
    let ports = store.repositories();
    let agent = ports.files.adopt(&path).await?;
    ports.configs.find(agent.id).await?;
    ports.files.changed(&[agent.id]).await?;
    Ok((agent.id, path))
}

/// Returns the description in the persona of an agent, or an empty text if it has no persona.
async fn description(ports: &Repositories, id: AgentId) -> Result<String, Breach> {
    let config = ports.configs.find(id).await?;
    Ok(config
        .map(|config| config.in_a_nutshell.clone())
        .unwrap_or_default())
}

async fn is_reported(ports: &Repositories, name: &str) -> Result<bool, Breach> {
    let problems = ports.files.problems().await?;
    Ok(problems.iter().any(|problem| problem.name == name))
}

async fn an_edit_is_reported_once(store: &dyn EditFiles) -> Result<(), Breach> {
    let ports = store.repositories();
    let (id, path) = adopt(store, "edited").await?;
    let unchanged = ports.files.changed(&[id]).await?;
    ensure(
        unchanged.is_empty(),
        "unchanged files are reported as changed",
    )?;
    store.write(&path, "second, and longer");
    let changed = ports.files.changed(&[id]).await?;
    ensure(changed == [id], "an edit is not reported")?;
    let reloaded = ports.files.reload(id).await?;
    ensure(
        reloaded.in_a_nutshell == "second, and longer",
        "a reload returns an old persona",
    )?;
    ensure(
        description(&ports, id).await? == "second, and longer",
        "after a reload, an old persona is found",
    )?;
    let changed = ports.files.changed(&[id]).await?;
    ensure(changed.is_empty(), "an edit is reported twice")
}

async fn broken_files_leave_the_last_valid_persona(store: &dyn EditFiles) -> Result<(), Breach> {
    let ports = store.repositories();
    let (id, path) = adopt(store, "broken").await?;
    ensure(
        !is_reported(&ports, "broken").await?,
        "valid files are reported",
    )?;
    store.break_files(&path);
    let reloaded = ports.files.reload(id).await;
    ensure(
        matches!(reloaded, Err(Error::Invalid(_))),
        "a reload of broken files does not fail with `Invalid`",
    )?;
    ensure(
        description(&ports, id).await? == "first",
        "broken files have replaced the last valid persona",
    )?;
    ensure(
        is_reported(&ports, "broken").await?,
        "broken files are not reported",
    )?;
    store.write(&path, "repaired");
    ports.files.reload(id).await?;
    ensure(
        description(&ports, id).await? == "repaired",
        "the persona of repaired files is not found",
    )?;
    ensure(
        !is_reported(&ports, "broken").await?,
        "repaired files are reported",
    )
}

async fn files_without_an_agent_become_one(store: &dyn EditFiles) -> Result<(), Breach> {
    let ports = store.repositories();
    let name = AgentName::parse("adopted")?;
    let path = store.path(&name);
    store.write(&path, "found");
    let listed = ports.files.list().await?;
    ensure(
        listed
            .iter()
            .any(|file| file.path == path && file.name == name),
        "files without an agent are not listed",
    )?;
    let agent = ports.files.adopt(&path).await?;
    ensure(agent.name == name, "an adopted agent has another name")?;
    let found = ports.agents.find(agent.id).await?;
    ensure(
        found == Some(agent.clone()),
        "an adopted agent is not found",
    )?;
    ensure(
        description(&ports, agent.id).await? == "found",
        "an adopted agent has another persona",
    )?;
    let again = ports.files.adopt(&path).await;
    ensure(
        matches!(again, Err(Error::Conflict(_))),
        "files are adopted twice",
    )
}

async fn broken_files_do_not_become_an_agent(store: &dyn EditFiles) -> Result<(), Breach> {
    let ports = store.repositories();
    let name = AgentName::parse("unreadable")?;
    let path = store.path(&name);
    store.break_files(&path);
    let adopted = ports.files.adopt(&path).await;
    ensure(
        matches!(adopted, Err(Error::Invalid(_))),
        "adopting broken files does not fail with `Invalid`",
    )?;
    ensure(
        ports.agents.find_named(&name).await?.is_none(),
        "broken files became an agent",
    )?;
    ensure(
        is_reported(&ports, "unreadable").await?,
        "broken files without an agent are not reported",
    )
}

async fn a_watch_ends_with_an_edit(store: &dyn EditFiles) -> Result<(), Breach> {
    let ports = store.repositories();
    let (id, path) = adopt(store, "watched").await?;
    let watch = async {
        // Edits of the other laws may be reported first.
        while !ports.files.watch().await?.contains(&id) {}
        Ok::<_, Breach>(())
    };
    let mut watch = pin!(watch);
    // Begins the watch before the edit.
    if let Some(early) = watch.as_mut().now_or_never() {
        early?;
        return Err(Breach::new(
            "a watch reports an agent whose files were not edited",
        ));
    }
    store.write(&path, "watched, and edited");
    for _ in 0..POLLS {
        let polled = poll_fn(|context| Poll::Ready(watch.as_mut().poll(context))).await;
        if let Poll::Ready(result) = polled {
            return result;
        }
        pause().await;
    }
    Err(Breach::new("a watch does not report an edit"))
}
