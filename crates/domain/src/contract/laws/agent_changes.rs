//! Laws of changing and deleting agents.

use std::sync::Arc;

use futures_util::future::{join, join_all};

use super::stage::{ALL, Found, NOBODY, START, Stage, conflict, ensure, missing, same, there};
use crate::{
    Agent, AgentChange, AgentConfig, GroupName, LongTermMemory, NewAgent, Picture, RecentEvent,
};

fn event(text: &str) -> RecentEvent {
    RecentEvent {
        date: chrono::NaiveDate::from_ymd_opt(2024, 2, 29),
        text: text.into(),
    }
}

/// An agent all of whose fields differ from their defaults.
async fn full_agent(s: &Stage) -> Found<Arc<Agent>> {
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
    Ok(s.r
        .agents
        .create(NewAgent {
            name: s.agent_name("full")?,
            group,
            config,
            picture,
        })
        .await?)
}

pub(super) async fn an_update_changes_what_it_names_and_nothing_else(s: Stage) -> Found {
    let mut agent = full_agent(&s).await?;
    let mut config = (*s.config(agent.id).await?).clone();
    let none = AgentChange::default;
    let changes = [
        AgentChange {
            name: Some(s.agent_name("renamed")?),
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
        s.shows_agent(&agent).await?;
        let updated = s.r.agents.update(agent.id, change.clone()).await?;
        let wanted = Agent {
            name: change.name.clone().unwrap_or_else(|| agent.name.clone()),
            group: change.group.clone().unwrap_or_else(|| agent.group.clone()),
            config_file: updated.config_file.clone(),
            version: agent.version + 1,
            ..(*agent).clone()
        };
        same(&format!("the agent after {change:?}"), &*updated, &wanted)?;
        s.shows_agent(&updated).await?;
        change.apply_to(&mut config);
        same(
            &format!("the persona after {change:?}"),
            &*s.config(agent.id).await?,
            &config,
        )?;
        agent = updated;
    }
    Ok(())
}

pub(super) async fn an_update_to_a_taken_name_changes_nothing(s: Stage) -> Found {
    let (taken, agent) = (s.agent("taken").await?, full_agent(&s).await?);
    let (config, config_of_taken) = (s.config(agent.id).await?, s.config(taken.id).await?);
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
    conflict(
        "renaming an agent to a living one's name",
        s.r.agents.update(agent.id, change).await,
    )?;
    s.shows_agent(&agent).await?;
    s.shows_agent(&taken).await?;
    same(
        "the persona after a conflict",
        &s.config(agent.id).await?,
        &config,
    )?;
    same(
        "the persona of the name's owner",
        &s.config(taken.id).await?,
        &config_of_taken,
    )?;
    same(
        "the persona read anew after a conflict",
        &s.r.configs.reload(agent.id).await?,
        &config,
    )
}

pub(super) async fn an_agents_own_name_is_no_conflict(s: Stage) -> Found {
    let agent = s.agent("a").await?;
    let change = AgentChange {
        name: Some(agent.name.clone()),
        priority: Some(4),
        ..AgentChange::default()
    };
    let updated = s.r.agents.update(agent.id, change).await?;
    same("the name", &updated.name, &agent.name)?;
    same("the file", &updated.config_file, &agent.config_file)?;
    s.shows_agent(&updated).await?;
    same("the priority", &s.config(agent.id).await?.priority, &4)
}

pub(super) async fn a_renamed_agents_old_name_is_free(s: Stage) -> Found {
    let agent = s.agent("old").await?;
    s.shows_agent(&agent).await?;
    let config = s.config(agent.id).await?;
    let change = AgentChange {
        name: Some(s.agent_name("new")?),
        ..AgentChange::default()
    };
    let renamed = s.r.agents.update(agent.id, change).await?;
    ensure(
        renamed.config_file != agent.config_file,
        "a renamed agent's file stands where it stood",
    )?;
    s.shows_agent(&renamed).await?;
    let successor = s.agent("old").await?;
    s.shows_agent(&successor).await?;
    s.shows_agent(&renamed).await?;
    same(
        "the persona of the renamed agent",
        &s.config(renamed.id).await?,
        &config,
    )
}

pub(super) async fn concurrent_updates_of_an_agent_all_stay(s: Stage) -> Found {
    let agent = s.agent("a").await?;
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
            name: Some(s.agent_name("b")?),
            ..none()
        },
    ];
    let updates = join_all(changes.map(|change| s.r.agents.update(agent.id, change)));
    let (outcomes, remembered) = join(
        updates,
        s.r.configs.append_memory(agent.id, event("meanwhile")),
    )
    .await;
    let mut versions = Vec::new();
    for outcome in outcomes {
        versions.push(outcome?.version);
    }
    remembered?;
    versions.sort_unstable();
    same(
        "the versions of concurrent updates",
        &versions,
        &vec![2, 3, 4, 5],
    )?;
    let config = s.config(agent.id).await?;
    same("the priority", &config.priority, &8)?;
    same(
        "the characteristics",
        &config.characteristics,
        &"quiet".into(),
    )?;
    same("whether it is a critic", &config.is_critic, &true)?;
    same(
        "the recent events",
        &config.recent_events,
        &vec![event("meanwhile")],
    )?;
    let last = s.row(agent.id).await?;
    same("the name", &last.name, &s.agent_name("b")?)?;
    s.shows_agent(&last).await
}

