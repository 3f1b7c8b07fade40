//! The implementation of the port `Agents`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Agent, AgentChange, AgentConfig, AgentId, Agents, Error, NewAgent, Picture, Result};

use super::table::{
    find_all, find_living, insert, list_living, lock_living, mark_deleted, update_path,
};
use crate::{
    agent_files::{
        file_store::ChangePermit,
        folder::NamedFile,
        path::AgentPath,
        prepare::{Edit, NewFiles, PreparedChange},
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
    /// Prepares to write an adopted agent's id into its `agent.yaml`. Returns `None` if the file
    /// already contains the id, or if the file cannot be changed.
    ///
    /// A failure is only logged. An agent works without the id in its file: the id only serves to
    /// find the folder after a person has moved it.
    async fn prepare_adopted_id(
        &self,
        permit: &ChangePermit,
        id: AgentId,
        found: Option<i64>,
        path: &AgentPath,
    ) -> Option<PreparedChange> {
        if found == Some(id.0) {
            return None;
        }
        match self.files.prepare_id(permit, id, path.clone()).await {
            Ok(prepared) => Some(prepared),
            Err(error) => {
                warn_without_id(id, &error);
                None
            }
        }
    }
}

fn warn_without_id(agent: AgentId, error: &Error) {
    tracing::warn!(
        %agent,
        %error,
        "cannot write the agent's id into its agent.yaml: \
         the agent will not be recognized if its folder is moved"
    );
}

#[async_trait]
impl Agents for SqlStore {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        find_living(&self.database.read(), id).await
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        find_all(&self.database.read(), ids).await
    }

    async fn list(&self) -> Result<Vec<Arc<Agent>>> {
        list_living(&self.database.read()).await
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        let permit = self.begin_change().await?;
        self.require_free_name(&new.name, None).await?;
        let path = AgentPath {
            group: new.group,
            name: new.name,
        };
        let picture = new.picture.map(picture_file).transpose()?;
        let config = AgentConfig {
            profile_pic: picture.as_ref().map(|(name, _)| name.clone()),
            ..new.config
        };
        let id = self.next_id().await?;
        let files = NewFiles {
            id,
            path: path.clone(),
            config,
            picture,
        };
        let prepared = self.files.prepare_new(&permit, files).await?;
        let (store, held, lock) = (self.clone(), permit.clone(), prepared.lock());
        self.write_with_files(&permit, Some(lock), move |tx| {
            Box::pin(async move {
                let agent = insert(tx, id, &path, &prepared.config).await?;
                // Registered before the files are in place, because the watcher ignores events in
                // unregistered folders.
                store.files.registry.register_new(id, path);
                store.files.commit(&held, id, prepared).await?;
                Ok(agent)
            })
        })
        .await
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        let path = AgentPath::parse(path)?;
        let permit = self.begin_change().await?;
        let persona = self
            .files
            .inspect_persona(path.clone(), None)
            .await?
            .ok_or_else(|| Error::missing("configuration", path.config_file()))?;
        self.files.require_one_kind(path.clone()).await?;
        self.require_free_name(&path.name, None).await?;
        let id = match self.adoptable_id(persona.id, &path).await? {
            Some(id) => id,
            None => self.next_id().await?,
        };
        let prepared = self
            .prepare_adopted_id(&permit, id, persona.id, &path)
            .await;
        let (store, held) = (self.clone(), permit.clone());
        let lock = prepared.as_ref().map(PreparedChange::lock);
        self.write_with_files(&permit, lock, move |tx| {
            Box::pin(async move {
                let agent = insert(tx, id, &path, &persona.config).await?;
                store.files.registry.register_new(id, path);
                if let Some(prepared) = prepared {
                    match store.files.commit(&held, id, prepared).await {
                        Err(error) if !error.may_be_applied() => warn_without_id(id, &error),
                        committed => committed?,
                    }
                }
                Ok(agent)
            })
        })
        .await
    }

    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>> {
        let permit = self.begin_change().await?;
        let agent = self.living(id).await?;
        let from = self.registered_path(&agent);
        let to = AgentPath {
            name: change.name.clone().unwrap_or_else(|| from.name.clone()),
            group: change.group.clone().unwrap_or_else(|| from.group.clone()),
        };
        if to.name != from.name {
            self.require_free_name(&to.name, Some(id)).await?;
        }
        if to != from {
            self.refresh_snapshot(&agent).await?;
        }
        let picture = change.picture.clone().map(picture_file).transpose()?;
        let profile_pic = picture.as_ref().map(|(name, _)| name.clone());
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
        let prepared = self.files.prepare_edit(&permit, edit, apply).await?;
        let (store, held, lock) = (self.clone(), permit.clone(), prepared.lock());
        self.write_with_files(&permit, Some(lock), move |tx| {
            Box::pin(async move {
                lock_living(tx, id).await?;
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
        let agent = self.living(id).await?;
        self.refresh_snapshot(&agent).await?;
        let path = self.registered_path(&agent);
        let lock = self.files.lock_folder(&permit).await?;
        let (store, held, kept) = (self.clone(), permit.clone(), lock.clone());
        let deleted = self.write_with_files(&permit, Some(kept), move |tx| {
            Box::pin(async move {
                lock_living(tx, id).await?;
                mark_deleted(tx, id).await?;
                store.files.set_aside(&held, lock, path, id.0).await
            })
        });
        deleted.await?;
        // The permit is still held, so no other change can register the agent again before this
        // removal.
        self.files.registry.remove(id);
        Ok(())
    }
}
