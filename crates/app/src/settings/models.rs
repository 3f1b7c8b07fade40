//! Settings of the models that compose answers.

use std::{collections::BTreeMap, env, fs, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{error::SettingsError, prices::Price, value};

/// The least budget for thinking that Anthropic's servers accept, in tokens.
const MIN_THINKING_BUDGET: u32 = 1_024;
/// The time for a local server to load a model and to read a long prompt before it answers.
const LOCAL_FIRST_BYTE: Duration = Duration::from_mins(5);

/// A model that composes answers. Its API key comes from the environment, never from the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelOptions {
    /// The server program or the service, which sets the defaults of the other options.
    pub preset: Option<ModelPreset>,
    /// The protocol of the model's server. Required without a preset.
    pub protocol: Option<ModelProtocol>,
    /// The name by which the server knows the model.
    #[serde(deserialize_with = "value::required")]
    pub model: String,
    /// The server's URL. Optional with a preset, and for Anthropic's protocol.
    #[serde(default, deserialize_with = "value::optional")]
    pub base_url: Option<String>,
    /// The environment variable with the API key.
    #[serde(default, deserialize_with = "value::optional")]
    pub key_env: Option<String>,
    /// The maximum number of tokens of an answer.
    #[serde(default, deserialize_with = "value::optional")]
    pub max_tokens: Option<u32>,
    /// The field in which the maximum is sent.
    pub token_limit: Option<TokenField>,
    /// The role of the instructions for the agent.
    pub system_role: Option<InstructionRole>,
    /// The maximum number of tokens for thinking, in addition to `max_tokens`. If neither this nor
    /// `thinking` is set, the model does not think.
    #[serde(default, deserialize_with = "value::optional")]
    pub thinking_budget: Option<u32>,
    /// The thinking of models that choose its length.
    pub thinking: Option<ThinkingMode>,
    /// The work that the model puts into an answer.
    pub effort: Option<ModelEffort>,
    /// The number of images that the model reads, the newest of a conversation.
    #[serde(default, deserialize_with = "value::optional")]
    pub images: Option<usize>,
    /// `true` if lines are left out in which an agent speaks for others.
    pub cut_others: Option<bool>,
    /// The number of tokens that the model reads and writes in all.
    #[serde(default, deserialize_with = "value::optional")]
    pub context_tokens: Option<u32>,
    /// Fields that are added to the body of each request.
    #[serde(default)]
    pub extra: Map<String, Value>,
    /// Headers that are added to each request.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretString>,
    /// The longest pause before an answer begins.
    #[serde(default, deserialize_with = "value::optional")]
    pub first_byte_timeout: Option<Duration>,
    /// The longest pause within an answer.
    #[serde(default, deserialize_with = "value::optional")]
    pub idle_timeout: Option<Duration>,
    /// The maximum number of attempts to get one answer.
    #[serde(default, deserialize_with = "value::optional")]
    pub attempts: Option<u32>,
    /// The price of its tokens, for figures of cost.
    pub price: Option<Price>,
}

/// The protocol of a model's server.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ModelProtocol {
    /// Anthropic's Messages API.
    Anthropic,
    /// The chat completions of OpenAI, which most local servers support.
    OpenAi,
}

/// The thinking of models that choose its length.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThinkingMode {
    /// As much as the model finds useful.
    Adaptive,
}

/// The work that a model puts into an answer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ModelEffort {
    /// The least thinking that the server offers.
    Minimal,
    /// Little thinking.
    Low,
    /// Some thinking.
    Medium,
    /// Much thinking.
    High,
}

/// The field of a request that limits an answer, in OpenAI's protocol.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TokenField {
    /// The field that most servers know.
    MaxTokens,
    /// The field that newer models of OpenAI require.
    MaxCompletionTokens,
    /// No field.
    None,
}

/// The role of the instructions for the agent, in OpenAI's protocol.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum InstructionRole {
    /// The role `system`.
    System,
    /// The role `user`, for models without a system role.
    User,
}

/// A server program or a service whose defaults are known.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelPreset {
    /// Anthropic's own service.
    Anthropic,
    /// The server of llama.cpp on this machine.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    /// LM Studio on this machine.
    LmStudio,
    /// Mistral's own service.
    Mistral,
    /// Ollama on this machine.
    Ollama,
    /// OpenAI's own service.
    OpenAi,
    /// `OpenRouter`, which passes requests on to many services.
    OpenRouter,
    /// vLLM on this machine.
    Vllm,
}

