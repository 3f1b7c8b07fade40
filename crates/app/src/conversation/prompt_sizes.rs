//! The sizes of prompts in tokens. They are estimated from bytes, and the estimate of a model is
//! corrected by the tokens that its server counts.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use domain::{Prompt, Responder};

/// The bytes of a token before a model has counted any: text in most languages has more.
const USUAL_BYTES: f64 = 3.0;
/// The weight of the newest count in the average.
const NEWEST: f64 = 0.2;
/// The number of steps between a size and its double. The budget changes only from step to step,
/// because a conversation that begins elsewhere cannot be kept by the server.
const STEPS: f64 = 8.0;
/// The part of the tokens that is left for the persona, the memories and the instructions.
const FOR_CONVERSATION: f64 = 0.75;

/// The bytes of a token, by model.
#[derive(Debug, Default)]
pub(super) struct PromptSizes(Mutex<HashMap<String, f64>>);

impl PromptSizes {
    /// Returns the number of bytes that a conversation may have: at most `limit`, and at most what
    /// the model reads.
    pub(super) fn most_bytes(&self, responder: &dyn Responder, limit: usize) -> usize {
        let Some(tokens) = responder.prompt_tokens() else {
            return limit;
        };
        let sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = sizes.get(responder.model()).copied();
        let bytes = f64::from(tokens) * FOR_CONVERSATION * size.unwrap_or(USUAL_BYTES);
        let stepped = 2_f64.powf((bytes.log2() * STEPS).floor() / STEPS);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the number is above 0, and a cast of a greater one stops at the maximum"
        )]
        let stepped = stepped as usize;
        stepped.min(limit)
    }

    /// Learns that a prompt of `bytes` had this number of tokens; 0 if it is not known.
    pub(super) fn learn(&self, model: &str, bytes: usize, tokens: u64) {
        if bytes == 0 || tokens == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "it is an estimate")]
        let counted = bytes as f64 / tokens as f64;
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = sizes.entry(model.to_owned()).or_insert(counted);
        *size += (counted - *size) * NEWEST;
    }
}

/// Returns the size of a prompt in bytes, without the instructions. Returns 0 if it has images,
/// whose tokens do not depend on their bytes.
pub(super) fn prompt_bytes(prompt: &Prompt) -> usize {
    if prompt.turns.iter().any(|turn| turn.image.is_some()) {
        return 0;
    }
    let turns = prompt.turns.iter();
    let turns: usize = turns
        .map(|turn| turn.name.len() + turn.text.len() + 4)
        .sum();
    prompt.system.len() + prompt.memories.len() + turns
}

#[cfg(test)]
mod tests {
    use domain::Composing;

    use super::*;

    struct Small;

    impl Responder for Small {
        fn respond(&self, _: Prompt) -> Composing {
            Box::pin(futures_util::stream::empty())
        }

        fn prompt_tokens(&self) -> Option<u32> {
            Some(4_000)
        }
    }

    #[test]
    fn the_budget_follows_the_tokens_that_the_server_counts() {
        let sizes = PromptSizes::default();
        let budget = || sizes.most_bytes(&Small, 100_000);
        let at_first = budget();
        assert!((8_000..=9_000).contains(&at_first), "{at_first}");
        sizes.learn("unnamed", 0, 10);
        sizes.learn("unnamed", 10, 0);
        assert_eq!(budget(), at_first);
        // A language in which a token has one byte.
        sizes.learn("unnamed", 2_000, 2_000);
        let now = budget();
        assert!((2_700..=3_000).contains(&now), "{now}");
        // Small changes of the average do not move the beginning of the conversation.
        sizes.learn("unnamed", 2_020, 2_000);
        assert_eq!(budget(), now);
        for _ in 0..40 {
            sizes.learn("unnamed", 8_000, 2_000);
        }
        assert!((11_000..=12_000).contains(&budget()), "{}", budget());
        assert_eq!(sizes.most_bytes(&Small, 5_000), 5_000);
    }
}
