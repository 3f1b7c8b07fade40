//! The model of an agent's persona, which is stored in two files.

use std::sync::Arc;

use cache_adapter::Cache;
use domain::{
    AgentChange, AgentConfig, AgentId, LongTermMemory, RecentEvent, Repositories, Result,
};
use tests::{linearizability::SequentialModel, random::Random};

use super::model::{HistoryWorld, KeyModel, Outcome, done, found, number, value};

/// The state of an agent's persona in the model; `None` once the agent is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PersonaModel(Option<PersonaState>);

/// The numbers in the fields of a persona; 0 for an empty field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct PersonaState {
    /// Stored in `agent.yaml`.
    nutshell: u32,
    /// Stored in `agent.yaml`.
    priority: u32,
    /// Stored in `memory.yaml`.
    memory: u32,
    /// Stored in `memory.yaml`.
    events: Vec<u32>,
}

#[derive(Clone, Debug)]
pub(crate) enum PersonaCall {
    /// Writes both files.
    Save(u32),
    /// Appends to `memory.yaml`.
    Remember(u32),
    /// Changes `agent.yaml` through the port of agents.
    Prioritize(u32),
    Reload,
    DeleteAgent,
    Find,
    FindMany,
}

impl SequentialModel for PersonaModel {
    type Call = PersonaCall;
    type Outcome = Outcome<PersonaState>;

    fn apply(&mut self, call: &PersonaCall) -> Self::Outcome {
        let Some(persona) = &mut self.0 else {
            return Outcome::Missing;
        };
        match call {
            PersonaCall::Save(number) => {
                *persona = PersonaState {
                    nutshell: *number,
                    priority: *number,
                    memory: *number,
                    events: Vec::new(),
                };
                Outcome::Value(persona.clone())
            }
            PersonaCall::Remember(number) => {
                persona.events.push(*number);
                Outcome::Value(persona.clone())
            }
            PersonaCall::Prioritize(number) => {
                persona.priority = *number;
                Outcome::Done
            }
            PersonaCall::DeleteAgent => {
                self.0 = None;
                Outcome::Done
            }
            PersonaCall::Reload | PersonaCall::Find | PersonaCall::FindMany => {
                Outcome::Value(persona.clone())
            }
        }
    }

    fn is_read(call: &PersonaCall) -> bool {
        matches!(
            call,
            PersonaCall::Reload | PersonaCall::Find | PersonaCall::FindMany
        )
    }
}

impl KeyModel for PersonaModel {
    type Key = AgentId;

    async fn create(world: &HistoryWorld) -> (AgentId, Self) {
        (
            world
                .create_agent(|| format!("Ada {}", HistoryWorld::unique_number()))
                .await,
            Self(Some(PersonaState::default())),
        )
    }

    fn draw(_: &AgentId, random: &Random, fresh: u32) -> PersonaCall {
        match random.below(100) {
            0..3 => PersonaCall::DeleteAgent,
            3..8 => PersonaCall::Reload,
            8..13 => PersonaCall::Prioritize(fresh),
            13..26 => PersonaCall::Remember(fresh),
            26..40 => PersonaCall::Save(fresh),
            40..55 => PersonaCall::FindMany,
            _ => PersonaCall::Find,
        }
    }

    async fn run(r: &Repositories, id: &AgentId, call: PersonaCall) -> Result<Self::Outcome> {
        match call {
            PersonaCall::Save(number) => {
                value(r.configs.save(*id, persona(number)).await.map(shown))
            }
            PersonaCall::Remember(number) => {
                let event = RecentEvent {
                    date: None,
                    text: number.to_string(),
                };
                value(r.configs.append_memory(*id, event).await.map(shown))
            }
            PersonaCall::Prioritize(number) => {
                let change = AgentChange {
                    priority: Some(i32::try_from(number).unwrap()),
                    ..AgentChange::default()
                };
                done(r.agents.update(*id, change).await)
            }
            PersonaCall::Reload => value(r.files.reload(*id).await.map(shown)),
            PersonaCall::DeleteAgent => done(r.agents.delete(*id).await),
            PersonaCall::Find => Ok(found(r.configs.find(*id).await?.map(shown))),
            PersonaCall::FindMany => Ok(found(
                r.configs
                    .find_many(&[*id])
                    .await?
                    .pop()
                    .map(|(_, config)| shown(config)),
            )),
        }
    }

    fn invalidate(cache: &Cache, id: &AgentId) {
        cache.invalidate_agent(*id);
    }
}

/// Returns a persona with this number in its fields.
fn persona(number: u32) -> AgentConfig {
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

fn shown(config: Arc<AgentConfig>) -> PersonaState {
    PersonaState {
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
