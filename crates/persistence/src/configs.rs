//! Personas: in the agents' files, the last good one beside the identity in the table.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use domain::{
    AgentConfig, AgentConfigs, AgentId, ConfigFile, ConfigProblem, Error, RecentEvent, Result,
};

use crate::{
    agents::{Stored, find_living, keep_snapshot, list_living, lock_living, snapshot},
    files::{Prepared, Turn},
    sql::SqlStore,
};

impl SqlStore {
    /// The persona as a reader gets it; `None` if the agent was deleted meanwhile.
    async fn look(&self, mut stored: Stored) -> Result<Option<Arc<AgentConfig>>> {
        loop {
            self.files.known.stands(stored.agent.id, stored.place());
            match self.files.give(stored.agent.id, stored.place()).await {
                Ok(Some(config)) => return Ok(Some(config)),
                Ok(None) | Err(Error::Invalid(_)) => {}
                Err(other) => return Err(other),
            }
            // The row was read before the files: they may have been moved since.
            let Some(now) = find_living(&self.db.read(), &[stored.agent.id])
                .await?
                .pop()
            else {
                return Ok(None);
            };
            if now.place() == stored.place() {
                return self.persona(&now).await.map(Some);
            }
            stored = now;
        }
    }

    /// What the files say now, or the last good persona if they are broken or gone.
    pub(crate) async fn persona(&self, stored: &Stored) -> Result<Arc<AgentConfig>> {
        let why = match self.files.give(stored.agent.id, stored.place()).await {
            Ok(Some(config)) => return Ok(config),
            Ok(None) => format!("{} is missing", stored.agent.config_file),
            Err(Error::Invalid(why)) => why,
            Err(other) => return Err(other),
        };
        tracing::warn!(agent = %stored.agent.id, why, "the last good configuration stays in force");
        self.last_good(stored).await
    }

    /// What a reader was given is not taken back, whether the table's copy has followed yet or not.
    async fn last_good(&self, stored: &Stored) -> Result<Arc<AgentConfig>> {
        let good = self.files.known.last_good(stored.agent.id);
        let good = good.lock().await.as_ref().map(|good| good.config.clone());
        good.map_or_else(|| stored.last_good().map(Arc::new), Ok)
    }

    /// Who reads while an agent's folder is moved finds the last good persona, which is behind the files if the write of
    /// these was given up before its COMMIT. Called by who has the turn.
    pub(crate) async fn before_moving(&self, id: AgentId) -> Result<()> {
        let Some(row) = find_living(&self.db.read(), &[id]).await?.pop() else {
            return Ok(());
        };
        let config = self.persona(&row).await?;
        if snapshot(&config) == row.snapshot {
            return Ok(());
        }
        self.db
            .write(move |tx| Box::pin(async move { keep_snapshot(tx, id, &config).await }))
            .await
    }

    /// Waits for the turn, and has what an earlier write left unsure decided first.
    pub(crate) async fn turn(&self) -> Result<Turn> {
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
                store.files.known.stands(id, row.place());
                let prepared = prepare(store.clone(), turn.clone(), row).await?;
                let config = prepared.config.clone();
                keep_snapshot(tx, id, &config).await?;
                store.files.commit(&turn, id, prepared).await?;
                Ok(config)
            })
        });
        let changed = changed.await;
        self.files.ended(&changed);
        drop(held);
        changed
    }
}

#[async_trait]
impl AgentConfigs for SqlStore {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<AgentConfig>>> {
        Ok(AgentConfigs::find_many(self, &[id])
            .await?
            .pop()
            .map(|(_, config)| config))
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        let mut found = Vec::new();
        for stored in find_living(&self.db.read(), ids).await? {
            let id = stored.agent.id;
            found.extend(self.look(stored).await?.map(|config| (id, config)));
        }
        Ok(found)
    }