/// The defaults of a preset.
struct Defaults {
    protocol: ModelProtocol,
    base_url: &'static str,
    /// The environment variable with the API key; `None` if the server needs none.
    key_env: Option<&'static str>,
    token_limit: TokenField,
    first_byte_timeout: Option<Duration>,
}

impl ModelPreset {
    fn defaults(self) -> Defaults {
        let local = |base_url| Defaults {
            protocol: ModelProtocol::OpenAi,
            base_url,
            key_env: None,
            token_limit: TokenField::MaxTokens,
            first_byte_timeout: Some(LOCAL_FIRST_BYTE),
        };
        let service = |base_url, key_env| Defaults {
            key_env: Some(key_env),
            first_byte_timeout: None,
            ..local(base_url)
        };
        match self {
            Self::Anthropic => Defaults {
                protocol: ModelProtocol::Anthropic,
                ..service("https://api.anthropic.com", "ANTHROPIC_API_KEY")
            },
            Self::LlamaCpp => local("http://127.0.0.1:8080/v1"),
            Self::LmStudio => local("http://127.0.0.1:1234/v1"),
            Self::Mistral => service("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
            Self::Ollama => local("http://127.0.0.1:11434/v1"),
            Self::OpenAi => Defaults {
                token_limit: TokenField::MaxCompletionTokens,
                ..service("https://api.openai.com/v1", "OPENAI_API_KEY")
            },
            Self::OpenRouter => service("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
            Self::Vllm => local("http://127.0.0.1:8000/v1"),
        }
    }
}

impl ModelOptions {
    /// Checks the options, except for the API key. `name` is the model's name in error messages.
    pub(crate) fn check(&self, name: &str) -> Result<(), SettingsError> {
        self.protocol(name)?;
        self.url(name)?;
        match (self.thinking_budget, self.thinking) {
            (Some(_), Some(_)) => Err(SettingsError::Excluded {
                name: format!("models.{name}.thinking"),
                other: "thinking_budget",
            }),
            (Some(budget), None) if budget < MIN_THINKING_BUDGET => {
                Err(SettingsError::SmallBudget {
                    model: name.to_owned(),
                    min: MIN_THINKING_BUDGET,
                    value: budget,
                })
            }
            _ => Ok(()),
        }
    }

    /// Returns the field in which the maximum number of tokens is sent.
    pub(crate) fn token_field(&self) -> TokenField {
        let preset = self.preset.map(|preset| preset.defaults().token_limit);
        self.token_limit.or(preset).unwrap_or(TokenField::MaxTokens)
    }

    /// Returns the longest pause before an answer begins; `None` for the default of all models.
    pub(crate) fn first_byte_timeout(&self) -> Option<Duration> {
        let preset = self.preset.map(ModelPreset::defaults);
        let preset = preset.and_then(|preset| preset.first_byte_timeout);
        self.first_byte_timeout.or(preset)
    }

    /// Reads the API key from the environment. Returns `None` if the model needs no key.
    pub(crate) fn key(&self, name: &str) -> Result<Option<SecretString>, SettingsError> {
        let default = match (self.preset, self.protocol(name)?) {
            (Some(preset), _) => preset.defaults().key_env,
            (None, ModelProtocol::Anthropic) => Some("ANTHROPIC_API_KEY"),
            (None, ModelProtocol::OpenAi) => None,
        };
        let Some(variable) = self.key_env.as_deref().or(default) else {
            return Ok(None);
        };
        match read_secret(variable) {
            Some(key) => Ok(Some(key)),
            None => Err(SettingsError::MissingKey {
                model: name.to_owned(),
                variable: variable.to_owned(),
            }),
        }
    }

    pub(crate) fn protocol(&self, name: &str) -> Result<ModelProtocol, SettingsError> {
        match (self.preset, self.protocol) {
            (Some(_), Some(_)) => Err(SettingsError::Excluded {
                name: format!("models.{name}.preset"),
                other: "protocol",
            }),
            (Some(preset), None) => Ok(preset.defaults().protocol),
            (None, Some(protocol)) => Ok(protocol),
            (None, None) => Err(SettingsError::MissingProtocol {
                model: name.to_owned(),
            }),
        }
    }

    /// Returns the configured URL, or `None` if it is not set and the protocol has a default. Fails
    /// if it is not set and there is no default.
    pub(crate) fn url(&self, name: &str) -> Result<Option<&str>, SettingsError> {
        let preset = self.preset.map(|preset| preset.defaults().base_url);
        match (self.base_url.as_deref().or(preset), self.protocol(name)?) {
            (None, ModelProtocol::OpenAi) => Err(SettingsError::MissingBaseUrl {
                model: name.to_owned(),
            }),
            (url, _) => Ok(url),
        }
    }
}

/// Returns the value of a variable, or the content of the file that the variable with the suffix
/// `_FILE` names. Returns `None` if there is neither.
fn read_secret(variable: &str) -> Option<SecretString> {
    let is_set = |value: &String| !value.trim().is_empty();
    let value = env::var(variable).ok().filter(is_set);
    let value = value.or_else(|| {
        let path = env::var(format!("{variable}_FILE")).ok().filter(is_set)?;
        fs::read_to_string(path).ok().filter(is_set)
    });
    value.map(|value| value.trim().to_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ModelOptions {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn a_preset_names_the_protocol_and_the_server() {
        for (preset, url) in [
            ("llama.cpp", "http://127.0.0.1:8080/v1"),
            ("lmstudio", "http://127.0.0.1:1234/v1"),
            ("ollama", "http://127.0.0.1:11434/v1"),
            ("vllm", "http://127.0.0.1:8000/v1"),
        ] {
            let options = read(&format!("{{preset: {preset}, model: x}}"));
            assert_eq!(options.protocol("m").unwrap(), ModelProtocol::OpenAi);
            assert_eq!(options.url("m").unwrap(), Some(url));
            assert_eq!(options.first_byte_timeout(), Some(LOCAL_FIRST_BYTE));
            assert!(options.key("m").unwrap().is_none());
        }
        for (preset, protocol, variable) in [
            ("anthropic", ModelProtocol::Anthropic, "ANTHROPIC_API_KEY"),
            ("mistral", ModelProtocol::OpenAi, "MISTRAL_API_KEY"),
            ("openai", ModelProtocol::OpenAi, "OPENAI_API_KEY"),
            ("openrouter", ModelProtocol::OpenAi, "OPENROUTER_API_KEY"),
        ] {
            let options = read(&format!("{{preset: {preset}, model: x}}"));
            assert_eq!(options.protocol("m").unwrap(), protocol);
            assert_eq!(options.first_byte_timeout(), None);
            assert_eq!(options.preset.unwrap().defaults().key_env, Some(variable));
        }
        let elsewhere = read("{preset: vllm, model: x, base_url: 'http://gpu:9/v1'}");
        assert_eq!(elsewhere.url("m").unwrap(), Some("http://gpu:9/v1"));
    }

    #[test]
    fn newer_models_of_open_ai_need_another_field_than_other_servers() {
        for (text, field) in [
            (
                "{preset: openai, model: x}",
                TokenField::MaxCompletionTokens,
            ),
            ("{preset: vllm, model: x}", TokenField::MaxTokens),
            ("{protocol: openai, model: x}", TokenField::MaxTokens),
            (
                "{preset: openai, model: x, token_limit: none}",
                TokenField::None,
            ),
        ] {
            assert_eq!(read(text).token_field(), field, "{text}");
        }
    }

    #[test]
    fn options_that_cannot_work_are_refused() {
        for (text, error) in [
            (
                "{model: x}",
                "model `m`: neither `preset` nor `protocol` is set",
            ),
            (
                "{preset: vllm, protocol: openai, model: x}",
                "`models.m.preset` and `protocol` exclude each other",
            ),
            (
                "{preset: vllm, model: x, thinking_budget: 10}",
                "model `m`: `thinking_budget` must be at least 1024, got 10",
            ),
            (
                "{preset: vllm, model: x, thinking_budget: 2000, thinking: adaptive}",
                "`models.m.thinking` and `thinking_budget` exclude each other",
            ),
        ] {
            assert_eq!(read(text).check("m").unwrap_err().to_string(), error);
        }
    }
}
