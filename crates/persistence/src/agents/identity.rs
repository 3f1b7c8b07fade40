//! The implementation of the port `Agents`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Agent, AgentChange, AgentConfig, AgentId, AgentName, Agents, Error, NewAgent, Picture, Result,
};

use super::table::{
    find_all, find_living, find_named, insert, list_part_living, lock_living, mark_deleted,
    update_path,
};
use crate::{
    agent_files::{
        folder::NamedFile,
        path::AgentPath,
        prepare::{Edit, NewFiles},
    },
    memories,
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

#[async_trait]
impl Agents for SqlStore {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        find_living(&self.database.read(), id).await
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        find_all(&self.database.read(), ids).await
    }

    async fn find_named(&self, name: &AgentName) -> Result<Option<Arc<Agent>>> {
        find_named(&self.database.read(), name).await
    }

    async fn list(&self, after: Option<AgentId>, limit: usize) -> Result<Vec<Arc<Agent>>> {
        list_part_living(&self.database.read(), after, limit).await
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
                memories::delete_all_of(tx, id).await?;
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
