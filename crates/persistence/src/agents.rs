//! Agents: identity in SQL, the persona in files, the last good persona beside the identity.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Agent, AgentChange, AgentConfig, AgentId, AgentName, Agents, Error, GroupName, NewAgent,
    Picture, Result,
};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use crate::{
    db::{Connection, Tx, places},
    files::PictureFile,
    place::Place,
    rows::{Row, now},
    sql::SqlStore,
    yaml,
};

const COLUMNS: &str =
    "id, name, group_name, config_file, created_at, deleted_at, version, snapshot";

/// A row of the table: identity and the last good persona.
pub(crate) struct Stored {
    pub(crate) agent: Arc<Agent>,
    pub(crate) snapshot: String,
}

impl Stored {
    pub(crate) fn place(&self) -> Place {
        Place {
            group: self.agent.group.clone(),
            name: self.agent.name.clone(),
        }
    }

    /// The last good persona.
    pub(crate) fn last_good(&self) -> Result<AgentConfig> {
        let read = |json: &str| {
            let (agent, memory): (String, String) =
                serde_json::from_str(json).map_err(|error| error.to_string())?;
            yaml::parse(&yaml::Texts {
                agent,
                memory,
                group: String::new(),
            })
        };
        let corrupt = |reason| Error::Corrupt {
            table: "agents",
            column: "snapshot",
            row: self.agent.id.to_string(),
            reason,
        };
        Ok(read(&self.snapshot).map_err(corrupt)?.config)
    }
}

fn stored(row: &QueryResult) -> Result<Stored> {
    let row = Row::new("agents", "id", row);
    let agent = Agent {
        id: AgentId(row.get("id")?),
        name: row.parse("name", AgentName::parse)?,
        group: row.parse_opt("group_name", GroupName::parse)?,
        config_file: row.get("config_file")?,
        created_at: row.time("created_at")?,
        deleted_at: row.time_opt("deleted_at")?,
        version: row.count("version")?,
    };
    Ok(Stored {
        agent: Arc::new(agent),
        snapshot: row.get("snapshot")?,
    })
}

pub(crate) fn snapshot(config: &AgentConfig) -> String {
    let texts = yaml::print(None, config, String::new());
    serde_json::to_string(&(texts.agent, texts.memory)).expect("two texts are always JSON")
}

pub(crate) fn taken(error: Error, name: &AgentName) -> Error {
    match error {
        Error::Conflict(reason) if reason.starts_with("it is taken") => {
            Error::Conflict(format!("an agent named {name} lives already"))
        }
        other => other,
    }
}

fn picture_name(picture: &Picture) -> Result<String> {
    let ending = match picture.media_type.as_str() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => {
            return Err(Error::Invalid(format!(
                "a profile picture is PNG, JPEG, GIF or WebP, not {other}"
            )));
        }
    };
    Ok(format!("profile.{ending}"))
}

pub(crate) async fn find_living<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    ids: &[AgentId],
) -> Result<Vec<Stored>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM agents WHERE deleted_at IS NULL AND id IN ({}) ORDER BY id",
        places(1, ids.len())
    );
    connection
        .all(&sql, ids.iter().map(|id| id.0.into()))
        .await?
        .iter()
        .map(stored)
        .collect()
}

pub(crate) async fn list_living<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
) -> Result<Vec<Stored>> {
    let rows = connection
        .all(
            &format!("SELECT {COLUMNS} FROM agents WHERE deleted_at IS NULL ORDER BY id"),
            [],
        )
        .await?;
    rows.iter().map(stored).collect()
}

/// The row, locked until the transaction ends.
pub(crate) async fn lock_living(tx: &Tx<'_>, id: AgentId) -> Result<Stored> {
    let sql = format!(
        "UPDATE agents SET version = version WHERE id = $1 AND deleted_at IS NULL RETURNING {COLUMNS}"
    );
    stored(
        &tx.one(&sql, [id.0.into()])
            .await?
            .ok_or_else(|| Error::missing("agent", id))?,
    )
}

