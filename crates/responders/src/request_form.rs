//! The forms of a request in OpenAI's protocol. Servers differ in the fields and the roles that
//! they accept, so a client changes the form when a server refuses it.

use serde::Deserialize;

/// The field that limits an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimit {
    /// `max_tokens`, which most servers know.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which newer models of OpenAI require.
    MaxCompletionTokens,
    /// No field. The server's own limit applies.
    None,
}

/// The role of the instructions for the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemRole {
    /// A message of the role `system`.
    #[default]
    System,
    /// The beginning of the first message of the user, for models without a system role.
    User,
}

/// The form of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestForm {
    pub(crate) token_limit: TokenLimit,
    pub(crate) system_role: SystemRole,
    /// `true` if the request asks for the number of tokens, which some servers don't know.
    pub(crate) asks_for_usage: bool,
}

impl RequestForm {
    /// Returns the form to try after a server refused this one with a reason; `None` if the reason
    /// has nothing to do with the form.
    ///
    /// Each form returns a later one, so a client that tries them one after the other ends.
    pub(crate) fn after(self, reason: &str) -> Option<Self> {
        let reason = reason.to_lowercase();
        let names = |words: &[&str]| words.iter().any(|word| reason.contains(word));
        if self.system_role == SystemRole::System
            && ((names(&["system role", "role system", "'system'", "\"system\""])
                && names(&["support", "allowed", "unknown", "unexpected", "invalid"]))
                || names(&["must alternate"]))
        {
            return Some(Self {
                system_role: SystemRole::User,
                ..self
            });
        }
        let is_unsupported = names(&[
            "unsupported parameter",
            "not supported",
            "unrecognized",
            "unknown parameter",
            "unknown field",
            "extra_forbidden",
            "extra inputs",
            "not permitted",
        ]);
        if self.asks_for_usage && is_unsupported && names(&["stream_options", "include_usage"]) {
            return Some(Self {
                asks_for_usage: false,
                ..self
            });
        }
        let token_limit = match self.token_limit {
            TokenLimit::MaxTokens if is_unsupported && names(&["max_completion_tokens"]) => {
                TokenLimit::MaxCompletionTokens
            }
            TokenLimit::MaxTokens | TokenLimit::MaxCompletionTokens
                if is_unsupported && names(&["max_tokens", "max_completion_tokens"]) =>
            {
                TokenLimit::None
            }
            _ => return None,
        };
        Some(Self {
            token_limit,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_leads_to_the_form_that_the_server_asks_for() {
        let form = RequestForm {
            token_limit: TokenLimit::default(),
            system_role: SystemRole::default(),
            asks_for_usage: true,
        };
        let without_usage = RequestForm {
            asks_for_usage: false,
            ..form
        };
        let completion = RequestForm {
            token_limit: TokenLimit::MaxCompletionTokens,
            ..form
        };
        let none = RequestForm {
            token_limit: TokenLimit::None,
            ..form
        };
        let user = RequestForm {
            system_role: SystemRole::User,
            ..form
        };
        for (reason, before, after) in [
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                 'max_completion_tokens' instead.",
                form,
                Some(completion),
            ),
            (
                "Unrecognized request argument supplied: max_completion_tokens",
                completion,
                Some(none),
            ),
            (
                "[{'type': 'extra_forbidden', 'loc': ('body', 'max_tokens')}]",
                form,
                Some(none),
            ),
            (
                "Unrecognized request argument supplied: stream_options",
                form,
                Some(without_usage),
            ),
            ("stream_options is not supported", without_usage, None),
            ("System role not supported", form, Some(user)),
            (
                "Conversation roles must alternate user/assistant/user/assistant/...",
                form,
                Some(user),
            ),
            ("System role not supported", user, None),
            ("max_tokens must be at least 1", form, None),
            (
                "max_tokens is too large: 32768. This model supports at most 16384 completion \
                 tokens",
                form,
                None,
            ),
            ("the model is overloaded", form, None),
            ("max_tokens is not supported", none, None),
        ] {
            assert_eq!(before.after(reason), after, "{reason}");
        }
    }
}
