//! Renders messages: one message, a list, and whole pages. Only whole pages are cached as arrays.

use std::sync::Arc;

use axum::body::Bytes;
use cache_adapter::AgentsLease;
use domain::{AgentId, Message, Page, RoomId};

use super::{
    super::render_error::RenderResult,
    agent_set::{AgentSet, distinct},
    images::Inline,
    json::Json,
    message::{AuthorText, MessageText},
    renderer::Renderer,
    size::{Kept, bytes_of_all, fitting, permit, shared_permit},
};
use crate::{
    bounds::{OutgoingPermit, hold},
    render_cache::{Key, Sources, WeakPage},
};

/// The text of the empty page, which nearly every poll returns.
pub(crate) const EMPTY_PAGE: Bytes = Bytes::from_static(b"[]");

impl Renderer<'_> {
    /// Returns a page as a JSON array. All readers of a page share its text until one of its
    /// authors changes.
    ///
    /// A page with images has the newest of them, and is rendered for each reader. So is a page
    /// with more text than fits; it lacks messages at the end that `kept` does not name.
    pub(crate) async fn page(&self, room: RoomId, page: &Page, kept: Kept) -> RenderResult<Bytes> {
        let Some(key) = Key::page(room, page) else {
            return Ok(EMPTY_PAGE);
        };
        if let Some(text) = self.cached_page(&key, page) {
            let permit = shared_permit(self.texts, text.len()).await?;
            return Ok(hold(text, permit));
        }
        let messages = fitting(page, kept);
        if messages.len() < page.len() {
            let (text, permit) = self.messages(room, messages).await?;
            return Ok(hold(text.into_bytes(), permit));
        }
        let authors = author_ids(page);
        // Taken before the authors are read, so that a change in between invalidates the lease.
        let lease = self.lease_agents(&authors);
        let authors = AgentSet::read(self.ports, &authors).await?;
        let (text, permit) = self.render_page(key, room, page, &authors, lease).await?;
        Ok(hold(text, permit))
    }

    pub(super) fn cached_page(&self, key: &Key, page: &Page) -> Option<Bytes> {
        let caches = self.caches.as_ref()?;
        caches.texts.get(key, |sources| {
            matches!(sources, Sources::Page(source, lease)
                if source.is(page) && caches.entities.holds_agents(lease))
        })
    }

    /// Returns a lease on these agents and their personas; `None` if one of them is not in memory,
    /// or if the request bypasses the cache.
    pub(super) fn lease_agents(&self, ids: &[AgentId]) -> Option<AgentsLease> {
        self.caches.as_ref()?.entities.lease_agents(ids)
    }

    /// Renders a page, and caches the text together with the lease. Without a lease, or if the page
    /// has images, the text is not cached.
    ///
    /// `agents` must contain at least the page's authors, and must have been read after the lease
    /// was taken.
    pub(super) async fn render_page(
        &self,
        key: Key,
        room: RoomId,
        page: &Page,
        agents: &AgentSet,
        lease: Option<AgentsLease>,
    ) -> RenderResult<(Bytes, Option<OutgoingPermit>)> {
        // Before the text is in memory.
        let permit = permit(self.texts, bytes_of_all(page)).await?;
        let images = self.inline(room, page).await?;
        let text = Bytes::from(self.joined_messages(page, agents, &images));
        if let (Some(caches), Some(lease)) = (&self.caches, lease)
            && !has_images(page)
        {
            let sources = Sources::Page(WeakPage::new(page), lease);
            caches.texts.insert(key, sources, text.clone());
        }
        Ok((text, OutgoingPermit::join(permit, images.permit)))
    }

    /// Returns messages as a JSON array, with the names of their authors and their images, and the
    /// permit to send them.
    ///
    /// Caches neither the array nor its messages. Long histories are rarely read, and would evict
    /// texts that are read often.
    pub(crate) async fn messages(
        &self,
        room: RoomId,
        messages: &[Arc<Message>],
    ) -> RenderResult<(Json, Option<OutgoingPermit>)> {
        let permit = permit(self.texts, bytes_of_all(messages)).await?;
        let uncached = Self {
            caches: None,
            ..*self
        };
        let authors = AgentSet::read(self.ports, &author_ids(messages)).await?;
        let images = self.inline(room, messages).await?;
        let text = uncached.joined_messages(messages, &authors, &images);
        Ok((text, OutgoingPermit::join(permit, images.permit)))
    }

    /// Returns each message as JSON, with the same fields as in [`Renderer::messages`], and the
    /// permit to send them.
    pub(crate) async fn each_message(
        &self,
        room: RoomId,
        messages: &[Arc<Message>],
    ) -> RenderResult<(Vec<Json>, Option<OutgoingPermit>)> {
        let permit = permit(self.texts, bytes_of_all(messages)).await?;
        let authors = AgentSet::read(self.ports, &author_ids(messages)).await?;
        let images = self.inline(room, messages).await?;
        let texts = messages.iter().map(|message| {
            let author = authors
                .iter()
                .find(|(author, _)| Some(author.id) == message.author);
            let author = author.map(|(author, persona)| AuthorText::new(author, persona));
            let mut text = Vec::new();
            MessageText::new(self, message, author.as_ref(), images.get(message.id))
                .write(&mut text);
            Json::from_text(text)
        });
        let texts = texts.collect();
        Ok((texts, OutgoingPermit::join(permit, images.permit)))
    }

    fn joined_messages(
        &self,
        messages: &[Arc<Message>],
        agents: &AgentSet,
        images: &Inline,
    ) -> Json {
        let authors: Vec<_> = agents
            .iter()
            .map(|(author, persona)| (author.id, AuthorText::new(author, persona)))
            .collect();
        let texts: Vec<_> = messages
            .iter()
            .map(|message| {
                let author = authors.iter().find(|(id, _)| Some(*id) == message.author);
                let author = author.map(|(_, text)| text);
                MessageText::new(self, message, author, images.get(message.id))
            })
            .collect();
        let bytes = texts.iter().map(MessageText::bytes).sum();
        Json::array(texts, bytes, |message, text| message.write(text))
    }
}

/// Returns `true` if any message has an image. The text of such messages must not be cached.
pub(super) fn has_images(messages: &[Arc<Message>]) -> bool {
    messages
        .iter()
        .any(|message| message.image_media_type.is_some())
}

/// Returns the ids of the authors in ascending order, each once.
pub(super) fn author_ids(messages: &[Arc<Message>]) -> Vec<AgentId> {
    distinct(messages.iter().filter_map(|message| message.author))
}