/// With an id of the caller's, which no agent ever had, or the next one.
async fn insert(
    tx: &Tx<'_>,
    id: Option<i64>,
    place: &Place,
    config: &AgentConfig,
) -> Result<Arc<Agent>> {
    let mut values: Vec<Value> = vec![
        place.name.as_str().into(),
        place
            .group
            .as_ref()
            .map(|group| group.as_str().to_owned())
            .into(),
        place.config_file().into(),
        now().into(),
        snapshot(config).into(),
    ];
    let (mut column, mut overriding) = ("", "");
    if let Some(id) = id {
        values.push(id.into());
        (column, overriding) = (
            ", id",
            if tx.is_postgres() {
                " OVERRIDING SYSTEM VALUE"
            } else {
                ""
            },
        );
    }
    let places = places(1, values.len());
    let sql = format!(
        "INSERT INTO agents (name, group_name, config_file, created_at, snapshot{column}){overriding} VALUES ({places}) RETURNING {COLUMNS}"
    );
    let row = tx
        .one(&sql, values)
        .await?
        .ok_or_else(|| Error::unavailable("an insert returned no row"))?;
    if id.is_some() && tx.is_postgres() {
        // The next one is behind all that there are.
        tx.all(
            "SELECT setval(pg_get_serial_sequence('agents', 'id'), (SELECT max(id) FROM agents))",
            [],
        )
        .await?;
    }
    Ok(stored(&row)?.agent)
}

pub(crate) async fn keep_snapshot(tx: &Tx<'_>, id: AgentId, config: &AgentConfig) -> Result<()> {
    let sql =
        "UPDATE agents SET snapshot = $2, snapshot_version = snapshot_version + 1 WHERE id = $1";
    tx.run(sql, [id.0.into(), snapshot(config).into()])
        .await
        .map(drop)
}

/// Reserves a name.
async fn keep_name(tx: &Tx<'_>, id: AgentId, to: &Place) -> Result<()> {
    tx.run(
        "UPDATE agents SET name = $2 WHERE id = $1",
        [id.0.into(), to.name.as_str().into()],
    )
    .await
    .map(drop)
}

/// Gives an agent another place and its last good persona.
pub(crate) async fn keep_place(
    tx: &Tx<'_>,
    id: AgentId,
    to: &Place,
    config: &AgentConfig,
) -> Result<Arc<Agent>> {
    let sql = format!(
        "UPDATE agents SET name = $2, group_name = $3, config_file = $4, snapshot = $5, version = version + 1, \
         snapshot_version = snapshot_version + 1 WHERE id = $1 RETURNING {COLUMNS}"
    );
    let values: [Value; 5] = [
        id.0.into(),
        to.name.as_str().into(),
        to.group
            .as_ref()
            .map(|group| group.as_str().to_owned())
            .into(),
        to.config_file().into(),
        snapshot(config).into(),
    ];
    Ok(stored(
        &tx.one(&sql, values)
            .await?
            .ok_or_else(|| Error::missing("agent", id))?,
    )?
    .agent)
}

fn picture_file(picture: Option<Picture>) -> Result<Option<PictureFile>> {
    picture
        .map(|picture| Ok((picture_name(&picture)?, picture.bytes)))
        .transpose()
}

