//! The images that an answer contains.

use std::{collections::HashMap, sync::Arc};

use domain::{Image, Message, MessageId, Result, RoomId};

use super::{renderer::Renderer, size::bytes_of_all};
use crate::bounds::OutgoingPermit;

/// The size up to which an answer may grow by images, in bytes. An image beyond it is only named by
/// its address.
const MOST_BYTES: usize = 8 << 20;
/// The number of images that are read at once. An image has at most a few megabytes.
const AT_ONCE: usize = 4;

/// The images of an answer, and the permit to send them.
#[derive(Default)]
pub(super) struct Inline {
    images: HashMap<MessageId, Arc<Image>>,
    pub(super) permit: Option<OutgoingPermit>,
}

impl Inline {
    pub(super) fn get(&self, message: MessageId) -> Option<&Image> {
        self.images.get(&message).map(|image| &**image)
    }

    fn add(&mut self, message: MessageId, image: Arc<Image>, permit: OutgoingPermit) {
        match &mut self.permit {
            Some(all) => all.merge(permit),
            None => self.permit = Some(permit),
        }
        self.images.insert(message, image);
    }
}

impl Renderer<'_> {
    /// Returns the images that an answer with these messages contains: the newest ones, as long as
    /// the answer stays small, and as long as not too many images are being sent.
    pub(super) async fn inline(&self, room: RoomId, messages: &[Arc<Message>]) -> Result<Inline> {
        let mut inline = Inline::default();
        let Some(budget) = self.images else {
            return Ok(inline);
        };
        let with_image: Vec<_> = messages
            .iter()
            .rev()
            .filter(|message| message.image_media_type.is_some())
            .map(|message| message.id)
            .collect();
        if with_image.is_empty() {
            return Ok(inline);
        }
        let mut left = MOST_BYTES.saturating_sub(bytes_of_all(messages));
        for ids in with_image.chunks(AT_ONCE) {
            let found = self.ports.messages.images(room, ids).await?;
            for (message, image) in found.into_iter().rev() {
                let bytes = image.data.len();
                let permit = if bytes > left {
                    None
                } else {
                    budget.acquire(bytes).await
                };
                let Some(permit) = permit else {
                    return Ok(inline);
                };
                left -= bytes;
                inline.add(message, image, permit);
            }
        }
        Ok(inline)
    }
}
