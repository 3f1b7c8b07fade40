//! The size of a model's tokens. It is estimated, and corrected by the numbers of tokens that the
//! server counts.

use std::sync::{Arc, Mutex, PoisonError};

/// The bytes of a token before the server has counted any: text in most languages has more.
const USUAL_BYTES: f64 = 3.0;
/// The weight of the newest count in the average.
const NEWEST: f64 = 0.2;
/// The number of steps between a size and its double. The limit of a conversation changes only from
/// step to step, because a server cannot keep a conversation that begins elsewhere.
const STEPS: f64 = 8.0;
/// The part of the tokens that is left for the conversation. The rest is for the persona, the
/// memories and the instructions.
const FOR_CONVERSATION: f64 = 0.75;

/// The bytes of a token, on average. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenSize(Arc<Mutex<Option<f64>>>);

impl TokenSize {
    fn bytes(&self) -> f64 {
        let size = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        size.unwrap_or(USUAL_BYTES)
    }

    /// Returns the estimated number of tokens of a text.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is an estimate, and a text is short"
    )]
    pub(crate) fn tokens(&self, bytes: usize) -> u64 {
        (bytes as f64 / self.bytes()) as u64
    }

    /// Returns the number of bytes that a conversation may have, so that its prompt has at most
    /// this number of tokens.
    pub(crate) fn history_bytes(&self, tokens: u32) -> usize {
        let bytes = f64::from(tokens) * FOR_CONVERSATION * self.bytes();
        let stepped = 2_f64.powf((bytes.log2() * STEPS).floor() / STEPS);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the number is not negative, and a cast of a greater one stops at the maximum"
        )]
        let stepped = stepped as usize;
        stepped
    }

    /// Learns that a prompt of `bytes` had this number of tokens. Ignores zeros.
    pub(crate) fn learn(&self, bytes: usize, tokens: u64) {
        if bytes == 0 || tokens == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "it is an estimate")]
        let counted = bytes as f64 / tokens as f64;
        let mut size = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = size.get_or_insert(counted);
        *size += (counted - *size) * NEWEST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_conversation_follows_the_tokens_that_the_server_counts() {
        let size = TokenSize::default();
        let limit = || size.history_bytes(4_000);
        let at_first = limit();
        assert!((8_000..=9_000).contains(&at_first), "{at_first}");
        size.learn(0, 10);
        size.learn(10, 0);
        assert_eq!((limit(), size.tokens(30)), (at_first, 10));
        // A language in which a token has one byte.
        size.learn(2_000, 2_000);
        let now = limit();
        assert!((2_700..=3_000).contains(&now), "{now}");
        // Small changes of the average do not move the beginning of the conversation.
        size.learn(2_020, 2_000);
        assert_eq!(limit(), now);
        for _ in 0..40 {
            size.learn(8_000, 2_000);
        }
        assert!((11_000..=12_000).contains(&limit()), "{}", limit());
        assert_eq!(size.history_bytes(0), 0);
    }
}