#[async_trait]
impl Agents for SqlStore {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        Ok(find_living(&self.db.read(), &[id])
            .await?
            .pop()
            .map(|stored| stored.agent))
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM agents WHERE id IN ({}) ORDER BY id",
            places(1, ids.len())
        );
        let rows = self
            .db
            .read()
            .all(&sql, ids.iter().map(|id| id.0.into()))
            .await?;
        rows.iter().map(|row| Ok(stored(row)?.agent)).collect()
    }

    async fn list(&self) -> Result<Vec<Arc<Agent>>> {
        Ok(list_living(&self.db.read())
            .await?
            .into_iter()
            .map(|row| row.agent)
            .collect())
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        let (store, name, turn) = (self.clone(), new.name.clone(), self.turn().await?);
        let held = turn.clone();
        let created = self.db.write(move |tx| {
            Box::pin(async move {
                let place = Place {
                    group: new.group.clone(),
                    name: new.name.clone(),
                };
                let picture = picture_file(new.picture)?;
                let config = AgentConfig {
                    profile_pic: picture.as_ref().map(|(name, _)| name.clone()),
                    ..new.config
                };
                let agent = insert(tx, None, &place, &config).await?;
                // Before there is a folder, so that no event in it is about nobody.
                store.files.known.begins(agent.id, place.clone());
                let prepared = store
                    .files
                    .prepare_new(&turn, place, agent.id.0, config, picture)
                    .await?;
                store.files.commit(&turn, agent.id, prepared).await?;
                Ok(agent)
            })
        });
        let created = created.await;
        self.files.ended(&created);
        drop(held);
        created.map_err(|error| taken(error, &name))
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        let place = Place::parse(path)?;
        let (store, name, turn) = (self.clone(), place.name.clone(), self.turn().await?);
        let Some(persona) = self.files.read(place.clone(), None).await? else {
            return Err(Error::missing("configuration", path));
        };
        let id = self.id_to_adopt(persona.id, &place).await?;
        let held = turn.clone();
        let adopted = self.db.write(move |tx| {
            Box::pin(async move {
                let agent = insert(tx, id, &place, &persona.config).await?;
                store.files.known.begins(agent.id, place.clone());
                if persona.id == Some(agent.id.0) {
                    return Ok(agent);
                }
                let named = match store.files.prepare_id(&turn, place, agent.id.0).await {
                    Ok(prepared) => store.files.commit(&turn, agent.id, prepared).await,
                    Err(error) => Err(error),
                };
                match named {
                    Err(error) if error.may_be_applied() => Err(error),
                    Err(error) => {
                        tracing::warn!(agent = %agent.id, %error, "the agent's id could not be written into its agent.yaml");
                        Ok(agent)
                    }
                    Ok(()) => Ok(agent),
                }
            })
        });
        let adopted = adopted.await;
        self.files.ended(&adopted);
        drop(held);
        adopted.map_err(|error| taken(error, &name))
    }

    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>> {
        let (store, name, turn) = (self.clone(), change.name.clone(), self.turn().await?);
        if change.name.is_some() || change.group.is_some() {
            self.before_moving(id).await?;
        }
        let held = turn.clone();
        let updated = self.db.write(move |tx| {
            Box::pin(async move {
                let row = lock_living(tx, id).await?;
                let (from, mut to) = (row.place(), row.place());
                to.name = change.name.clone().unwrap_or(to.name);
                to.group = change.group.clone().unwrap_or(to.group);
                let picture = picture_file(change.picture.clone())?;
                let profile_pic = picture.as_ref().map(|(name, _)| name.clone());
                let apply = move |config: &mut AgentConfig| {
                    change.apply_to(config);
                    config.profile_pic = profile_pic.or(config.profile_pic.take());
                };
                // The name is reserved before any file is touched.
                keep_name(tx, id, &to).await?;
                let prepared = store
                    .files
                    .prepare(&turn, (from, to.clone()), id.0, picture, apply)
                    .await?;
                let agent = keep_place(tx, id, &to, &prepared.config).await?;
                store.files.commit(&turn, id, prepared).await?;
                store.files.known.stands(id, to);
                Ok(agent)
            })
        });
        let updated = updated.await;
        self.files.ended(&updated);
        drop(held);
        updated.map_err(|error| name.map_or(error.clone(), |name| taken(error, &name)))
    }

    async fn delete(&self, id: AgentId) -> Result<()> {
        let (store, turn) = (self.clone(), self.turn().await?);
        self.before_moving(id).await?;
        let held = turn.clone();
        let deleted = self.db.write(move |tx| {
            Box::pin(async move {
                let row = lock_living(tx, id).await?;
                tx.run(
                    "UPDATE agents SET deleted_at = $2, version = version + 1 WHERE id = $1",
                    [id.0.into(), now().into()],
                )
                .await?;
                store.files.set_aside(&turn, row.place(), id.0).await
            })
        });
        let deleted = deleted.await;
        self.files.ended(&deleted);
        if deleted.is_ok() {
            self.files.known.forget(id);
        }
        drop(held);
        deleted
    }
}
