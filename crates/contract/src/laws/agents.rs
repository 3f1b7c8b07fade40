//! Laws of who the agents are: finding, making, adopting.

use futures_util::future::join_all;

use super::stage::{Found, NOBODY, Stage, conflict, ensure, invalid, missing, same, there};
use domain::{AgentChange, AgentConfig, AgentId, Error, GroupName, NewAgent, Picture};

pub(super) async fn a_created_agent_is_shown_by_every_read(s: Stage) -> Found {
    let group = Some(GroupName::parse("the group")?);
    let new = NewAgent {
        group: group.clone(),
        ..s.new_agent("a")?
    };
    s.r.agents.list().await?;
    let agent = s.r.agents.create(new.clone()).await?;
    same("the name", &agent.name, &new.name)?;
    same("the group", &agent.group, &group)?;
    same("the first version", &agent.version, &1)?;
    ensure(agent.is_living(), "a new agent is a tombstone")?;
    ensure(agent.id.0 > 0, "an id is not above 0")?;
    s.shows_agent(&agent).await?;
    same(
        "the persona made with the agent",
        &*s.config(agent.id).await?,
        &new.config,
    )
}

pub(super) async fn an_agent_asked_for_before_it_was_made_is_found(s: Stage) -> Found {
    let last = s.agent("last").await?.id.0;
    let guesses: Vec<AgentId> = (1..=8).map(|n| AgentId(last + n)).collect();
    for &guess in &guesses {
        s.r.agents.find(guess).await?;
        s.r.configs.find(guess).await?;
    }
    s.r.agents.find_many(&guesses).await?;
    s.r.configs.find_many(&guesses).await?;
    for n in 0..3 {
        let agent = s.agent(&format!("asked for {n}")).await?;
        s.shows_agent(&agent).await?;
        s.config(agent.id).await?;
    }
    Ok(())
}

pub(super) async fn an_unknown_agent_is_absent(s: Stage) -> Found {
    for id in [NOBODY, AgentId(0), AgentId(-1)] {
        same("an unknown agent", &s.r.agents.find(id).await?, &None)?;
        same(
            "an unknown agent among many",
            &s.r.agents.find_many(&[id]).await?,
            &vec![],
        )?;
        missing(
            "updating an unknown agent",
            s.r.agents.update(id, AgentChange::default()).await,
        )?;
        missing("deleting an unknown agent", s.r.agents.delete(id).await)?;
    }
    Ok(())
}

pub(super) async fn living_agents_are_listed_by_rising_id(s: Stage) -> Found {
    // Made so that neither their names nor their last changes stand in the order of their ids.
    let (c, a, b) = (
        s.agent("c").await?,
        s.agent("a").await?,
        s.agent("b").await?,
    );
    s.r.agents
        .update(
            c.id,
            AgentChange {
                priority: Some(1),
                ..AgentChange::default()
            },
        )
        .await?;
    let gone = s.deleted_agent("gone").await?;
    let list = s.r.agents.list().await?;
    ensure(
        list.is_sorted_by(|one, next| one.id < next.id),
        "agents are not listed by rising id, each once",
    )?;
    ensure(
        [&c, &a, &b]
            .iter()
            .all(|agent| list.iter().any(|listed| listed.id == agent.id)),
        "a living agent is not listed",
    )?;
    ensure(
        list.iter()
            .all(|agent| agent.id != gone.id && agent.is_living()),
        "a deleted agent is listed",
    )
}

pub(super) async fn agents_found_together_come_by_rising_id_each_once(s: Stage) -> Found {
    let (a, b, c) = (
        s.agent("c").await?,
        s.agent("a").await?,
        s.agent("b").await?,
    );
    s.r.agents.find(b.id).await?;
    let found =
        s.r.agents
            .find_many(&[c.id, NOBODY, a.id, c.id, b.id, a.id])
            .await?;
    same("the agents found together", &found, &vec![a, b, c])?;
    same(
        "the agents of no ids",
        &s.r.agents.find_many(&[]).await?,
        &vec![],
    )
}

pub(super) async fn agents_ids_are_never_used_twice(s: Stage) -> Found {
    let gone = s.deleted_agent("a").await?;
    let again = s.deleted_agent("a").await?;
    let next = s.agent("a").await?;
    ensure(
        gone.id != again.id && again.id != next.id && gone.id != next.id,
        "an agent's id came back",
    )
}

pub(super) async fn a_living_agents_name_is_a_conflict(s: Stage) -> Found {
    let agent = s.agent("taken").await?;
    let config = s.config(agent.id).await?;
    let config_of_other = AgentConfig {
        characteristics: "other".into(),
        ..AgentConfig::default()
    };
    let group = Some(GroupName::parse("another group")?);
    let again = NewAgent {
        config: config_of_other,
        group,
        ..s.new_agent("taken")?
    };
    conflict(
        "creating an agent with a living one's name",
        s.r.agents.create(again).await,
    )?;
    s.shows_agent(&agent).await?;
    same(
        "the persona of the agent that has the name",
        &s.config(agent.id).await?,
        &config,
    )?;
    let named =
        s.r.agents
            .list()
            .await?
            .iter()
            .filter(|other| other.name == agent.name)
            .count();
    same("the number of agents with the name", &named, &1)
}

