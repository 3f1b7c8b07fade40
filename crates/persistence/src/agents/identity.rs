//! The implementation of the port `Agents`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Agent, AgentChange, AgentConfig, AgentId, Agents, Error, NewAgent, Picture, Result};

use super::table::{
    find_all, find_living, insert, list_living, lock_living, mark_deleted, reserve_name,
    update_path,
};
use crate::{
    agent_files::{
        file_store::ChangePermit,
        folder::NamedFile,
        path::AgentPath,
        prepare::{Edit, NewFiles},
    },
    store::SqlStore,
};

/// Returns the name and bytes of the file that stores a profile picture. Fails with `Invalid` for a
/// media type other than PNG, JPEG, GIF or WebP.
fn picture_file(picture: Picture) -> Result<NamedFile> {
    let ending = match picture.media_type.as_str() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => {
            return Err(Error::Invalid(format!(
                "a profile picture must be PNG, JPEG, GIF or WebP, got {other}"
            )));
        }
    };
    Ok((format!("profile.{ending}"), picture.bytes))
}

impl SqlStore {
    /// Writes an adopted agent's id into its `agent.yaml`.
    ///
    /// Any failure except an unknown outcome is only logged. An agent works without the id in its
    /// file: the id only serves to find the folder after a person has moved it.
    async fn write_id(&self, permit: &ChangePermit, id: AgentId, path: AgentPath) -> Result<()> {
        let written = match self.files.prepare_id(permit, id, path).await {
            Ok(prepared) => self.files.commit(permit, id, prepared).await,
            Err(error) => Err(error),
        };
        match written {
            Err(error) if !error.may_be_applied() => {
                tracing::warn!(
                    agent = %id,
                    %error,
                    "cannot write the agent's id into its agent.yaml: \
                     the agent will not be recognized if its folder is moved"
                );
                Ok(())
            }
            written => written,
        }
    }
}

#[async_trait]
impl Agents for SqlStore {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        let mut found = find_living(&self.database.read(), &[id]).await?;
        Ok(found.pop().map(|row| row.agent))
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        let rows = find_all(&self.database.read(), ids).await?;
        Ok(rows.into_iter().map(|row| row.agent).collect())
    }

    async fn list(&self) -> Result<Vec<Arc<Agent>>> {
        let rows = list_living(&self.database.read()).await?;
        Ok(rows.into_iter().map(|row| row.agent).collect())
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        let permit = self.begin_change().await?;
        let (store, held) = (self.clone(), permit.clone());
        self.write_with_files(&permit, move |tx| {
            Box::pin(async move {
                let path = AgentPath {
                    group: new.group,
                    name: new.name,
                };
                let picture = new.picture.map(picture_file).transpose()?;
                let config = AgentConfig {
                    profile_pic: picture.as_ref().map(|(name, _)| name.clone()),
                    ..new.config
                };
                let agent = insert(tx, None, &path, &config).await?;
                // Registered before the folder is created, because the watcher ignores events in
                // unregistered folders.
                store.files.registry.register_new(agent.id, path.clone());
                let new_files = NewFiles {
                    id: agent.id,
                    path,
                    config,
                    picture,
                };
                let prepared = store.files.prepare_new(&held, new_files).await?;
                store.files.commit(&held, agent.id, prepared).await?;
                Ok(agent)
            })
        })
        .await
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        let agent_path = AgentPath::parse(path)?;
        let permit = self.begin_change().await?;
        let persona = self
            .files
            .inspect_persona(agent_path.clone(), None)
            .await?
            .ok_or_else(|| Error::missing("configuration", path))?;
        let id = self.adoptable_id(persona.id, &agent_path).await?;
        let (store, held) = (self.clone(), permit.clone());
        self.write_with_files(&permit, move |tx| {
            Box::pin(async move {
                let agent = insert(tx, id, &agent_path, &persona.config).await?;
                store
                    .files
                    .registry
                    .register_new(agent.id, agent_path.clone());
                if persona.id != Some(agent.id.0) {
                    store.write_id(&held, agent.id, agent_path).await?;
                }
                Ok(agent)
            })
        })
        .await
    }

    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>> {
        let permit = self.begin_change().await?;
        if change.name.is_some() || change.group.is_some() {
            self.refresh_snapshot(id).await?;
        }
        let (store, held) = (self.clone(), permit.clone());
        self.write_with_files(&permit, move |tx| {
            Box::pin(async move {
                let row = lock_living(tx, id).await?;
                let from = row.path();
                let to = AgentPath {
                    name: change.name.clone().unwrap_or_else(|| from.name.clone()),
                    group: change.group.clone().unwrap_or_else(|| from.group.clone()),
                };
                let picture = change.picture.clone().map(picture_file).transpose()?;
                let profile_pic = picture.as_ref().map(|(name, _)| name.clone());
                // Reserved before any file changes. If the name is taken, the files must stay as
                // they are.
                reserve_name(tx, id, &to.name).await?;
                let edit = Edit {
                    id,
                    from,
                    to: to.clone(),
                    picture,
                };
                let apply = move |config: &mut AgentConfig| {
                    change.apply_to(config);
                    config.profile_pic = profile_pic.or(config.profile_pic.take());
                };
                let prepared = store.files.prepare_edit(&held, edit, apply).await?;
                let agent = update_path(tx, id, &to, &prepared.config).await?;
                store.files.commit(&held, id, prepared).await?;
                store.files.registry.set_path(id, to);
                Ok(agent)
            })
        })
        .await
    }

    async fn delete(&self, id: AgentId) -> Result<()> {
        let permit = self.begin_change().await?;
        self.refresh_snapshot(id).await?;
        let (store, held) = (self.clone(), permit.clone());
        let deleted = self.write_with_files(&permit, move |tx| {
            Box::pin(async move {
                let row = lock_living(tx, id).await?;
                mark_deleted(tx, id).await?;
                store.files.set_aside(&held, row.path(), id.0).await
            })
        });
        deleted.await?;
        // The permit is still held, so no other change can register the agent again before this
        // removal.
        self.files.registry.remove(id);
        Ok(())
    }
}
