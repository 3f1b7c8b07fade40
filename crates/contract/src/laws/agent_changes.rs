//! Laws of updating and deleting agents.

use std::sync::Arc;

use domain::{
    Agent, AgentChange, AgentConfig, GroupName, LongTermMemory, NewAgent, Picture, RecentEvent,
};
use futures_util::future::{join, join_all};

use super::{
    ensure::{
        NO_LIMIT, Outcome, START, UNKNOWN_AGENT, ensure, ensure_conflict, ensure_eq,
        ensure_missing, ensure_some,
    },
    law_run::LawRun,
};

fn event(text: &str) -> RecentEvent {
    RecentEvent {
        date: chrono::NaiveDate::from_ymd_opt(2024, 2, 29),
        text: text.into(),
    }
}

/// Creates an agent in which no field has its default value.
async fn full_agent(run: &LawRun) -> Outcome<Arc<Agent>> {
    let config = AgentConfig {
        in_a_nutshell: "brief".into(),
        characteristics: "old".into(),
        recent_events: vec![event("first")],
        long_term_memories: vec![LongTermMemory {
            title: "the sea".into(),
            text: "it was cold".into(),
        }],
        is_critic: true,
        interrupt_every_turn: true,
        priority: 3,
        transparent: true,
        profile_pic: None,
    };
    let picture = Some(Picture {
        media_type: "image/png".into(),
        bytes: vec![7],
    });
    let group = Some(GroupName::parse("the group")?);
    Ok(run
        .ports
        .agents
        .create(NewAgent {
            name: run.agent_name("full")?,
            group,
            config,
            picture,
        })
        .await?)
}

pub(super) async fn an_update_changes_the_named_fields_and_nothing_else(run: LawRun) -> Outcome {
    let mut agent = full_agent(&run).await?;
    let mut config = (*run.persona(agent.id).await?).clone();
    let none = AgentChange::default;
    let changes = [
        AgentChange {
            name: Some(run.agent_name("renamed")?),
            ..none()
        },
        AgentChange {
            group: Some(Some(GroupName::parse("other group")?)),
            ..none()
        },
        AgentChange {
            group: Some(None),
            ..none()
        },
        AgentChange {
            in_a_nutshell: Some("briefer".into()),
            ..none()
        },
        AgentChange {
            characteristics: Some("new".into()),
            ..none()
        },
        AgentChange {
            recent_events: Some(vec![event("second"), event("third")]),
            ..none()
        },
        AgentChange {
            is_critic: Some(false),
            ..none()
        },
        AgentChange {
            interrupt_every_turn: Some(false),
            ..none()
        },
        AgentChange {
            priority: Some(-5),
            ..none()
        },
        AgentChange {
            transparent: Some(false),
            ..none()
        },
        AgentChange {
            recent_events: Some(vec![]),
            ..none()
        },
        none(),
    ];
    for change in changes {
        run.ensure_agent_shown(&agent).await?;
        let updated = run.ports.agents.update(agent.id, change.clone()).await?;
        let expected = Agent {
            name: change.name.clone().unwrap_or_else(|| agent.name.clone()),
            group: change.group.clone().unwrap_or_else(|| agent.group.clone()),
            config_file: updated.config_file.clone(),
            version: agent.version + 1,
            ..(*agent).clone()
        };
        ensure_eq(&format!("the agent after {change:?}"), &*updated, &expected)?;
        run.ensure_agent_shown(&updated).await?;
        change.apply_to(&mut config);
        ensure_eq(
            &format!("the persona after {change:?}"),
            &*run.persona(agent.id).await?,
            &config,
        )?;
        agent = updated;
    }
    Ok(())
}

pub(super) async fn an_update_to_a_taken_name_changes_nothing(run: LawRun) -> Outcome {
    let (taken, agent) = (run.create_agent("taken").await?, full_agent(&run).await?);
    let (config, config_of_taken) = (run.persona(agent.id).await?, run.persona(taken.id).await?);
    let change = AgentChange {
        name: Some(taken.name.clone()),
        group: Some(None),
        characteristics: Some("lost".into()),
        priority: Some(9),
        picture: Some(Picture {
            media_type: "image/gif".into(),
            bytes: vec![8],
        }),
        ..AgentChange::default()
    };
    ensure_conflict(
        "renaming an agent to a living one's name",
        run.ports.agents.update(agent.id, change).await,
    )?;
    run.ensure_agent_shown(&agent).await?;
    run.ensure_agent_shown(&taken).await?;
    ensure_eq(
        "the persona after a conflict",
        &run.persona(agent.id).await?,
        &config,
    )?;
    ensure_eq(
        "the persona of the name's holder",
        &run.persona(taken.id).await?,
        &config_of_taken,
    )?;
    ensure_eq(
        "the persona after a conflict and a reload",
        &run.ports.files.reload(agent.id).await?,
        &config,
    )
}

