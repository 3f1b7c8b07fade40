//! Joins: what the wire shows together, read key by key from memory.

use std::{collections::HashMap, sync::Arc};

use axum::body::Bytes;
use cache_adapter::AgentsLease;
use domain::{
    Agent, AgentId, Image, Made, Member, Message, MessageId, Page, Repositories, Room, RoomId, Seq,
    Session, UserId,
};

use super::{
    bodies::Json,
    error::{Answer, ApiError},
    extract::Access,
    made::{self, MessageParts, OfPage, Shown, write_agent},
    people::{People, distinct},
};

/// Messages that a room shows with itself.
const SHOWN: usize = 200;

/// The end of a room in a list, at its longest, and a comma.
const UNREAD: &str = ",\"has_unread\":false},";

/// All these agents; one without a persona is gone.
pub(crate) async fn agents(ports: &Repositories, agents: Vec<Arc<Agent>>) -> Answer<Json> {
    let people = People::of(ports, agents).await?;
    Ok(Json::array(
        people.all_living(),
        0,
        |(agent, config), text| write_agent(agent, config, None, text),
    ))
}

/// One agent.
pub(crate) async fn agent(ports: &Repositories, agent: Arc<Agent>) -> Answer<Json> {
    let shown = agents(ports, vec![agent]).await?.items();
    if shown.as_bytes().is_empty() {
        Err(ApiError::missing("agent"))
    } else {
        Ok(shown)
    }
}

/// The living agents of a room, by the time of joining.
pub(crate) async fn members(ports: &Repositories, room: RoomId) -> Answer<Json> {
    let members = ports.rooms.members(room).await?;
    let sessions = ports.sessions.list(room).await?;
    let people = People::read(ports, &distinct(members.iter().map(|member| member.agent))).await?;
    Ok(living(&members, &sessions, &people))
}

fn living(members: &[Member], sessions: &[Session], people: &People) -> Json {
    let session = |agent: AgentId| {
        sessions
            .iter()
            .find(|session| session.agent == agent)
            .map(|session| session.session_id.as_str())
    };
    let living = members
        .iter()
        .filter_map(|member| people.living(member.agent));
    Json::array(living, 0, |(agent, config), text| {
        write_agent(agent, config, session(agent.id), text);
    })
}

async fn images(
    ports: &Repositories,
    room: RoomId,
    messages: &[Arc<Message>],
) -> Answer<Vec<(MessageId, Arc<Image>)>> {
    let with_image: Vec<_> = messages
        .iter()
        .filter(|message| message.image_media_type.is_some())
        .map(|message| message.id)
        .collect();
    if with_image.is_empty() {
        Ok(Vec::new())
    } else {
        Ok(ports.messages.images(room, &with_image).await?)
    }
}

fn joined(messages: &[Arc<Message>], people: &People, images: &[(MessageId, Arc<Image>)]) -> Json {
    let signatures = people.signatures();
    let parts = messages.iter().map(|message| {
        let author = signatures
            .iter()
            .find(|(id, _)| Some(*id) == message.author)
            .map(|(_, signature)| signature);
        let image = images
            .iter()
            .find(|(id, _)| *id == message.id)
            .map(|(_, image)| &**image);
        MessageParts::new(message, author, image)
    });
    let shown: Vec<_> = parts.collect();
    let bytes = shown.iter().map(MessageParts::bytes).sum();
    Json::array(shown, bytes, |parts, text| parts.write(text))
}

/// Messages with their authors' names, which deleted authors keep, and their images.
pub(crate) async fn messages(
    ports: &Repositories,
    room: RoomId,
    messages: &[Arc<Message>],
) -> Answer<Json> {
    let people = People::read(
        ports,
        &distinct(messages.iter().filter_map(|message| message.author)),
    )
    .await?;
    Ok(joined(
        messages,
        &people,
        &images(ports, room, messages).await?,
    ))
}

/// The same of a page, made once for all who share it, until an author is another.
pub(crate) async fn page(access: &Access, room: RoomId, page: &Page) -> Answer<Bytes> {
    let (ports, cache) = (access.ports(), access.cache());
    let Some(made) = of_page(page) else {
        return Ok(EMPTY);
    };
    if let Some(text) = cache.and_then(|cache| made.text(cache)) {
        return Ok(text);
    }
    let lease = cache.and_then(|cache| cache.lease_agents(&made.authors));
    let people = People::read(ports, &made.authors).await?;
    page_by(ports, room, page, &made, &people, lease).await
}