pub(super) async fn a_deleted_agents_name_is_free(s: Stage) -> Found {
    let gone = s.deleted_agent("a").await?;
    let agent = s.agent("a").await?;
    ensure(
        agent.id != gone.id,
        "a deleted agent came back under its name",
    )?;
    same("the version of the new agent", &agent.version, &1)?;
    s.shows_agent(&agent).await?;
    same(
        "the one that is gone",
        &s.r.agents.find(gone.id).await?,
        &None,
    )?;
    let other = s.agent("b").await?;
    s.r.agents.delete(agent.id).await?;
    let renamed = AgentChange {
        name: Some(gone.name.clone()),
        ..AgentChange::default()
    };
    s.shows_agent(&s.r.agents.update(other.id, renamed).await?)
        .await
}

pub(super) async fn of_concurrent_creates_with_one_name_one_succeeds(s: Stage) -> Found {
    let new = s.new_agent("wanted")?;
    let outcomes = join_all((0..6).map(|_| s.r.agents.create(new.clone()))).await;
    let mut made = None;
    for outcome in outcomes {
        match outcome {
            Ok(agent) if made.is_none() => made = Some(agent),
            Ok(_) => ensure(false, "two agents were made with one name")?,
            other => conflict("creating an agent that another call made", other)?,
        }
    }
    let agent = there("the one agent that was made", made)?;
    s.shows_agent(&agent).await?;
    let named =
        s.r.agents
            .list()
            .await?
            .iter()
            .filter(|other| other.name == agent.name)
            .count();
    same("the number of agents with the name", &named, &1)
}

pub(super) async fn the_store_names_the_picture(s: Stage) -> Found {
    let config = AgentConfig {
        profile_pic: Some("../elsewhere.png".into()),
        ..AgentConfig::default()
    };
    let without =
        s.r.agents
            .create(NewAgent {
                config: config.clone(),
                ..s.new_agent("without")?
            })
            .await?;
    same(
        "the picture of an agent without one",
        &s.config(without.id).await?.profile_pic,
        &None,
    )?;

    let picture = |media_type: &str| {
        Some(Picture {
            media_type: media_type.into(),
            bytes: vec![1, 2, 3],
        })
    };
    let with =
        s.r.agents
            .create(NewAgent {
                config,
                picture: picture("image/png"),
                ..s.new_agent("with")?
            })
            .await?;
    let named = there(
        "the name of a stored picture",
        s.config(with.id).await?.profile_pic.clone(),
    )?;
    ensure(!named.contains("elsewhere"), "the caller named the picture")?;

    let change = AgentChange {
        picture: picture("image/webp"),
        ..AgentChange::default()
    };
    s.r.agents.update(without.id, change).await?;
    ensure(
        s.config(without.id).await?.profile_pic.is_some(),
        "an update's picture has no name",
    )?;
    s.r.agents
        .update(
            with.id,
            AgentChange {
                priority: Some(2),
                ..AgentChange::default()
            },
        )
        .await?;
    same(
        "the picture after an update of something else",
        &s.config(with.id).await?.profile_pic,
        &Some(named),
    )
}

pub(super) async fn adopting_a_path_that_leads_outside_is_invalid(s: Stage) -> Found {
    let name = s.agent_name("outside")?;
    let paths = [
        format!("../{name}/agent.yaml"),
        format!("x/../../{name}/agent.yaml"),
        format!("/{name}/agent.yaml"),
        format!("{name}\\agent.yaml"),
    ];
    for path in &paths {
        invalid(&format!("adopting {path:?}"), s.r.agents.adopt(path).await)?;
    }
    ensure(
        s.r.agents
            .list()
            .await?
            .iter()
            .all(|agent| agent.name != name),
        "an agent was made of files outside",
    )
}

pub(super) async fn adopting_an_agents_files_is_a_conflict(s: Stage) -> Found {
    let agent = s.agent("a").await?;
    let config = s.config(agent.id).await?;
    conflict(
        "adopting a living agent's files",
        s.r.agents.adopt(&agent.config_file).await,
    )?;
    s.shows_agent(&agent).await?;
    same("the persona", &s.config(agent.id).await?, &config)?;
    let named =
        s.r.agents
            .list()
            .await?
            .iter()
            .filter(|other| other.name == agent.name)
            .count();
    same("the number of agents with the files' name", &named, &1)
}

pub(super) async fn adopting_what_is_not_there_is_missing(s: Stage) -> Found {
    let gone = s.deleted_agent("gone").await?;
    let renamed = s.agent("old").await?;
    let change = AgentChange {
        name: Some(s.agent_name("new")?),
        ..AgentChange::default()
    };
    s.r.agents.update(renamed.id, change).await?;
    for path in [
        &format!("{}/agent.yaml", s.agent_name("nobody")?),
        &gone.config_file,
        &renamed.config_file,
    ] {
        let outcome = s.r.agents.adopt(path).await;
        ensure(
            matches!(outcome, Err(Error::Missing { .. })),
            format!("adopting {path:?} should be missing, not {outcome:?}"),
        )?;
    }
    let names = [
        s.agent_name("nobody")?,
        gone.name.clone(),
        renamed.name.clone(),
    ];
    ensure(
        s.r.agents
            .list()
            .await?
            .iter()
            .all(|agent| !names.contains(&agent.name)),
        "an agent was made of no files",
    )
}
