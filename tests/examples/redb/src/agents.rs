//! The port `Agents`.

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use async_trait::async_trait;
use chrono::Utc;
use domain::{
    Agent, AgentChange, AgentConfig, AgentId, AgentName, Agents, Error, GroupName, NewAgent,
    Picture, Result,
};
use redb::WriteTransaction;

use crate::{
    database_file::TxResult,
    json_table::{Tables, first_entries, remove_entry, set_entry},
    store::RedbStore,
    tables::{
        AGENT_NAMES, AGENTS, COUNTERS, MEMORIES, PERSONAS, PICTURES, TOMBSTONES, all_ids,
        ids_above, increment, number,
    },
};

#[async_trait]
impl Agents for RedbStore {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        self.read(move |tx| Ok(AGENTS.get(tx, id.0)?.map(Arc::new)))
            .await
    }

    async fn find_named(&self, name: &AgentName) -> Result<Option<Arc<Agent>>> {
        let name = name.clone();
        self.read(move |tx| {
            let Some(id) = number(tx, AGENT_NAMES, name.as_str())? else {
                return Ok(None);
            };
            Ok(AGENTS.get(tx, id)?.map(Arc::new))
        })
        .await
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        let ids: BTreeSet<i64> = ids.iter().map(|id| id.0).collect();
        self.read(move |tx| {
            let mut found = AGENTS.get_many(tx, ids.iter().copied())?;
            found.extend(TOMBSTONES.get_many(tx, ids)?);
            found.sort_by_key(|(id, _)| *id);
            Ok(found
                .into_iter()
                .map(|(_, agent)| Arc::new(agent))
                .collect())
        })
        .await
    }

    async fn list(&self, after: Option<AgentId>, limit: usize) -> Result<Vec<Arc<Agent>>> {
        self.read(move |tx| {
            let agents = match after {
                Some(after) => AGENTS.first(tx, ids_above(after.0), limit),
                None => AGENTS.last(tx, all_ids(), limit),
            };
            Ok(agents?.into_iter().map(Arc::new).collect())
        })
        .await
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        self.write(move |tx| create(tx, new).map(Arc::new)).await
    }

    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>> {
        self.write(move |tx| update(tx, id, &change).map(Arc::new))
            .await
    }

    async fn delete(&self, id: AgentId) -> Result<()> {
        self.write(move |tx| delete(tx, id)).await
    }
}

/// Returns a living agent. Fails with `Missing` for a deleted or unknown one.
pub(crate) fn require_living(tables: &impl Tables, id: AgentId) -> TxResult<Agent> {
    let agent = AGENTS.get(tables, id.0)?;
    Ok(agent.ok_or_else(|| Error::missing("agent", id))?)
}

/// Fails with `Missing` unless the agent exists, living or deleted.
pub(crate) fn require_known(tables: &impl Tables, id: AgentId) -> TxResult<()> {
    if AGENTS.get(tables, id.0)?.is_some() || TOMBSTONES.get(tables, id.0)?.is_some() {
        return Ok(());
    }
    Err(Error::missing("agent", id).into())
}

fn create(tx: &WriteTransaction, new: NewAgent) -> TxResult<Agent> {
    require_free_name(tx, &new.name, None)?;
    let profile_pic = new.picture.as_ref().map(picture_file).transpose()?;
    let agent = Agent {
        id: AgentId(increment(tx, COUNTERS, "agents")?),
        config_file: config_path(new.group.as_ref(), &new.name),
        name: new.name,
        group: new.group,
        created_at: Utc::now(),
        deleted_at: None,
        version: 1,
    };
    let persona = AgentConfig {
        profile_pic,
        ..new.config
    };
    AGENTS.insert(tx, agent.id.0, &agent)?;
    PERSONAS.insert(tx, agent.id.0, &persona)?;
    set_entry(tx, AGENT_NAMES, agent.name.as_str(), agent.id.0)?;
    if let Some(picture) = &new.picture {
        set_entry(tx, PICTURES, agent.id.0, picture.bytes.as_slice())?;
    }
    Ok(agent)
}

