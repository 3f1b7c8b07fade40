//! Agents over HTTP.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    Agent, AgentChange, AgentConfig, AgentName, Error, GroupName, NewAgent, Picture, RecentEvent,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    bodies::{self, answer},
    error::{Answer, ApiError},
    extract::{Access, Body, Ids, Open, tell_source},
    images,
    openapi::{
        AdminRefusals, AgentRefusals, BodyRefusals, Message, OpenRefusals, Refusals, TakenRefusals,
    },
    rooms::{may_own_one_more, present},
    views, wire,
};
use crate::{prompt::parse_events, settings::Limits};

/// What can be written of an agent.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = AgentFieldsWritten)]
#[serde(default)]
pub(crate) struct Fields {
    name: Option<String>,
    #[schema(value_type = Option<String>)]
    #[serde(deserialize_with = "present")]
    group: Option<Option<String>>,
    /// A data URL of a PNG, JPEG, GIF or WebP picture.
    profile_pic: Option<String>,
    in_a_nutshell: Option<String>,
    characteristics: Option<String>,
    recent_events: Option<String>,
    is_critic: Option<bool>,
    interrupt_every_turn: Option<bool>,
    priority: Option<i32>,
    transparent: Option<bool>,
    /// For a new agent of files that are there; nothing else is read then.
    config_file: Option<String>,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct Memory {
    text: String,
}

/// Paths by name, relative to the agents' folder, fit for `config_file`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Configs {
    configs: BTreeMap<String, String>,
}

impl Fields {
    fn change(self, limits: &Limits) -> Answer<AgentChange> {
        let texts = [
            ("in_a_nutshell", &self.in_a_nutshell),
            ("characteristics", &self.characteristics),
            ("recent_events", &self.recent_events),
        ];
        for (name, text) in texts {
            if text
                .as_ref()
                .is_some_and(|text| text.chars().count() > limits.persona_chars)
            {
                return Err(ApiError::fields(format!(
                    "{name} has at most {} characters",
                    limits.persona_chars
                )));
            }
        }
        let group = self
            .group
            .map(|group| group.map(|group| GroupName::parse(&group)).transpose());
        Ok(AgentChange {
            name: self.name.as_deref().map(AgentName::parse).transpose()?,
            group: group.transpose()?,
            in_a_nutshell: self.in_a_nutshell,
            characteristics: self.characteristics,
            recent_events: self.recent_events.as_deref().map(parse_events),
            is_critic: self.is_critic,
            interrupt_every_turn: self.interrupt_every_turn,
            priority: self.priority,
            transparent: self.transparent,
            picture: self
                .profile_pic
                .as_deref()
                .map(|url| picture(url, limits))
                .transpose()?,
        })
    }
}

/// A picture from its data URL. What its bytes are decides, not what it claims to be.
fn picture(url: &str, limits: &Limits) -> Answer<Picture> {
    let refuse =
        || ApiError::fields("profile_pic is a data URL of a PNG, JPEG, GIF or WebP picture");
    let (_, data) = url
        .strip_prefix("data:")
        .and_then(|url| url.split_once(";base64,"))
        .ok_or_else(refuse)?;
    let bytes = STANDARD.decode(data).map_err(|_| refuse())?;
    let media_type = images::check(&bytes, limits.image_pixels)?.to_owned();
    Ok(Picture { media_type, bytes })
}

async fn shown(access: &Access, agent: Arc<Agent>) -> Answer {
    Ok(views::agent(access.ports(), agent).await?.into_response())
}

async fn living(access: &Access, ids: &Ids) -> Answer<Arc<Agent>> {
    access
        .ports()
        .agents
        .find(ids.agent()?)
        .await?
        .ok_or_else(|| ApiError::missing("agent"))
}

/// With a tag, by which it is not sent again.
#[utoipa::path(get, path = "/agents", tag = "agents", responses((status = 200, body = [wire::Agent]), (status = 304, description = "As the tag says"), Refusals))]
pub(crate) async fn list(access: Access, headers: HeaderMap) -> Response {
    tell_source(async {
        let agents = access.ports().agents.list().await?;
        Ok(views::agents(access.ports(), agents)
            .await?
            .tagged(&headers))
    })
    .await
}

#[utoipa::path(get, path = "/agents/{agent}", tag = "agents", params(("agent" = i64, Path, minimum = 1)), responses((status = 200, body = wire::Agent), Refusals, AgentRefusals))]
pub(crate) async fn get(access: Access, ids: Ids) -> Response {
    tell_source(async { shown(&access, living(&access, &ids).await?).await }).await
}

#[utoipa::path(post, path = "/agents", tag = "agents", request_body = Fields, responses((status = 200, body = wire::Agent), Refusals, AdminRefusals, AgentRefusals, BodyRefusals, TakenRefusals))]
pub(crate) async fn create(access: Access, Body(fields): Body<Fields>) -> Answer {
    access.admin()?;
    if let Some(path) = &fields.config_file {
        let agent = access.ports().agents.adopt(path).await?;
        return shown(&access, agent).await;
    }
    let change = fields.change(&access.app.limits)?;
    let mut config = AgentConfig::default();
    change.apply_to(&mut config);
    let name = change
        .name
        .ok_or_else(|| ApiError::fields("missing field `name`"))?;
    let new = NewAgent {
        name,
        group: change.group.flatten(),
        config,
        picture: change.picture,
    };
    let agent = access.ports().agents.create(new).await?;
    shown(&access, agent).await
}

