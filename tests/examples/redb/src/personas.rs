//! The port `AgentConfigs`.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use domain::{AgentConfig, AgentConfigs, AgentId, Error, RecentEvent, Result};
use redb::WriteTransaction;

use crate::{
    database_file::TxResult,
    json_table::get_entry,
    store::RedbStore,
    tables::{PERSONAS, PICTURES},
};

#[async_trait]
impl AgentConfigs for RedbStore {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<AgentConfig>>> {
        self.read(move |tx| Ok(PERSONAS.get(tx, id.0)?.map(Arc::new)))
            .await
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        let ids: BTreeSet<i64> = ids.iter().map(|id| id.0).collect();
        self.read(move |tx| {
            let found = PERSONAS.get_many(tx, ids)?.into_iter();
            Ok(found
                .map(|(id, persona)| (AgentId(id), Arc::new(persona)))
                .collect())
        })
        .await
    }

    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>> {
        self.read(move |tx| get_entry(tx, PICTURES, id.0, |bytes| bytes.into()))
            .await
    }

    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>> {
        self.write(move |tx| {
            change(tx, id, |persona| {
                let profile_pic = persona.profile_pic.take();
                *persona = AgentConfig {
                    profile_pic,
                    ..config
                };
            })
        })
        .await
    }

    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>> {
        self.write(move |tx| {
            change(tx, id, |persona| {
                persona.recent_events.push(event);
                persona.remove_oldest_events();
            })
        })
        .await
    }
}

/// Changes the persona of a living agent and returns it. Only living agents have a persona.
fn change(
    tx: &WriteTransaction,
    id: AgentId,
    change: impl FnOnce(&mut AgentConfig),
) -> TxResult<Arc<AgentConfig>> {
    let persona = PERSONAS.get(tx, id.0)?;
    let mut persona = persona.ok_or_else(|| Error::missing("agent", id))?;
    change(&mut persona);
    PERSONAS.insert(tx, id.0, &persona)?;
    Ok(Arc::new(persona))
}
