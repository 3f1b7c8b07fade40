//! Agents: identity in SQL, the persona in files, the last good persona beside the identity.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Agent, AgentChange, AgentConfig, AgentConfigs, AgentId, AgentName, Agents, ConfigFile, Error, GroupName, NewAgent, Picture,
    RecentEvent, Result,
};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use crate::{
    db::{Connection, Tx, places},
    files::Place,
    rows::{Row, now},
    sql::SqlStore,
    yaml,
};

const COLUMNS: &str = "id, name, group_name, config_file, created_at, deleted_at, version, snapshot";

/// A row of the table: identity and the last good persona.
struct Stored {
    agent: Arc<Agent>,
    snapshot: AgentConfig,
}

impl Stored {
    fn place(&self) -> Place {
        Place { group: self.agent.group.clone(), name: self.agent.name.clone() }
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
    let snapshot = row.parse("snapshot", |json| {
        let (agent, memory): (String, String) = serde_json::from_str(json).map_err(|error| error.to_string())?;
        yaml::parse(&agent, &memory)
    })?;
    Ok(Stored { agent: Arc::new(agent), snapshot })
}

fn snapshot(config: &AgentConfig) -> String {
    serde_json::to_string(&yaml::print(config)).expect("two texts are always JSON")
}

fn taken(error: Error, name: &AgentName) -> Error {
    match error {
        Error::Conflict(reason) if reason.starts_with("it is taken") => Error::Conflict(format!("an agent named {name} lives already")),
        other => other,
    }
}

fn picture_name(picture: &Picture) -> Result<String> {
    let ending = match picture.media_type.as_str() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => return Err(Error::Invalid(format!("a profile picture is PNG, JPEG, GIF or WebP, not {other}"))),
    };
    Ok(format!("profile.{ending}"))
}

async fn find_living<C: ConnectionTrait>(connection: &Connection<'_, C>, ids: &[AgentId]) -> Result<Vec<Stored>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE deleted_at IS NULL AND id IN ({}) ORDER BY id", places(1, ids.len()));
    connection.all(&sql, ids.iter().map(|id| id.0.into())).await?.iter().map(stored).collect()
}

/// The row, locked until the transaction ends.
async fn lock_living(tx: &Tx<'_>, id: AgentId) -> Result<Stored> {
    let sql = format!("UPDATE agents SET version = version WHERE id = $1 AND deleted_at IS NULL RETURNING {COLUMNS}");
    stored(&tx.one(&sql, [id.0.into()]).await?.ok_or_else(|| Error::missing("agent", id))?)
}

async fn insert(tx: &Tx<'_>, place: &Place, config: &AgentConfig) -> Result<Arc<Agent>> {
    let sql =
        format!("INSERT INTO agents (name, group_name, config_file, created_at, snapshot) VALUES ({}) RETURNING {COLUMNS}", places(1, 5));
    let values: [Value; 5] = [
        place.name.as_str().into(),
        place.group.as_ref().map(|group| group.as_str().to_owned()).into(),
        place.config_file().into(),
        now().into(),
        snapshot(config).into(),
    ];
    let row = tx.one(&sql, values).await?.ok_or_else(|| Error::unavailable("an insert returned no row"))?;
    Ok(stored(&row)?.agent)
}

async fn keep_snapshot(tx: &Tx<'_>, id: AgentId, config: &AgentConfig) -> Result<()> {
    let sql = "UPDATE agents SET snapshot = $2, snapshot_version = snapshot_version + 1 WHERE id = $1";
    tx.run(sql, [id.0.into(), snapshot(config).into()]).await.map(drop)
}

/// What fails once files were changed may have been applied.
fn after_files<T>(result: Result<T>) -> Result<T> {
    result.map_err(|error| if error.may_be_applied() { error } else { Error::unknown(error) })
}

impl SqlStore {
    /// The persona as a reader gets it; `None` if the agent was deleted meanwhile.
    async fn look(&self, mut stored: Stored) -> Result<Option<AgentConfig>> {
        loop {
            match self.files.read(stored.place()).await {
                Ok(Some(config)) => return Ok(Some(config)),
                Ok(None) | Err(Error::Invalid(_)) => {}
                Err(other) => return Err(other),
            }
            // The row was read before the files: they may have been moved since.
            let Some(now) = find_living(&self.db.read(), &[stored.agent.id]).await?.pop() else { return Ok(None) };
            if now.place() == stored.place() {
                return self.persona(&now).await.map(Some);
            }
            stored = now;
        }
    }

