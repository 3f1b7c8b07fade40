//! Renders a room with its agents and newest messages. The text is cached for each user.

use std::sync::Arc;

use axum::body::Bytes;
use domain::{Activity, Page, Room, Timestamp, UserId};

use super::{
    super::{render_error::RenderResult, wire::RoomFields},
    agent_set::{AgentSet, distinct},
    json::{Json, open_object},
    page::{EMPTY_PAGE, author_ids, has_images},
    renderer::Renderer,
    size::{Kept, fitting, permit, shared_permit},
};
use crate::{
    bounds::hold,
    render_cache::{Changing, Key, RoomSources, Sources, WeakPage, is_same},
};

/// The maximum number of messages in a room's JSON. It is part of the HTTP interface, so it is not
/// a setting.
const SHOWN_MESSAGES: usize = 200;

impl Renderer<'_> {
    /// Returns a room's JSON as `user` sees it. The user's requests share the text until one of the
    /// values in it changes.
    pub(crate) async fn room(&self, room: &Arc<Room>, user: &UserId) -> RenderResult<Bytes> {
        let (ports, id) = (self.ports, room.id);
        let newest = ports.messages.recent(id, None, SHOWN_MESSAGES).await?;
        let activity = ports.rooms.activity(id).await?.unwrap_or_default();
        let key = Key::Room(id, user.clone());
        if let Some(text) = self.cached_room(&key, room, &newest, &activity) {
            let permit = shared_permit(self.texts, text.len()).await?;
            return Ok(hold(text, permit));
        }
        let shown = fitting(&newest, Kept::Newest);
        let is_whole = shown.len() == newest.len();

        // Each lease is taken before its values are read, so that a change in between invalidates
        // the lease.
        let entities = self.caches.as_ref().map(|caches| caches.entities);
        let members_lease = entities.and_then(|cache| cache.lease_room(id, user));
        let position = ports.read_positions.find(user, id).await?;
        let members = ports.rooms.members(id).await?;
        let sessions = ports.sessions.list(id).await?;
        let member_ids = members.iter().map(|member| member.agent);
        let ids = distinct(author_ids(&newest).into_iter().chain(member_ids));
        let agents_lease = self.lease_agents(&ids);
        let agents = AgentSet::read(ports, &ids).await?;

        let (messages, permit) = match Key::page(id, &newest) {
            None => (EMPTY_PAGE, None),
            Some(_) if !is_whole => {
                let (text, permit) = self.messages(id, shown).await?;
                (text.into(), permit)
            }
            Some(key) => match self.cached_page(&key, &newest) {
                Some(text) => {
                    let permit = permit(self.texts, text.len()).await?;
                    (text, permit)
                }
                None => {
                    self.render_page(key, id, &newest, &agents, agents_lease.clone())
                        .await?
                }
            },
        };
        let last_read_at = position.map(|position| position.read_at);
        let fields = self.room_fields(room, &activity, last_read_at);
        let members = self.joined_members(&members, &sessions, &agents);
        let text = join(&fields, &members.into_bytes(), &messages);
        if let (Some(caches), Some(members), Some(agents)) =
            (&self.caches, members_lease, agents_lease)
            && is_whole
            && !has_images(&newest)
        {
            let sources = RoomSources {
                room: Arc::downgrade(room),
                newest: WeakPage::new(&newest),
                activity,
                members,
                agents,
            };
            let sources = Sources::Room(Box::new(sources));
            caches.texts.insert(key, sources, text.clone());
        }
        Ok(hold(text, permit))
    }

    fn cached_room(
        &self,
        key: &Key,
        room: &Arc<Room>,
        newest: &Page,
        activity: &Activity,
    ) -> Option<Bytes> {
        let caches = self.caches.as_ref()?;
        caches.texts.get(key, |sources| {
            let Sources::Room(sources) = sources else {
                return false;
            };
            is_same(&sources.room, room)
                && sources.newest.is(newest)
                && *sources.activity == *activity
                && caches.entities.holds_room(&sources.members)
                && caches.entities.holds_agents(&sources.agents)
        })
    }

    /// Returns a room's fields without its agents and messages, as an object without its closing
    /// brace.
    pub(super) fn room_fields(
        &self,
        room: &Arc<Room>,
        activity: &Activity,
        last_read_at: Option<Timestamp>,
    ) -> Bytes {
        let changing = Changing {
            is_finished: room.is_finished(activity),
            last_activity_at: activity.last_activity_at,
            last_read_at,
        };
        let is_current = |sources: &Sources| {
            matches!(sources, Sources::RoomFields(source, values)
                if is_same(source, room) && *values == changing)
        };
        self.part(
            Key::RoomFields(room.id),
            is_current,
            || Sources::RoomFields(Arc::downgrade(room), changing.clone()),
            || open_object(&RoomFields::new(room, activity, last_read_at)),
        )
    }
}

fn join(fields: &[u8], members: &[u8], messages: &[u8]) -> Bytes {
    let pieces = [
        fields,
        b",\"agents\":",
        members,
        b",\"messages\":",
        messages,
        b"}",
    ];
    Json::from_text(pieces.concat()).into()
}