fn update(tx: &WriteTransaction, id: AgentId, change: &AgentChange) -> TxResult<Agent> {
    let mut agent = require_living(tx, id)?;
    let mut persona = PERSONAS.get(tx, id.0)?.ok_or_else(|| Error::Corrupt {
        place: format!("table personas, row {id}"),
        reason: "the persona of a living agent is missing".into(),
    })?;
    if let Some(name) = &change.name {
        require_free_name(tx, name, Some(id))?;
        remove_entry(tx, AGENT_NAMES, agent.name.as_str())?;
        agent.name = name.clone();
        set_entry(tx, AGENT_NAMES, agent.name.as_str(), agent.id.0)?;
    }
    if let Some(group) = &change.group {
        agent.group.clone_from(group);
    }
    agent.config_file = config_path(agent.group.as_ref(), &agent.name);
    agent.version += 1;
    change.apply_to(&mut persona);
    if let Some(picture) = &change.picture {
        persona.profile_pic = Some(picture_file(picture)?);
        set_entry(tx, PICTURES, id.0, picture.bytes.as_slice())?;
    }
    AGENTS.insert(tx, id.0, &agent)?;
    PERSONAS.insert(tx, id.0, &persona)?;
    Ok(agent)
}

/// Moves the agent's row to the tombstones, and deletes its persona and its memories.
fn delete(tx: &WriteTransaction, id: AgentId) -> TxResult<()> {
    let mut agent = require_living(tx, id)?;
    AGENTS.remove(tx, id.0)?;
    PERSONAS.remove(tx, id.0)?;
    remove_entry(tx, AGENT_NAMES, agent.name.as_str())?;
    remove_entry(tx, PICTURES, id.0)?;
    tx.open_table(MEMORIES.definition)?
        .retain(|(_, agent), _| agent != id.0)?;
    agent.deleted_at = Some(Utc::now());
    agent.config_file = format!(".deleted/{}-{id}/agent.yaml", agent.name);
    agent.version += 1;
    TOMBSTONES.insert(tx, id.0, &agent)
}

/// Fails with `Conflict` if `name` collides with the name of a living agent other than `except`.
///
/// Compares all names of living agents, because the domain returns no key by which colliding names
/// could be looked up.
fn require_free_name(
    tx: &WriteTransaction,
    name: &AgentName,
    except: Option<AgentId>,
) -> TxResult<()> {
    name.require_visible()?;
    let names = first_entries(
        tx,
        AGENT_NAMES,
        (Bound::Unbounded, Bound::Unbounded),
        usize::MAX,
        |other, id| {
            let other = AgentName::parse(other).map_err(|error| Error::Corrupt {
                place: format!("table agent_names, row {other:?}"),
                reason: error.to_string(),
            })?;
            Ok((Some(AgentId(id)) != except && other.collides_with(name)).then_some(other))
        },
    )?;
    match names.into_iter().flatten().next() {
        Some(taken) => Err(Error::Conflict(format!(
            "an agent named {taken} already exists: choose another name"
        ))
        .into()),
        None => Ok(()),
    }
}

/// Returns the path under which `NoFiles` lists the agent. It contains the current name, so that
/// the path of a renamed agent becomes free.
fn config_path(group: Option<&GroupName>, name: &AgentName) -> String {
    match group {
        Some(group) => format!("{group}/{name}/agent.yaml"),
        None => format!("{name}/agent.yaml"),
    }
}

/// Returns the file name of a picture. Fails with `Invalid` for another kind of file.
fn picture_file(picture: &Picture) -> Result<String> {
    let extension = match picture.media_type.as_str() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => {
            return Err(Error::Invalid(format!(
                "a picture must be PNG, JPEG, GIF or WebP, got {other:?}"
            )));
        }
    };
    Ok(format!("profile.{extension}"))
}
