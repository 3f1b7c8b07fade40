//! The body of a request that creates or changes an agent.

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{AgentChange, AgentConfig, AgentName, GroupName, NewAgent, Picture};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    body::{RequestBody, present},
    error::{ApiError, ApiResult},
    images,
};
use crate::{prompt::parse_events, settings::Limits, state::App};

/// The writable fields of an agent; an absent one keeps its value.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = AgentFieldsWritten)]
#[serde(default)]
pub(crate) struct AgentBody {
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
    /// Creates the agent from files that are on disk already. The other fields are then ignored.
    pub(crate) config_file: Option<String>,
}

impl RequestBody for AgentBody {
    /// A persona and a picture may be long.
    fn max_bytes(app: &App) -> usize {
        app.max_body_bytes
    }
}

impl AgentBody {
    /// Converts the fields to a new agent. Fails without a name.
    pub(crate) fn into_new(self, limits: &Limits) -> ApiResult<NewAgent> {
        let change = self.into_change(limits)?;
        let mut config = AgentConfig::default();
        change.apply_to(&mut config);
        let name = change
            .name
            .ok_or_else(|| ApiError::field("name", "missing field `name`"))?;
        Ok(NewAgent {
            name,
            group: change.group.flatten(),
            config,
            picture: change.picture,
        })
    }

    /// Converts the fields to a change of an agent.
    pub(crate) fn into_change(self, limits: &Limits) -> ApiResult<AgentChange> {
        let texts = [
            ("in_a_nutshell", &self.in_a_nutshell),
            ("characteristics", &self.characteristics),
            ("recent_events", &self.recent_events),
        ];
        let most = limits.persona_chars;
        for (field, text) in texts {
            let is_too_long = |text: &String| text.chars().count() > most;
            if text.as_ref().is_some_and(is_too_long) {
                let detail = format!("`{field}` must have at most {most} characters");
                return Err(ApiError::field(field, detail));
            }
        }
        let name = self.name.as_deref().map(AgentName::parse).transpose();
        let parse_group = |group: String| {
            GroupName::parse(&group).map_err(|error| ApiError::from(error).in_field("group"))
        };
        let group = self.group.map(|group| group.map(parse_group).transpose());
        let picture = self.profile_pic.map(|url| parse_picture(&url, limits));
        Ok(AgentChange {
            name: name.map_err(|error| ApiError::from(error).in_field("name"))?,
            group: group.transpose()?,
            in_a_nutshell: self.in_a_nutshell,
            characteristics: self.characteristics,
            recent_events: self.recent_events.as_deref().map(parse_events),
            is_critic: self.is_critic,
            interrupt_every_turn: self.interrupt_every_turn,
            priority: self.priority,
            transparent: self.transparent,
            picture: picture.transpose()?,
        })
    }
}

/// Decodes a picture from a data URL. The picture's type is recognised from its bytes; the type in
/// the URL is ignored.
fn parse_picture(url: &str, limits: &Limits) -> ApiResult<Picture> {
    let refuse = || {
        ApiError::field(
            "profile_pic",
            "`profile_pic` must be a data URL of a PNG, JPEG, GIF or WebP picture",
        )
    };
    let (_, data) = url
        .strip_prefix("data:")
        .and_then(|url| url.split_once(";base64,"))
        .ok_or_else(refuse)?;
    let bytes = STANDARD.decode(data).map_err(|_| refuse())?;
    let media_type = images::check(&bytes, limits.image_pixels);
    let media_type = media_type
        .map_err(|error| error.in_field("profile_pic"))?
        .to_owned();
    Ok(Picture { media_type, bytes })
}
