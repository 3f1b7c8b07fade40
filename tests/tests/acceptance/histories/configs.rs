//! An agent's persona, which stands in two files.

use std::sync::Arc;

use cache_adapter::Cache;
use domain::{
    AgentChange, AgentConfig, AgentId, LongTermMemory, RecentEvent, Repositories, Result,
};
use tests::{linear::Object, random::Random};

use super::subject::{Answer, Stage, Subject, done, found, number, told};

/// A persona; none when the agent is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Config(Option<Persona>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Persona {
    /// In `agent.yaml`.
    nutshell: u32,
    priority: u32,
    /// In `memory.yaml`.
    memory: u32,
    events: Vec<u32>,
}

#[derive(Clone, Debug)]
pub(crate) enum ConfigCall {
    /// Writes both files.
    Save(u32),
    Remember(u32),
    /// By the agent's own port.
    Prioritise(u32),
    Reload,
    DeleteAgent,
    Find,
    FindMany,
}

impl Object for Config {
    type Call = ConfigCall;
    type Answer = Answer<Persona>;

    fn apply(&mut self, call: &ConfigCall) -> Self::Answer {
        let Some(persona) = &mut self.0 else {
            return Answer::Gone;
        };
        match call {
            ConfigCall::Save(number) => {
                *persona = Persona {
                    nutshell: *number,
                    priority: *number,
                    memory: *number,
                    events: Vec::new(),
                };
                Answer::Is(persona.clone())
            }
            ConfigCall::Remember(number) => {
                persona.events.push(*number);
                Answer::Is(persona.clone())
            }
            ConfigCall::Prioritise(number) => {
                persona.priority = *number;
                Answer::Done
            }
            ConfigCall::DeleteAgent => {
                self.0 = None;
                Answer::Done
            }
            ConfigCall::Reload | ConfigCall::Find | ConfigCall::FindMany => {
                Answer::Is(persona.clone())
            }
        }
    }

    fn is_read(call: &ConfigCall) -> bool {
        matches!(
            call,
            ConfigCall::Reload | ConfigCall::Find | ConfigCall::FindMany
        )
    }
}

impl Subject for Config {
    type Key = AgentId;

    async fn make(stage: &Stage) -> (AgentId, Self) {
        (
            stage.agent(|| format!("Ada {}", Stage::unique())).await,
            Self(Some(Persona::default())),
        )
    }

    fn draw(_: &AgentId, random: &Random, fresh: u32) -> ConfigCall {
        match random.below(100) {
            0..3 => ConfigCall::DeleteAgent,
            3..8 => ConfigCall::Reload,
            8..13 => ConfigCall::Prioritise(fresh),
            13..26 => ConfigCall::Remember(fresh),
            26..40 => ConfigCall::Save(fresh),
            40..55 => ConfigCall::FindMany,
            _ => ConfigCall::Find,
        }
    }

    async fn run(r: &Repositories, id: &AgentId, call: ConfigCall) -> Result<Self::Answer> {
        match call {
            ConfigCall::Save(number) => told(r.configs.save(*id, saved(number)).await.map(seen)),
            ConfigCall::Remember(number) => {
                let event = RecentEvent {
                    date: None,
                    text: number.to_string(),
                };
                told(r.configs.append_memory(*id, event).await.map(seen))
            }
            ConfigCall::Prioritise(number) => {
                let change = AgentChange {
                    priority: Some(i32::try_from(number).unwrap()),
                    ..AgentChange::default()
                };
                done(r.agents.update(*id, change).await)
            }
            ConfigCall::Reload => told(r.configs.reload(*id).await.map(seen)),
            ConfigCall::DeleteAgent => done(r.agents.delete(*id).await),
            ConfigCall::Find => Ok(found(r.configs.find(*id).await?.map(seen))),
            ConfigCall::FindMany => Ok(found(
                r.configs
                    .find_many(&[*id])
                    .await?
                    .pop()
                    .map(|(_, config)| seen(config)),
            )),
        }
    }

    fn invalidate(cache: &Cache, id: &AgentId) {
        cache.invalidate_agent(*id);
    }
}

fn saved(number: u32) -> AgentConfig {
    AgentConfig {
        in_a_nutshell: number.to_string(),
        priority: i32::try_from(number).unwrap(),
        long_term_memories: vec![LongTermMemory {
            title: number.to_string(),
            text: String::new(),
        }],
        ..AgentConfig::default()
    }
}

fn seen(config: Arc<AgentConfig>) -> Persona {
    Persona {
        nutshell: if config.in_a_nutshell.is_empty() {
            0
        } else {
            number(&config.in_a_nutshell)
        },
        priority: u32::try_from(config.priority).unwrap(),
        memory: config
            .long_term_memories
            .first()
            .map_or(0, |memory| number(&memory.title)),
        events: config
            .recent_events
            .iter()
            .map(|event| number(&event.text))
            .collect(),
    }
}