    async fn find_again(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        let mut found = self.files.unchanged(ids).await?;
        let known: HashSet<_> = found.iter().map(|(id, _)| *id).collect();
        let others: Vec<_> = ids
            .iter()
            .copied()
            .filter(|id| !known.contains(id))
            .collect();
        if !others.is_empty() {
            found.extend(AgentConfigs::find_many(self, &others).await?);
        }
        found.sort_unstable_by_key(|(id, _)| *id);
        found.dedup_by_key(|(id, _)| *id);
        Ok(found)
    }

    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>> {
        let Some(stored) = find_living(&self.db.read(), &[id]).await?.pop() else {
            return Ok(None);
        };
        let Some(file) = self.persona(&stored).await?.profile_pic.clone() else {
            return Ok(None);
        };
        Ok(self
            .files
            .picture(stored.place(), file)
            .await?
            .map(Into::into))
    }

    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>> {
        self.change(id, move |store, turn, row| async move {
            let replace = move |old: &mut AgentConfig| {
                *old = AgentConfig {
                    profile_pic: old.profile_pic.take(),
                    ..config
                }
            };
            store
                .files
                .prepare(&turn, (row.place(), row.place()), id.0, None, replace)
                .await
        })
        .await
    }

    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>> {
        self.change(id, move |store, turn, row| async move {
            let last_good = (*store.last_good(&row).await?).clone();
            store
                .files
                .prepare_event(&turn, row.place(), event, last_good)
                .await
        })
        .await
    }

    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>> {
        let turn = self.turn().await?;
        let row = find_living(&self.db.read(), &[id])
            .await?
            .pop()
            .ok_or_else(|| Error::missing("agent", id))?;
        let config = match self.files.give(id, row.place()).await {
            Ok(Some(config)) => config,
            wrong @ (Ok(None) | Err(Error::Invalid(_))) => {
                // Renamed by hand, it is the same agent under a new name.
                if let Some(to) = self
                    .files
                    .locate(id.0)
                    .await?
                    .filter(|to| *to != row.place())
                {
                    return self.follow(id, to).await;
                }
                wrong?.ok_or_else(|| Error::missing("configuration", &row.agent.config_file))?
            }
            Err(other) => return Err(other),
        };
        let written = self.db.write(move |tx| {
            Box::pin(async move {
                lock_living(tx, id).await?;
                keep_snapshot(tx, id, &config).await?;
                Ok(config)
            })
        });
        let written = written.await;
        drop(turn);
        written
    }

    async fn list(&self) -> Result<Vec<ConfigFile>> {
        Ok(self
            .files
            .list()
            .await?
            .into_iter()
            .map(|(_, file)| file)
            .collect())
    }

    async fn changed(&self, ids: &[AgentId]) -> Result<Vec<AgentId>> {
        self.files.changed(ids).await
    }

    async fn watch(&self) -> Result<Vec<AgentId>> {
        self.files.watch().await
    }

    async fn problems(&self) -> Result<Vec<ConfigProblem>> {
        let rows = list_living(&self.db.read()).await?;
        let mut found = Vec::new();
        for row in &rows {
            let text = match self.files.read(row.place(), Some(row.agent.id.0)).await {
                Ok(Some(_)) => continue,
                Ok(None) => format!(
                    "{} is missing: the last good configuration stays in force",
                    row.agent.config_file
                ),
                Err(Error::Invalid(why)) => why,
                Err(other) => return Err(other),
            };
            found.push(ConfigProblem {
                name: row.agent.name.to_string(),
                text,
            });
        }
        let taken: HashSet<_> = rows.iter().map(Stored::place).collect();
        for (place, file) in self.files.list().await? {
            if taken.contains(&place) {
                continue;
            }
            let wrong = match self.files.read(place.clone(), None).await {
                Ok(Some(persona)) => self.id_to_adopt(persona.id, &place).await.map(drop),
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            let is_named = rows.iter().any(|row| row.agent.name == place.name);
            let text = match wrong {
                Err(Error::Invalid(why) | Error::Conflict(why)) => why,
                Err(other) => return Err(other),
                Ok(()) if is_named => {
                    format!("{}: an agent named {} lives already", file.path, place.name)
                }
                Ok(()) => continue,
            };
            found.push(ConfigProblem {
                name: place.name.to_string(),
                text,
            });
        }
        Ok(found)
    }
}
