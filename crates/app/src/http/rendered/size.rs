//! The sizes of texts in answers. Messages may be long, so the number of messages alone does not
//! bound an answer.

use std::sync::Arc;

use domain::Message;

use super::super::render_error::{RenderError, RenderResult};
use crate::bounds::{OutgoingPermit, SenderBytes};

/// The size of all messages in one answer, in bytes, without images. Longer answers have fewer
/// messages.
const MOST_BYTES: usize = 512 << 10;
/// The size from which a text needs a permit to be sent, in bytes. Most texts are shorter.
const LONG_BYTES: usize = 64 * 1_024;
/// The size of a message in JSON without its texts, in bytes.
const MESSAGE_BYTES: usize = 512;

/// The messages that an answer keeps if not all fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Oldest,
    Newest,
}

/// Returns the messages that fit into one answer, at least one.
pub(crate) fn fitting(messages: &[Arc<Message>], kept: Kept) -> &[Arc<Message>] {
    let mut bytes = 0;
    let fits = |message: &&Arc<Message>| {
        let is_first = bytes == 0;
        bytes += bytes_of(message);
        is_first || bytes <= MOST_BYTES
    };
    match kept {
        Kept::Oldest => &messages[..messages.iter().take_while(fits).count()],
        Kept::Newest => {
            let count = messages.iter().rev().take_while(fits).count();
            &messages[messages.len() - count..]
        }
    }
}

/// Returns the size of these messages in JSON without images, or somewhat more.
pub(super) fn bytes_of_all(messages: &[Arc<Message>]) -> usize {
    messages.iter().map(|message| bytes_of(message)).sum()
}

fn bytes_of(message: &Message) -> usize {
    let thinking = message.thinking.as_deref().unwrap_or_default();
    MESSAGE_BYTES + escaped(&message.content) + escaped(thinking)
}

/// Returns the length of a text in JSON. A control character becomes six bytes.
fn escaped(text: &str) -> usize {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 1,
        0..0x20 => 5,
        _ => 0,
    });
    text.len() + escaped.sum::<usize>()
}

/// Waits for the permit to send a text of this size. Returns `None` for a short one, which needs no
/// permit.
pub(super) async fn permit(
    sender: SenderBytes<'_>,
    bytes: usize,
) -> RenderResult<Option<OutgoingPermit>> {
    // The members' personas may make a text longer than all that the sender can get.
    let acquired = sender.acquire(bytes.min(sender.most()));
    if_long(bytes, acquired).await
}

/// Waits for the permit to send a cached text, which other readers share, as [`permit`] does.
pub(super) async fn shared_permit(
    sender: SenderBytes<'_>,
    bytes: usize,
) -> RenderResult<Option<OutgoingPermit>> {
    let acquired = sender.acquire_shared(bytes.min(sender.most()));
    if_long(bytes, acquired).await
}

async fn if_long(
    bytes: usize,
    acquired: impl Future<Output = Option<OutgoingPermit>>,
) -> RenderResult<Option<OutgoingPermit>> {
    if bytes < LONG_BYTES {
        return Ok(None);
    }
    acquired.await.map(Some).ok_or(RenderError::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bounds::Bounds, settings::Limits, test_message::message};

    #[test]
    fn an_answer_of_long_messages_has_fewer_of_them() {
        let long: Vec<_> = (1..=100)
            .map(|id| message(id, "x".repeat(32_768)))
            .collect();
        let (oldest, newest) = (fitting(&long, Kept::Oldest), fitting(&long, Kept::Newest));
        assert_eq!((oldest.len(), newest.len()), (15, 15));
        assert_eq!((oldest[0].id.0, newest[14].id.0), (1, 100));
        assert!(bytes_of_all(oldest) <= MOST_BYTES);
        let control: Vec<_> = (1..=100)
            .map(|id| message(id, "\u{1}".repeat(32_768)))
            .collect();
        assert_eq!(fitting(&control, Kept::Oldest).len(), 2);
        let huge = [message(1, "x".repeat(MOST_BYTES + 1))];
        assert_eq!(fitting(&huge, Kept::Newest).len(), 1);
        assert_eq!(fitting(&[], Kept::Newest).len(), 0);
    }

    #[test]
    fn the_escaped_length_is_that_of_the_json() {
        for text in ["plain", "\"quoted\" and \\", "하늘", "\u{1}\u{1f}"] {
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(escaped(text), json.len() - 2, "{json}");
        }
        // A few control characters have shorter escapes.
        assert!(escaped("\n") >= serde_json::to_string("\n").unwrap().len() - 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_text_that_is_longer_than_the_share_is_sent_alone() {
        let bounds = Bounds::new(&Limits::default(), 0);
        let guest = bounds.text_bytes.of(Some([10, 0, 0, 1].into()));
        for sender in [guest, bounds.text_bytes.of(None)] {
            let long = permit(sender, 1 << 30).await.unwrap();
            assert!(permit(sender, LONG_BYTES).await.is_err());
            assert!(permit(sender, LONG_BYTES - 1).await.unwrap().is_none());
            drop(long);
        }
        let shared = shared_permit(guest, 1 << 30).await.unwrap();
        assert!(shared_permit(guest, LONG_BYTES).await.is_err());
        drop(shared);
    }
}