    /// What the files say now, or the last good persona if they are broken or gone.
    async fn persona(&self, stored: &Stored) -> Result<AgentConfig> {
        let why = match self.files.read(stored.place()).await {
            Ok(Some(config)) => return Ok(config),
            Ok(None) => format!("{} is missing", stored.agent.config_file),
            Err(Error::Invalid(why)) => why,
            Err(other) => return Err(other),
        };
        tracing::warn!(agent = %stored.agent.id, why, "the last good configuration stays in force");
        Ok(stored.snapshot.clone())
    }

    /// Who reads while an agent's folder is moved finds the last good persona, which is behind the files if the write of
    /// these was given up before its COMMIT. Called by who has the turn.
    async fn before_moving(&self, id: AgentId) -> Result<()> {
        let Some(row) = find_living(&self.db.read(), &[id]).await?.pop() else { return Ok(()) };
        let config = self.persona(&row).await?;
        if config == row.snapshot {
            return Ok(());
        }
        self.db.write(move |tx| Box::pin(async move { keep_snapshot(tx, id, &config).await })).await
    }

    /// Changes a persona by `change`; the files are renamed into place before the COMMIT.
    async fn change(
        &self,
        id: AgentId,
        only_memory: bool,
        change: impl FnOnce(&mut AgentConfig) + Send + 'static,
    ) -> Result<Arc<AgentConfig>> {
        let (store, turn) = (self.clone(), self.files.turn().await);
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let row = lock_living(tx, id).await?;
                    store.files.bring_back(&turn, row.place(), id.0).await?;
                    let mut config = store.persona(&row).await?;
                    change(&mut config);
                    keep_snapshot(tx, id, &config).await?;
                    let place = row.place();
                    after_files(if only_memory {
                        store.files.write_memory(&turn, place, config.clone()).await
                    } else {
                        store.files.write(&turn, place, config.clone(), None).await
                    })?;
                    Ok(Arc::new(config))
                })
            })
            .await
    }

    /// Makes agents of the files that no agent has yet. Those that cannot be understood are reported and left alone.
    pub(crate) async fn adopt_all(&self) -> Result<()> {
        let known: Vec<_> = Agents::list(self).await?.iter().map(|agent| agent.config_file.clone()).collect();
        for (_, file) in self.files.list().await? {
            if known.contains(&file.path) {
                continue;
            }
            match self.adopt(&file.path).await {
                Ok(agent) => tracing::info!(agent = %agent.id, file = file.path, "agent found on disk"),
                Err(error @ (Error::Invalid(_) | Error::Conflict(_))) => {
                    tracing::warn!(file = file.path, %error, "agent on disk left alone");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Agents for SqlStore {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        Ok(find_living(&self.db.read(), &[id]).await?.pop().map(|stored| stored.agent))
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT {COLUMNS} FROM agents WHERE id IN ({}) ORDER BY id", places(1, ids.len()));
        let rows = self.db.read().all(&sql, ids.iter().map(|id| id.0.into())).await?;
        rows.iter().map(|row| Ok(stored(row)?.agent)).collect()
    }

    async fn list(&self) -> Result<Vec<Arc<Agent>>> {
        let rows = self.db.read().all(&format!("SELECT {COLUMNS} FROM agents WHERE deleted_at IS NULL ORDER BY id"), []).await?;
        rows.iter().map(|row| Ok(stored(row)?.agent)).collect()
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        let (store, name, turn) = (self.clone(), new.name.clone(), self.files.turn().await);
        let created = self.db.write(move |tx| {
            Box::pin(async move {
                let place = Place { group: new.group.clone(), name: new.name.clone() };
                let mut config = new.config;
                config.profile_pic = new.picture.as_ref().map(picture_name).transpose()?;
                let agent = insert(tx, &place, &config).await?;
                if store.files.read(place.clone()).await.map_or(true, |found| found.is_some()) {
                    return Err(Error::Conflict(format!("the folder of {} is there already: use its config_file", place.name)));
                }
                after_files(store.files.write(&turn, place, config, new.picture).await)?;
                Ok(agent)
            })
        });
        created.await.map_err(|error| taken(error, &name))
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        let place = Place::parse(path)?;
        let name = place.name.clone();
        let Some(config) = self.files.read(place.clone()).await? else { return Err(Error::missing("configuration", path)) };
        let adopted = self.db.write(move |tx| Box::pin(async move { insert(tx, &place, &config).await }));
        adopted.await.map_err(|error| taken(error, &name))
    }

    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>> {
        let (store, name, turn) = (self.clone(), change.name.clone(), self.files.turn().await);
        if change.name.is_some() || change.group.is_some() {
            self.before_moving(id).await?;
        }
        let updated = self.db.write(move |tx| {
            Box::pin(async move {
                let row = lock_living(tx, id).await?;
                store.files.bring_back(&turn, row.place(), id.0).await?;
                let mut config = store.persona(&row).await?;
                change.apply_to(&mut config);
                if let Some(picture) = &change.picture {
                    config.profile_pic = Some(picture_name(picture)?);
                }
                let (from, mut to) = (row.place(), row.place());
                to.name = change.name.clone().unwrap_or(to.name);
                to.group = change.group.clone().unwrap_or(to.group);
                let sql = format!(
                    "UPDATE agents SET name = $2, group_name = $3, config_file = $4, snapshot = $5, version = version + 1, \
                     snapshot_version = snapshot_version + 1 WHERE id = $1 RETURNING {COLUMNS}"
                );
                let values: [Value; 5] = [
                    id.0.into(),
                    to.name.as_str().into(),
                    to.group.as_ref().map(|group| group.as_str().to_owned()).into(),
                    to.config_file().into(),
                    snapshot(&config).into(),
                ];
                // The name is reserved here, before any file moves.
                let agent = stored(&tx.one(&sql, values).await?.ok_or_else(|| Error::missing("agent", id))?)?.agent;
                if from != to {
                    store.files.rename(&turn, from, to.clone()).await?;
                }
                after_files(store.files.write(&turn, to, config, change.picture).await)?;
                Ok(agent)
            })
        });
        updated.await.map_err(|error| name.map_or(error.clone(), |name| taken(error, &name)))
    }

    async fn delete(&self, id: AgentId) -> Result<()> {
        let (store, turn) = (self.clone(), self.files.turn().await);
        self.before_moving(id).await?;
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let row = lock_living(tx, id).await?;
                    tx.run("UPDATE agents SET deleted_at = $2, version = version + 1 WHERE id = $1", [id.0.into(), now().into()]).await?;
                    after_files(store.files.set_aside(&turn, row.place(), id.0).await)
                })
            })
            .await
    }
}

