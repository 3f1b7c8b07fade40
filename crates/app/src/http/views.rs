//! Joins: what the wire shows together, read key by key from memory.

use std::{collections::HashMap, sync::Arc};

use domain::{Agent, AgentId, Image, Message, MessageId, Repositories, Room, RoomId, Seq, UserId};

use super::{
    bodies::{Json, MessageParts, Signature, signature, write_agent},
    error::{Answer, ApiError},
    wire::{RoomFields, RoomSummary},
};

/// Messages that a room shows with itself.
const SHOWN: usize = 200;

/// The agents with their personas; one without a persona is gone.
pub(crate) async fn agents(ports: &Repositories, agents: &[Arc<Agent>], room: Option<RoomId>) -> Answer<Json> {
    let ids: Vec<_> = agents.iter().map(|agent| agent.id).collect();
    let configs: HashMap<_, _> = ports.configs.find_many(&ids).await?.into_iter().collect();
    let sessions = match room {
        Some(room) => ports.sessions.list(room).await?,
        None => [].into(),
    };
    let session = |agent: AgentId| sessions.iter().find(|session| session.agent == agent).map(|session| session.session_id.as_str());
    let shown = agents.iter().filter_map(|agent| Some((agent, configs.get(&agent.id)?)));
    Ok(Json::array(shown, 0, |(agent, config), text| write_agent(agent, config, session(agent.id), text)))
}

/// One agent.
pub(crate) async fn agent(ports: &Repositories, agent: Arc<Agent>) -> Answer<Json> {
    let shown = agents(ports, &[agent], None).await?.items();
    if shown.as_bytes().is_empty() { Err(ApiError::missing("agent")) } else { Ok(shown) }
}

/// The living agents of a room, by the time of joining.
pub(crate) async fn members(ports: &Repositories, room: RoomId) -> Answer<Json> {
    let members = ports.rooms.members(room).await?;
    let ids: Vec<_> = members.iter().map(|member| member.agent).collect();
    let found: HashMap<_, _> = ports.agents.find_many(&ids).await?.into_iter().map(|agent| (agent.id, agent)).collect();
    let living: Vec<_> = ids.iter().filter_map(|id| found.get(id).filter(|agent| agent.is_living()).cloned()).collect();
    agents(ports, &living, Some(room)).await
}

/// What messages are shown with.
struct Joined {
    authors: Vec<(AgentId, Signature)>,
    images: Vec<(MessageId, Arc<Image>)>,
}

impl Joined {
    async fn read(ports: &Repositories, room: RoomId, messages: &[Arc<Message>]) -> Answer<Self> {
        let mut ids: Vec<_> = messages.iter().filter_map(|message| message.author).collect();
        ids.sort_unstable();
        ids.dedup();
        let authors = if ids.is_empty() {
            Vec::new()
        } else {
            let personas = ports.configs.find_many(&ids).await?;
            let persona = |id| personas.iter().find(|(of, _)| *of == id).map(|(_, persona)| persona);
            let agents = ports.agents.find_many(&ids).await?;
            agents.iter().map(|agent| (agent.id, signature(agent, persona(agent.id)))).collect()
        };
        let with_image: Vec<_> = messages.iter().filter(|message| message.image_media_type.is_some()).map(|message| message.id).collect();
        let images = if with_image.is_empty() { Vec::new() } else { ports.messages.images(room, &with_image).await? };
        Ok(Self { authors, images })
    }

    /// A message's parts on the wire.
    fn parts<'a>(&'a self, message: &'a Message) -> MessageParts<'a> {
        let author = self.authors.iter().find(|(id, _)| Some(*id) == message.author).map(|(_, signature)| signature);
        let image = self.images.iter().find(|(id, _)| *id == message.id).map(|(_, image)| &**image);
        MessageParts::new(message, author, image)
    }

    /// All messages' parts, and how many bytes they are with a comma before each.
    fn all<'a>(&'a self, messages: &'a [Arc<Message>]) -> (Vec<MessageParts<'a>>, usize) {
        let shown: Vec<_> = messages.iter().map(|message| self.parts(message)).collect();
        let bytes = shown.iter().map(MessageParts::bytes).sum();
        (shown, bytes)
    }
}

/// Messages with their authors' names, which deleted authors keep, and their images.
pub(crate) async fn messages(ports: &Repositories, room: RoomId, messages: &[Arc<Message>]) -> Answer<Json> {
    let joined = Joined::read(ports, room, messages).await?;
    let (shown, bytes) = joined.all(messages);
    Ok(Json::array(shown, bytes, |parts, text| parts.write(text)))
}

async fn fields(ports: &Repositories, user: &UserId, room: &Room) -> Answer<RoomFields> {
    let activity = ports.rooms.activity(room.id).await?.unwrap_or_default();
    let position = ports.reads.find(user, room.id).await?;
    Ok(RoomFields::new(room, &activity, position.map(|position| position.read_at)))
}

/// A room with its agents and its newest messages.
pub(crate) async fn room(ports: &Repositories, user: &UserId, room: &Room) -> Answer<Json> {
    let newest = ports.messages.recent(room.id, None, SHOWN).await?;
    let fields = Json::of(&fields(ports, user, room).await?);
    let agents = members(ports, room.id).await?;
    let joined = Joined::read(ports, room.id, &newest).await?;
    let (shown, bytes) = joined.all(&newest);
    Ok(fields.with("agents", &agents).with_array("messages", shown, bytes, |parts, text| parts.write(text)))
}

/// The rooms as the caller sees them: unread first, then by latest activity.
pub(crate) async fn summaries(ports: &Repositories, user: &UserId) -> Answer<Vec<RoomSummary>> {
    let rooms = if *user == UserId::admin() { ports.rooms.list().await? } else { ports.rooms.list_by_owner(user).await? };
    let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
    let activities: HashMap<_, _> = ports.rooms.activities(&ids).await?.into_iter().collect();
    let positions: HashMap<_, _> = ports.reads.find_many(user, &ids).await?.into_iter().map(|position| (position.room, position)).collect();
    let mut summaries: Vec<_> = rooms
        .iter()
        .map(|room| {
            let activity = activities.get(&room.id).map(|activity| (**activity).clone()).unwrap_or_default();
            let position = positions.get(&room.id);
            let has_unread = activity.last_message_seq > position.map_or(Seq(0), |position| position.read_seq);
            let summary = RoomSummary { fields: RoomFields::new(room, &activity, position.map(|position| position.read_at)), has_unread };
            (has_unread, activity.last_activity_at.unwrap_or(room.created_at), room.id, summary)
        })
        .collect();
    summaries.sort_by_key(|(has_unread, at, id, _)| std::cmp::Reverse((*has_unread, *at, *id)));
    Ok(summaries.into_iter().map(|(.., summary)| summary).collect())
}
