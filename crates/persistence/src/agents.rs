//! Agents: identity in SQL, the persona in files, the last good persona beside the identity.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use domain::{
    Agent, AgentChange, AgentConfig, AgentConfigs, AgentId, AgentName, Agents, ConfigFile, Error, GroupName, Memo, NewAgent, Picture,
    RecentEvent, Result,
};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use crate::{
    db::{Connection, Tx, places},
    files::{PictureFile, Prepared, Turn},
    place::Place,
    rows::{Row, now},
    sql::SqlStore,
    yaml,
};

const COLUMNS: &str = "id, name, group_name, config_file, created_at, deleted_at, version, snapshot";

/// A row of the table: identity and the last good persona.
pub(crate) struct Stored {
    pub(crate) agent: Arc<Agent>,
    snapshot: String,
}

impl Stored {
    pub(crate) fn place(&self) -> Place {
        Place { group: self.agent.group.clone(), name: self.agent.name.clone() }
    }

    /// The last good persona.
    pub(crate) fn last_good(&self) -> Result<AgentConfig> {
        let read = |json: &str| {
            let (agent, memory): (String, String) = serde_json::from_str(json).map_err(|error| error.to_string())?;
            yaml::parse(&yaml::Texts { agent, memory, group: String::new() })
        };
        let corrupt = |reason| Error::Corrupt { table: "agents", column: "snapshot", row: self.agent.id.to_string(), reason };
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
        memo: Memo::default(),
    };
    Ok(Stored { agent: Arc::new(agent), snapshot: row.get("snapshot")? })
}