/// Writes the YAML.
#[utoipa::path(patch, path = "/agents/{agent}", tag = "agents", params(("agent" = i64, Path, minimum = 1)), request_body = Fields, responses((status = 200, body = wire::Agent), Refusals, AdminRefusals, AgentRefusals, BodyRefusals, TakenRefusals))]
pub(crate) async fn update(access: Access, ids: Ids, Body(fields): Body<Fields>) -> Answer {
    access.admin()?;
    let agent = access
        .ports()
        .agents
        .update(ids.agent()?, fields.change(&access.app.limits)?)
        .await?;
    shown(&access, agent).await
}

/// Its folder is set aside, never erased.
#[utoipa::path(delete, path = "/agents/{agent}", tag = "agents", params(("agent" = i64, Path, minimum = 1)), responses((status = 200, body = Message), Refusals, AdminRefusals, AgentRefusals))]
pub(crate) async fn delete(access: Access, ids: Ids) -> Answer<Json<Message>> {
    access.admin()?;
    access.ports().agents.delete(ids.agent()?).await?;
    Ok(Json(Message {
        message: "agent deleted",
    }))
}

/// From its files; 400 when they are not valid, and the last good configuration stays.
#[utoipa::path(post, path = "/agents/{agent}/reload", tag = "agents", params(("agent" = i64, Path, minimum = 1)), responses((status = 200, body = wire::Agent), Refusals, AdminRefusals, AgentRefusals))]
pub(crate) async fn reload(access: Access, ids: Ids) -> Answer {
    access.admin()?;
    let agent = living(&access, &ids).await?;
    access
        .ports()
        .configs
        .reload(agent.id)
        .await
        .map_err(|error| match error {
            Error::Invalid(why) => ApiError::new(StatusCode::BAD_REQUEST, why),
            Error::Missing { .. } => {
                ApiError::new(StatusCode::BAD_REQUEST, "the agent's files are missing")
            }
            other => other.into(),
        })?;
    shown(&access, agent).await
}

/// Appends one recent event.
#[utoipa::path(post, path = "/agents/{agent}/memory", tag = "agents", params(("agent" = i64, Path, minimum = 1)), request_body = Memory, responses((status = 200, body = Message), Refusals, AdminRefusals, AgentRefusals, BodyRefusals))]
pub(crate) async fn append_memory(
    access: Access,
    ids: Ids,
    Body(memory): Body<Memory>,
) -> Answer<Json<Message>> {
    access.admin()?;
    if memory.text.trim().is_empty() {
        return Err(ApiError::fields("text must not be empty"));
    }
    if memory.text.chars().count() > access.app.limits.message_chars {
        return Err(ApiError::fields(format!(
            "text has at most {} characters",
            access.app.limits.message_chars
        )));
    }
    let event = RecentEvent {
        date: Some(chrono::Utc::now().date_naive()),
        text: memory.text.trim().to_owned(),
    };
    access
        .ports()
        .configs
        .append_memory(ids.agent()?, event)
        .await?;
    Ok(Json(Message {
        message: "memory appended",
    }))
}

/// What is on disk.
#[utoipa::path(get, path = "/agents/configs", tag = "agents", responses((status = 200, body = Configs), Refusals))]
pub(crate) async fn configs(access: Access) -> Answer<Json<Configs>> {
    let files = access.ports().configs.list().await?;
    Ok(Json(Configs {
        configs: files
            .into_iter()
            .map(|file| (file.name.to_string(), file.path))
            .collect(),
    }))
}

/// Gets or makes the room `Direct: NAME` of this caller.
#[utoipa::path(get, path = "/agents/{agent}/direct-room", tag = "agents", params(("agent" = i64, Path, minimum = 1)), responses((status = 200, body = wire::Room), Refusals, AdminRefusals, AgentRefusals))]
pub(crate) async fn direct_room(access: Access, ids: Ids) -> Answer {
    let agent = ids.agent()?;
    let room = if let Some(room) = access
        .ports()
        .rooms
        .find_direct(access.user(), agent)
        .await?
    {
        room
    } else {
        may_own_one_more(&access).await?;
        access
            .ports()
            .rooms
            .create_direct(access.user().clone(), agent)
            .await?
    };
    Ok(answer(views::room(&access, &room).await?.into()))
}

/// By name; the name of no living agent is no picture.
#[utoipa::path(get, path = "/agents/{agent}/profile-pic", tag = "agents", security(), params(("agent" = String, Path, description = "The agent's name")), responses((status = 200, content_type = "image/*", body = Vec<u8>), (status = 304, description = "As the tag says"), OpenRefusals, AgentRefusals))]
pub(crate) async fn profile_pic(open: Open, headers: HeaderMap, ids: Ids) -> Answer {
    let missing = || ApiError::missing("picture");
    let name = AgentName::parse(ids.agent_text()).map_err(|_| missing())?;
    let ports = &open.app.cache.repositories;
    let agents = ports.agents.list().await?;
    let agent = agents
        .iter()
        .find(|agent| agent.name == name)
        .ok_or_else(missing)?;
    let bytes = ports.configs.picture(agent.id).await?.ok_or_else(missing)?;
    let media_type = images::media_type(&bytes).ok_or_else(missing)?;
    let mut response = bodies::tagged(&headers, media_type, bytes.to_vec());
    // Whatever it claims to be elsewhere, it is no script.
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    Ok(response)
}
