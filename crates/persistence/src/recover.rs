//! Files and table made to say the same: at the start, and after a write whose outcome nobody saw.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::{AgentConfig, AgentId, Agents, Error, Result};

use crate::{
    agents::{
        Stored, find_living, keep_place, keep_snapshot, list_living, lock_living, snapshot, taken,
    },
    files::Turn,
    place::Place,
    sql::SqlStore,
};

impl SqlStore {
    /// Makes files and table say the same again, after a crash or a write whose outcome nobody saw: what was begun in the
    /// files is ended or taken back, and where folders stand decides names. Called by who has the turn.
    pub(crate) async fn recover(&self, turn: &Turn) -> Result<()> {
        let rows = list_living(&self.db.read()).await?;
        let living = rows
            .iter()
            .map(|row| (row.agent.id.0, row.place()))
            .collect();
        let found = self.files.recover(turn, living).await?;
        for row in &rows {
            self.files.known.stands(row.agent.id, row.place());
        }
        let taken: HashSet<Place> = rows.iter().map(Stored::place).collect();
        let stands: HashMap<&Place, Option<i64>> =
            found.iter().map(|(place, id)| (place, *id)).collect();
        for row in &rows {
            let id = row.agent.id;
            let is_here = stands
                .get(&row.place())
                .is_some_and(|carried| carried.is_none_or(|carried| carried == id.0));
            let mut elsewhere = found
                .iter()
                .filter(|(place, carried)| *carried == Some(id.0) && !taken.contains(place));
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
    pub(crate) async fn follow(&self, id: AgentId, to: Place) -> Result<Arc<AgentConfig>> {
        let persona = self
            .files
            .read(to.clone(), Some(id.0))
            .await?
            .ok_or_else(|| Error::missing("configuration", to.config_file()))?;
        let (name, stands) = (to.name.clone(), to.clone());
        let followed = self.db.write(move |tx| {
            Box::pin(async move {
                lock_living(tx, id).await?;
                keep_place(tx, id, &to, &persona.config).await
            })
        });
        followed.await.map_err(|error| taken(error, &name))?;
        self.files.known.stands(id, stands);
        let row = find_living(&self.db.read(), &[id])
            .await?
            .pop()
            .ok_or_else(|| Error::missing("agent", id))?;
        self.persona(&row).await
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
        let known: HashSet<_> = Agents::list(self)
            .await?
            .iter()
            .map(|agent| agent.config_file.clone())
            .collect();
        for (_, file) in self.files.list().await? {
            if known.contains(&file.path) {
                continue;
            }
            match self.adopt(&file.path).await {
                Ok(agent) => {
                    tracing::info!(agent = %agent.id, file = file.path, "agent found on disk");
                }
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
    pub(crate) async fn id_to_adopt(
        &self,
        carried: Option<i64>,
        place: &Place,
    ) -> Result<Option<i64>> {
        let Some(carried) = carried else {
            return Ok(None);
        };
        let Some(owner) = Agents::find_many(self, &[AgentId(carried)]).await?.pop() else {
            return Ok(Some(carried));
        };
        if !owner.is_living() {
            return Ok(None);
        }
        Err(Error::Conflict(format!(
            "{}: agent.yaml: id: expected an id of its own, found {carried}, which is that of {}: remove the line from a copy",
            place.name, owner.name
        )))
    }
}