const EMPTY: Bytes = Bytes::from_static(b"[]");

/// What is made of a page that is not empty.
fn of_page(page: &Page) -> Option<Made<'_, OfPage>> {
    page.memo()
        .map(|memo| memo.get_or_make(|| OfPage::new(page)))
}

/// `people` are at least the authors, read under the lease.
async fn page_by(
    ports: &Repositories,
    room: RoomId,
    page: &Page,
    made: &OfPage,
    people: &People,
    lease: Option<AgentsLease>,
) -> Answer<Bytes> {
    if let Some(text) = made.text_by(people) {
        made.keep(people, lease, text.clone());
        return Ok(text);
    }
    let images = images(ports, room, page).await?;
    let text = Bytes::from(joined(page, people, &images));
    // Images have a region of their own, which bounds how many are in memory.
    if images.is_empty() {
        made.keep(people, lease, text.clone());
    }
    Ok(text)
}

/// A room with its agents and its newest messages, made once for a caller until any of it is another.
pub(crate) async fn room(access: &Access, room: &Arc<Room>) -> Answer<Bytes> {
    let (ports, cache, user, id) = (access.ports(), access.cache(), access.user(), room.id);
    let newest = ports.messages.recent(id, None, SHOWN).await?;
    let activity = ports.rooms.activity(id).await?.unwrap_or_default();
    let made = of_page(&newest);
    if let (Some(made), Some(cache)) = (&made, cache)
        && let Some(text) = made.room(room, &activity, user, cache)
    {
        return Ok(text);
    }
    let of_room = cache.and_then(|cache| cache.lease_room(id, user));
    let position = ports.read_positions.find(user, id).await?;
    let members = ports.rooms.members(id).await?;
    let sessions = ports.sessions.list(id).await?;
    let authors = made.iter().flat_map(|made| &made.authors).copied();
    let ids = distinct(authors.chain(members.iter().map(|member| member.agent)));
    let of_agents = cache.and_then(|cache| cache.lease_agents(&ids));
    let people = People::read(ports, &ids).await?;
    let own = made::room(room, &activity, position.map(|position| position.read_at));
    let members = Bytes::from(living(&members, &sessions, &people));
    let Some(made) = made else {
        return Ok(made::join(&own, &members, &EMPTY).0);
    };
    let messages = page_by(ports, id, &newest, &made, &people, of_agents).await?;
    let (text, at) = made::join(&own, &members, &messages);
    if let (Some(members), Some(agents), Some(share)) =
        (of_room, of_agents, access.share(text.len() - at.len()))
    {
        let shown = Shown {
            room: room.clone(),
            activity,
            user: user.clone(),
            members,
            agents,
            share,
        };
        made.keep_room(shown, &text, &messages, at);
    }
    Ok(text)
}

/// The rooms as the caller sees them: unread first, then by latest activity.
pub(crate) async fn summaries(ports: &Repositories, user: &UserId) -> Answer<Json> {
    let rooms = if *user == UserId::admin() {
        ports.rooms.list().await?
    } else {
        ports.rooms.list_by_owner(user).await?
    };
    let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
    let activities: HashMap<_, _> = ports.rooms.activities(&ids).await?.into_iter().collect();
    let positions: HashMap<_, _> = ports
        .read_positions
        .find_many(user, &ids)
        .await?
        .into_iter()
        .map(|position| (position.room, position))
        .collect();
    let mut summaries: Vec<_> = rooms
        .iter()
        .map(|room| {
            let activity = activities.get(&room.id).cloned().unwrap_or_default();
            let position = positions.get(&room.id);
            let has_unread =
                activity.last_message_seq > position.map_or(Seq(0), |position| position.read_seq);
            let own = made::room(room, &activity, position.map(|position| position.read_at));
            (
                has_unread,
                activity.last_activity_at.unwrap_or(room.created_at),
                room.id,
                own,
            )
        })
        .collect();
    summaries.sort_by_key(|(has_unread, at, id, _)| std::cmp::Reverse((*has_unread, *at, *id)));
    let bytes = summaries
        .iter()
        .map(|(.., own)| own.as_bytes().len() + UNREAD.len())
        .sum();
    Ok(Json::array(
        summaries,
        bytes,
        |(has_unread, .., own), text| {
            text.extend_from_slice(own.as_bytes());
            text.extend_from_slice(if has_unread {
                b",\"has_unread\":true}"
            } else {
                b",\"has_unread\":false}"
            });
        },
    ))
}