fn snapshot(config: &AgentConfig) -> String {
    let texts = yaml::print(None, config, String::new());
    serde_json::to_string(&(texts.agent, texts.memory)).expect("two texts are always JSON")
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

pub(crate) async fn find_living<C: ConnectionTrait>(connection: &Connection<'_, C>, ids: &[AgentId]) -> Result<Vec<Stored>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE deleted_at IS NULL AND id IN ({}) ORDER BY id", places(1, ids.len()));
    connection.all(&sql, ids.iter().map(|id| id.0.into())).await?.iter().map(stored).collect()
}

async fn list_living<C: ConnectionTrait>(connection: &Connection<'_, C>) -> Result<Vec<Stored>> {
    let rows = connection.all(&format!("SELECT {COLUMNS} FROM agents WHERE deleted_at IS NULL ORDER BY id"), []).await?;
    rows.iter().map(stored).collect()
}

/// The row, locked until the transaction ends.
async fn lock_living(tx: &Tx<'_>, id: AgentId) -> Result<Stored> {
    let sql = format!("UPDATE agents SET version = version WHERE id = $1 AND deleted_at IS NULL RETURNING {COLUMNS}");
    stored(&tx.one(&sql, [id.0.into()]).await?.ok_or_else(|| Error::missing("agent", id))?)
}

/// With an id of the caller's, which no agent ever had, or the next one.
async fn insert(tx: &Tx<'_>, id: Option<i64>, place: &Place, config: &AgentConfig) -> Result<Arc<Agent>> {
    let mut values: Vec<Value> = vec![
        place.name.as_str().into(),
        place.group.as_ref().map(|group| group.as_str().to_owned()).into(),
        place.config_file().into(),
        now().into(),
        snapshot(config).into(),
    ];
    let (mut column, mut overriding) = ("", "");
    if let Some(id) = id {
        values.push(id.into());
        (column, overriding) = (", id", if tx.is_postgres() { " OVERRIDING SYSTEM VALUE" } else { "" });
    }
    let places = places(1, values.len());
    let sql = format!(
        "INSERT INTO agents (name, group_name, config_file, created_at, snapshot{column}){overriding} VALUES ({places}) RETURNING {COLUMNS}"
    );
    let row = tx.one(&sql, values).await?.ok_or_else(|| Error::unavailable("an insert returned no row"))?;
    if id.is_some() && tx.is_postgres() {
        // The next one is behind all that there are.
        tx.all("SELECT setval(pg_get_serial_sequence('agents', 'id'), (SELECT max(id) FROM agents))", []).await?;
    }
    Ok(stored(&row)?.agent)
}

async fn keep_snapshot(tx: &Tx<'_>, id: AgentId, config: &AgentConfig) -> Result<()> {
    let sql = "UPDATE agents SET snapshot = $2, snapshot_version = snapshot_version + 1 WHERE id = $1";
    tx.run(sql, [id.0.into(), snapshot(config).into()]).await.map(drop)
}

/// Reserves a name.
async fn keep_name(tx: &Tx<'_>, id: AgentId, to: &Place) -> Result<()> {
    tx.run("UPDATE agents SET name = $2 WHERE id = $1", [id.0.into(), to.name.as_str().into()]).await.map(drop)
}

/// Gives an agent another place and its last good persona.
async fn keep_place(tx: &Tx<'_>, id: AgentId, to: &Place, config: &AgentConfig) -> Result<Arc<Agent>> {
    let sql = format!(
        "UPDATE agents SET name = $2, group_name = $3, config_file = $4, snapshot = $5, version = version + 1, \
         snapshot_version = snapshot_version + 1 WHERE id = $1 RETURNING {COLUMNS}"
    );
    let values: [Value; 5] = [
        id.0.into(),
        to.name.as_str().into(),
        to.group.as_ref().map(|group| group.as_str().to_owned()).into(),
        to.config_file().into(),
        snapshot(config).into(),
    ];
    Ok(stored(&tx.one(&sql, values).await?.ok_or_else(|| Error::missing("agent", id))?)?.agent)
}

fn picture_file(picture: Option<Picture>) -> Result<Option<PictureFile>> {
    picture.map(|picture| Ok((picture_name(&picture)?, picture.bytes))).transpose()
}

impl SqlStore {
    /// The persona as a reader gets it; `None` if the agent was deleted meanwhile.
    async fn look(&self, mut stored: Stored) -> Result<Option<AgentConfig>> {
        loop {
            match self.files.read(stored.place(), Some(stored.agent.id.0)).await {
                Ok(Some(persona)) => return Ok(Some(persona.config)),
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
        let why = match self.files.read(stored.place(), Some(stored.agent.id.0)).await {
            Ok(Some(persona)) => return Ok(persona.config),
            Ok(None) => format!("{} is missing", stored.agent.config_file),
            Err(Error::Invalid(why)) => why,
            Err(other) => return Err(other),
        };
        tracing::warn!(agent = %stored.agent.id, why, "the last good configuration stays in force");
        stored.last_good()
    }

    /// Who reads while an agent's folder is moved finds the last good persona, which is behind the files if the write of
    /// these was given up before its COMMIT. Called by who has the turn.
    async fn before_moving(&self, id: AgentId) -> Result<()> {
        let Some(row) = find_living(&self.db.read(), &[id]).await?.pop() else { return Ok(()) };
        let config = self.persona(&row).await?;
        if snapshot(&config) == row.snapshot {
            return Ok(());
        }
        self.db.write(move |tx| Box::pin(async move { keep_snapshot(tx, id, &config).await })).await
    }

    /// Waits for the turn, and has what an earlier write left unsure decided first.
    async fn turn(&self) -> Result<Turn> {
        let turn = self.files.turn().await;
        if self.files.is_unsure() {
            self.recover(&turn).await?;
        }
        Ok(turn)
    }

    /// Changes a persona as `prepare` says; the files are renamed into place before the COMMIT.
    async fn change<Fut>(
        &self,
        id: AgentId,
        prepare: impl FnOnce(SqlStore, Turn, Stored) -> Fut + Send + 'static,
    ) -> Result<Arc<AgentConfig>>
    where
        Fut: Future<Output = Result<Prepared>> + Send + 'static,
    {
        let (store, turn) = (self.clone(), self.turn().await?);
        let held = turn.clone();
        let changed = self.db.write(move |tx| {
            Box::pin(async move {
                let row = lock_living(tx, id).await?;
                let prepared = prepare(store.clone(), turn.clone(), row).await?;
                let config = prepared.config.clone();
                keep_snapshot(tx, id, &config).await?;
                store.files.commit(&turn, prepared).await?;
                Ok(Arc::new(config))
            })
        });
        let changed = changed.await;
        self.files.ended(&changed);
        drop(held);
        changed
    }

    /// Makes files and table say the same again, after a crash or a write whose outcome nobody saw: what was begun in the
    /// files is ended or taken back, and where folders stand decides names. Called by who has the turn.
    pub(crate) async fn recover(&self, turn: &Turn) -> Result<()> {
        let rows = list_living(&self.db.read()).await?;
        let living = rows.iter().map(|row| (row.agent.id.0, row.place())).collect();
        let found = self.files.recover(turn, living).await?;
        let taken: HashSet<Place> = rows.iter().map(Stored::place).collect();
        let stands: HashMap<&Place, Option<i64>> = found.iter().map(|(place, id)| (place, *id)).collect();
        for row in &rows {
            let id = row.agent.id;
            let is_here = stands.get(&row.place()).is_some_and(|carried| carried.is_none_or(|carried| carried == id.0));
            let mut elsewhere = found.iter().filter(|(place, carried)| *carried == Some(id.0) && !taken.contains(place));
            if let (false, Some((to, _)), None) = (is_here, elsewhere.next(), elsewhere.next()) {
                match self.follow(id, to.clone()).await {
                    Err(error @ (Error::Invalid(_) | Error::Conflict(_))) => {
                        tracing::warn!(agent = %id, folder = %to.config_file(), %error, "a moved folder was not followed");
                    }
                    followed => drop(followed?),
                }
            }
        }
        self.repair_snapshots(&rows).await?;
        self.files.ended::<()>(&Ok(()));
        Ok(())
    }

    /// The folder of an agent stands elsewhere: it is the same agent under a new name.
    async fn follow(&self, id: AgentId, to: Place) -> Result<Arc<AgentConfig>> {
        let persona = self.files.read(to.clone(), Some(id.0)).await?.ok_or_else(|| Error::missing("configuration", to.config_file()))?;
        let name = to.name.clone();
        let followed = self.db.write(move |tx| {
            Box::pin(async move {
                lock_living(tx, id).await?;
                keep_place(tx, id, &to, &persona.config).await?;
                Ok(Arc::new(persona.config))
            })
        });
        followed.await.map_err(|error| taken(error, &name))
    }

    /// The table's snapshots follow from the files.
    async fn repair_snapshots(&self, rows: &[Stored]) -> Result<()> {
        let mut behind = Vec::new();
        for row in rows {
            if let Ok(Some(persona)) = self.files.read(row.place(), Some(row.agent.id.0)).await
                && snapshot(&persona.config) != row.snapshot
            {
                behind.push((row.agent.id, persona.config));
            }
        }
        if behind.is_empty() {
            return Ok(());
        }
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    for (id, config) in &behind {
                        keep_snapshot(tx, *id, config).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// What a start does: ends what a crash left, and makes agents of the files that no agent has yet. Those that cannot
    /// be understood are reported and left alone.
    pub(crate) async fn load(&self) -> Result<()> {
        let turn = self.files.turn().await;
        self.recover(&turn).await?;
        drop(turn);
        let known: HashSet<_> = Agents::list(self).await?.iter().map(|agent| agent.config_file.clone()).collect();
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

    /// The id to adopt files with that carry `carried`: that one, if no agent ever had it. One of a living agent is a
    /// conflict; a deleted one's is not used again.
    async fn id_to_adopt(&self, carried: Option<i64>, place: &Place) -> Result<Option<i64>> {
        let Some(carried) = carried else { return Ok(None) };
        let Some(owner) = Agents::find_many(self, &[AgentId(carried)]).await?.pop() else { return Ok(Some(carried)) };
        if !owner.is_living() {
            return Ok(None);
        }
        Err(Error::Conflict(format!(
            "{}: agent.yaml: id: expected an id of its own, found {carried}, which is that of {}: remove the line from a copy",
            place.name, owner.name
        )))
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
        Ok(list_living(&self.db.read()).await?.into_iter().map(|row| row.agent).collect())
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        let (store, name, turn) = (self.clone(), new.name.clone(), self.turn().await?);
        let held = turn.clone();
        let created = self.db.write(move |tx| {
            Box::pin(async move {
                let place = Place { group: new.group.clone(), name: new.name.clone() };
                let picture = picture_file(new.picture)?;
                let config = AgentConfig { profile_pic: picture.as_ref().map(|(name, _)| name.clone()), ..new.config };
                let agent = insert(tx, None, &place, &config).await?;
                let prepared = store.files.prepare_new(&turn, place, agent.id.0, config, picture).await?;
                store.files.commit(&turn, prepared).await?;
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
        let Some(persona) = self.files.read(place.clone(), None).await? else { return Err(Error::missing("configuration", path)) };
        let id = self.id_to_adopt(persona.id, &place).await?;
        let held = turn.clone();
        let adopted = self.db.write(move |tx| {
            Box::pin(async move {
                let agent = insert(tx, id, &place, &persona.config).await?;
                if persona.id == Some(agent.id.0) {
                    return Ok(agent);
                }
                let named = match store.files.prepare_id(&turn, place, agent.id.0).await {
                    Ok(prepared) => store.files.commit(&turn, prepared).await,
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
                let prepared = store.files.prepare(&turn, (from, to.clone()), id.0, picture, apply).await?;
                let agent = keep_place(tx, id, &to, &prepared.config).await?;
                store.files.commit(&turn, prepared).await?;
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
                tx.run("UPDATE agents SET deleted_at = $2, version = version + 1 WHERE id = $1", [id.0.into(), now().into()]).await?;
                store.files.set_aside(&turn, row.place(), id.0).await
            })
        });
        let deleted = deleted.await;
        self.files.ended(&deleted);
        drop(held);
        deleted
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
        self.change(id, move |store, turn, row| async move {
            let replace = move |old: &mut AgentConfig| *old = AgentConfig { profile_pic: old.profile_pic.take(), ..config };
            store.files.prepare(&turn, (row.place(), row.place()), id.0, None, replace).await
        })
        .await
    }

    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>> {
        self.change(id, move |store, turn, row| async move {
            let last_good = row.last_good()?;
            store.files.prepare_event(&turn, row.place(), event, last_good).await
        })
        .await
    }

    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>> {
        let turn = self.turn().await?;
        let row = find_living(&self.db.read(), &[id]).await?.pop().ok_or_else(|| Error::missing("agent", id))?;
        let persona = match self.files.read(row.place(), Some(id.0)).await {
            Ok(Some(persona)) => persona,
            wrong @ (Ok(None) | Err(Error::Invalid(_))) => {
                // Renamed by hand, it is the same agent under a new name.
                if let Some(to) = self.files.locate(id.0).await?.filter(|to| *to != row.place()) {
                    return self.follow(id, to).await;
                }
                wrong?.ok_or_else(|| Error::missing("configuration", &row.agent.config_file))?
            }
            Err(other) => return Err(other),
        };
        let written = self.db.write(move |tx| {
            Box::pin(async move {
                lock_living(tx, id).await?;
                keep_snapshot(tx, id, &persona.config).await?;
                Ok(Arc::new(persona.config))
            })
        });
        let written = written.await;
        drop(turn);
        written
    }

    async fn list(&self) -> Result<Vec<ConfigFile>> {
        Ok(self.files.list().await?.into_iter().map(|(_, file)| file).collect())
    }
}