#[async_trait]
impl AgentConfigs for SqlStore {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<AgentConfig>>> {
        Ok(AgentConfigs::find_many(self, &[id]).await?.pop().map(|(_, config)| config))
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        let mut found = Vec::new();
        for stored in find_living(&self.db.read(), ids).await? {
            let id = stored.agent.id;
            found.extend(self.look(stored).await?.map(|config| (id, Arc::new(config))));
        }
        Ok(found)
    }

    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>> {
        let Some(stored) = find_living(&self.db.read(), &[id]).await?.pop() else { return Ok(None) };
        let Some(file) = self.persona(&stored).await?.profile_pic else { return Ok(None) };
        Ok(self.files.picture(stored.place(), file).await?.map(Into::into))
    }

    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>> {
        self.change(id, false, move |old| *old = AgentConfig { profile_pic: old.profile_pic.take(), ..config }).await
    }

    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>> {
        self.change(id, true, |config| config.recent_events.push(event)).await
    }

    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>> {
        let (store, turn) = (self.clone(), self.files.turn().await);
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let row = lock_living(tx, id).await?;
                    store.files.bring_back(&turn, row.place(), id.0).await?;
                    let config =
                        store.files.read(row.place()).await?.ok_or_else(|| Error::missing("configuration", &row.agent.config_file))?;
                    keep_snapshot(tx, id, &config).await?;
                    Ok(Arc::new(config))
                })
            })
            .await
    }

    async fn list(&self) -> Result<Vec<ConfigFile>> {
        Ok(self.files.list().await?.into_iter().map(|(_, file)| file).collect())
    }
}