pub(super) async fn a_deleted_agent_is_found_only_among_many(s: Stage) -> Found {
    let (agent, other) = (s.agent("a").await?, s.agent("b").await?);
    s.shows_agent(&agent).await?;
    s.r.agents.delete(agent.id).await?;
    same("a deleted agent", &s.r.agents.find(agent.id).await?, &None)?;
    let found = s.r.agents.find_many(&[other.id, agent.id]).await?;
    let ids: Vec<_> = found.iter().map(|agent| agent.id).collect();
    same(
        "the agents found together, a deleted one among them,",
        &ids,
        &vec![agent.id, other.id],
    )?;
    let tombstone = s.row(agent.id).await?;
    ensure(
        !tombstone.is_living(),
        "a deleted agent is not marked as such",
    )?;
    same("the tombstone's name", &tombstone.name, &agent.name)?;
    s.shows_agent(&tombstone).await?;
    s.shows_agent(&other).await
}

pub(super) async fn a_deleted_agent_cannot_be_changed(s: Stage) -> Found {
    let agent = s.agent("a").await?;
    s.config(agent.id).await?;
    s.r.agents.delete(agent.id).await?;
    let tombstone = s.row(agent.id).await?;
    missing("deleting an agent again", s.r.agents.delete(agent.id).await)?;
    let change = AgentChange {
        name: Some(s.agent_name("b")?),
        priority: Some(1),
        ..AgentChange::default()
    };
    missing(
        "updating a deleted agent",
        s.r.agents.update(agent.id, change).await,
    )?;
    s.shows_agent(&tombstone).await
}

pub(super) async fn a_deleted_agents_memberships_and_messages_stay(s: Stage) -> Found {
    let (agent, room) = (s.agent("a").await?, s.room("a").await?.id);
    s.r.rooms.add_member(room, agent.id).await?;
    s.say(room, "hello").await?;
    let answer = s.answer(room, agent.id, "hello yourself").await?;
    let (log, members) = (s.log(room).await?, s.r.rooms.members(room).await?);
    s.r.agents.delete(agent.id).await?;
    same("the log", &s.log(room).await?, &log)?;
    same("the members", &s.r.rooms.members(room).await?, &members)?;
    same(
        "what it said",
        &s.r.messages
            .by_authors(room, &[agent.id, NOBODY], START, ALL)
            .await?,
        &vec![answer],
    )?;
    let answers = there("answers", s.r.messages.answer_counts(room).await?)?;
    same(
        "how often it spoke",
        &answers.by_agent,
        &[(agent.id, 1)].into(),
    )
}
