//! Renders a message together with its author's name and picture and its image.

use std::sync::Arc;

use axum::body::Bytes;
use domain::{Agent, AgentConfig, Image, Message};
use serde::Serialize;

use super::{
    super::wire::MessageFields,
    json::{open_object, write},
    renderer::Renderer,
};
use crate::render_cache::{Key, Sources, is_same};

/// The end of every message without an image.
const NO_IMAGE: &[u8] = b",\"image_data\":null}";

/// The end of a message without an author and without an image.
const NO_AUTHOR: &[u8] = b",\"agent_name\":null,\"agent_profile_pic\":null,\"image_data\":null}";

/// The text with which each message of one author ends if it has no image.
pub(super) struct AuthorText(Vec<u8>);

impl AuthorText {
    /// Renders the fields of an author. A deleted author keeps its name but has no persona, and so
    /// no picture.
    pub(super) fn new(author: &Agent, persona: Option<&Arc<AgentConfig>>) -> Self {
        #[derive(Serialize)]
        struct Fields<'a> {
            agent_name: &'a str,
            agent_profile_pic: Option<&'a str>,
        }
        let mut text = open_object(&Fields {
            agent_name: author.name.as_str(),
            agent_profile_pic: persona.and_then(|persona| persona.profile_pic.as_deref()),
        });
        // The fields continue an open object, so a comma replaces the brace.
        text[0] = b',';
        text.extend_from_slice(NO_IMAGE);
        Self(text)
    }
}

/// The JSON text of a message, in pieces.
pub(super) struct MessageText<'a> {
    own: Bytes,
    author: &'a [u8],
    image: Option<&'a Image>,
}

impl<'a> MessageText<'a> {
    pub(super) fn new(
        renderer: &Renderer<'_>,
        message: &Arc<Message>,
        author: Option<&'a AuthorText>,
        image: Option<&'a Image>,
    ) -> Self {
        let own = renderer.part(
            Key::Message(message.id),
            |sources| matches!(sources, Sources::Message(source) if is_same(source, message)),
            || Sources::Message(Arc::downgrade(message)),
            || open_object(&MessageFields::new(message)),
        );
        Self {
            own,
            author: author.map_or(NO_AUTHOR, |AuthorText(text)| text),
            image,
        }
    }

    /// Returns the length in bytes, including a comma before the text.
    pub(super) fn bytes(&self) -> usize {
        // Base64 needs no escapes. Its quotes take less than the `null` that the image replaces.
        let image = self.image.map_or(0, |image| image.data.len());
        1 + self.own.len() + self.author.len() + image
    }

    pub(super) fn write(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(&self.own);
        let Some(image) = self.image else {
            return text.extend_from_slice(self.author);
        };
        text.extend_from_slice(&self.author[..self.author.len() - b"null}".len()]);
        write(text, &image.data);
        text.push(b'}');
    }
}