pub(super) async fn concurrent_updates_of_an_agent_all_stay(run: LawRun) -> Outcome {
    let agent = run.create_agent("a").await?;
    let none = AgentChange::default;
    let changes = [
        AgentChange {
            priority: Some(8),
            ..none()
        },
        AgentChange {
            characteristics: Some("quiet".into()),
            ..none()
        },
        AgentChange {
            is_critic: Some(true),
            ..none()
        },
        AgentChange {
            name: Some(run.agent_name("b")?),
            ..none()
        },
    ];
    let updates = join_all(changes.map(|change| run.ports.agents.update(agent.id, change)));
    let (outcomes, remembered) = join(
        updates,
        run.ports
            .configs
            .append_memory(agent.id, event("meanwhile")),
    )
    .await;
    let mut versions = Vec::new();
    for outcome in outcomes {
        versions.push(outcome?.version);
    }
    remembered?;
    versions.sort_unstable();
    ensure_eq(
        "the versions of concurrent updates",
        &versions,
        &vec![2, 3, 4, 5],
    )?;
    let config = run.persona(agent.id).await?;
    ensure_eq("the priority", &config.priority, &8)?;
    ensure_eq(
        "the characteristics",
        &config.characteristics,
        &"quiet".into(),
    )?;
    ensure_eq("the critic flag", &config.is_critic, &true)?;
    ensure_eq(
        "the recent events",
        &config.recent_events,
        &vec![event("meanwhile")],
    )?;
    let last = run.agent_row(agent.id).await?;
    ensure_eq("the name", &last.name, &run.agent_name("b")?)?;
    run.ensure_agent_shown(&last).await
}

pub(super) async fn a_deleted_agent_is_found_only_among_many(run: LawRun) -> Outcome {
    let (agent, other) = (run.create_agent("a").await?, run.create_agent("b").await?);
    run.ensure_agent_shown(&agent).await?;
    run.ports.agents.delete(agent.id).await?;
    ensure_eq(
        "a deleted agent",
        &run.ports.agents.find(agent.id).await?,
        &None,
    )?;
    let found = run.ports.agents.find_many(&[other.id, agent.id]).await?;
    let ids: Vec<_> = found.iter().map(|agent| agent.id).collect();
    ensure_eq(
        "the agents found together, including a deleted one,",
        &ids,
        &vec![agent.id, other.id],
    )?;
    let tombstone = run.agent_row(agent.id).await?;
    ensure(!tombstone.is_living(), "a deleted agent is not a tombstone")?;
    ensure_eq("the tombstone's name", &tombstone.name, &agent.name)?;
    run.ensure_agent_shown(&tombstone).await?;
    run.ensure_agent_shown(&other).await
}

pub(super) async fn a_deleted_agent_cannot_be_changed(run: LawRun) -> Outcome {
    let agent = run.create_agent("a").await?;
    run.persona(agent.id).await?;
    run.ports.agents.delete(agent.id).await?;
    let tombstone = run.agent_row(agent.id).await?;
    ensure_missing(
        "deleting an agent again",
        run.ports.agents.delete(agent.id).await,
    )?;
    let change = AgentChange {
        name: Some(run.agent_name("b")?),
        priority: Some(1),
        ..AgentChange::default()
    };
    ensure_missing(
        "updating a deleted agent",
        run.ports.agents.update(agent.id, change).await,
    )?;
    run.ensure_agent_shown(&tombstone).await
}

pub(super) async fn a_deleted_agents_memberships_and_messages_stay(run: LawRun) -> Outcome {
    let (agent, room) = (run.create_agent("a").await?, run.create_room("a").await?.id);
    run.ports.rooms.add_member(room, agent.id).await?;
    run.say(room, "hello").await?;
    let answer = run.answer(room, agent.id, "hello yourself").await?;
    let (log, members) = (run.log(room).await?, run.ports.rooms.members(room).await?);
    run.ports.agents.delete(agent.id).await?;
    ensure_eq("the log", &run.log(room).await?, &log)?;
    ensure_eq(
        "the members",
        &run.ports.rooms.members(room).await?,
        &members,
    )?;
    ensure_eq(
        "the messages of the deleted agent",
        &run.ports
            .messages
            .by_authors(room, &[agent.id, UNKNOWN_AGENT], Some(START), NO_LIMIT)
            .await?,
        &vec![answer],
    )?;
    let answers = ensure_some("answers", run.ports.messages.answer_counts(room).await?)?;
    ensure_eq(
        "the answer counts",
        &answers.by_agent,
        &[(agent.id, 1)].into(),
    )
}
