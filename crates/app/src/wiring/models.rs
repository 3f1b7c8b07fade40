//! The settings of models in the form of their client.

use responders::{Effort, ModelSettings, SystemRole, Thinking, TokenLimit};

use crate::settings::{
    InstructionRole, ModelEffort, ModelOptions, ModelProtocol, SettingsError, ThinkingMode,
    TokenField,
};

/// The default of `max_tokens` for models whose thoughts count, too.
const TOKENS_WITH_THOUGHTS: u32 = 8_192;

/// Combines the configured options with the API key and the defaults.
pub(super) fn model_settings(
    name: &str,
    options: &ModelOptions,
) -> Result<ModelSettings, SettingsError> {
    options.check(name)?;
    let (model, key) = (options.model.clone(), options.key(name)?);
    let url = options.url(name)?.map(str::to_owned);
    let defaults = match options.protocol(name)? {
        ModelProtocol::Anthropic => {
            let key = key.expect("protocol `anthropic` requires a key");
            ModelSettings::anthropic(model, key)
        }
        ModelProtocol::OpenAi => ModelSettings::open_ai("", model, key),
    };
    let thinking = match (options.thinking_budget, options.thinking) {
        (Some(tokens), _) => Some(Thinking::Budget(tokens)),
        (None, Some(ThinkingMode::Adaptive)) => Some(Thinking::Adaptive),
        (None, None) => None,
    };
    let default_tokens = match thinking {
        Some(Thinking::Adaptive) => TOKENS_WITH_THOUGHTS,
        _ => defaults.max_tokens,
    };
    Ok(ModelSettings {
        base_url: url.unwrap_or(defaults.base_url),
        max_tokens: options.max_tokens.unwrap_or(default_tokens),
        thinking,
        effort: options.effort.map(effort),
        token_limit: token_limit(options.token_field()),
        system_role: options
            .system_role
            .map_or(defaults.system_role, system_role),
        images: options.images.unwrap_or(defaults.images),
        cuts_others: options.cut_others.unwrap_or(defaults.cuts_others),
        context_tokens: options.context_tokens,
        extra_fields: options.extra.clone(),
        headers: options.headers.clone(),
        first_byte_timeout: options
            .first_byte_timeout()
            .unwrap_or(defaults.first_byte_timeout),
        idle_timeout: options.idle_timeout.unwrap_or(defaults.idle_timeout),
        attempts: options.attempts.unwrap_or(defaults.attempts),
        ..defaults
    })
}

fn effort(effort: ModelEffort) -> Effort {
    match effort {
        ModelEffort::Minimal => Effort::Minimal,
        ModelEffort::Low => Effort::Low,
        ModelEffort::Medium => Effort::Medium,
        ModelEffort::High => Effort::High,
    }
}

fn token_limit(field: TokenField) -> TokenLimit {
    match field {
        TokenField::MaxTokens => TokenLimit::MaxTokens,
        TokenField::MaxCompletionTokens => TokenLimit::MaxCompletionTokens,
        TokenField::None => TokenLimit::None,
    }
}

fn system_role(role: InstructionRole) -> SystemRole {
    match role {
        InstructionRole::System => SystemRole::System,
        InstructionRole::User => SystemRole::User,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_reaches_the_client() {
        let options = serde_yaml::from_str(
            "{preset: vllm, model: x, token_limit: max_completion_tokens, system_role: user,
              effort: low, thinking: adaptive, max_tokens: 7, attempts: 2, idle_timeout: 3s,
              images: 2, cut_others: false, context_tokens: 8192,
              extra: {temperature: 0.5, stop: null}, headers: {X-Title: Tea}}",
        );
        let settings = model_settings("m", &options.unwrap()).unwrap();
        assert_eq!(settings.base_url, "http://127.0.0.1:8000/v1");
        assert_eq!(settings.token_limit, TokenLimit::MaxCompletionTokens);
        assert_eq!(settings.system_role, SystemRole::User);
        assert_eq!(settings.effort, Some(Effort::Low));
        assert_eq!(settings.thinking, Some(Thinking::Adaptive));
        assert_eq!((settings.max_tokens, settings.attempts), (7, 2));
        assert_eq!((settings.images, settings.cuts_others), (2, false));
        assert_eq!(settings.context_tokens, Some(8192));
        assert_eq!(settings.idle_timeout.as_secs(), 3);
        assert_eq!(settings.extra_fields["temperature"], 0.5);
        assert!(settings.extra_fields["stop"].is_null());
        assert!(settings.headers.contains_key("X-Title"));
    }
}
