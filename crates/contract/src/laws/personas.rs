//! Laws of reading personas.

use domain::{AgentChange, AgentConfig, AgentId, NewAgent, Picture};

use super::{
    ensure::{Outcome, UNKNOWN_AGENT, ensure_eq, ensure_missing},
    law_run::LawRun,
    persona_samples::{event, tricky_persona},
};

pub(super) async fn a_persona_is_returned_as_it_was_stored(run: LawRun) -> Outcome {
    let agent = run
        .ports
        .agents
        .create(NewAgent {
            config: tricky_persona(),
            ..run.new_agent("a")?
        })
        .await?;
    ensure_eq(
        "the persona created with the agent",
        &*run.persona(agent.id).await?,
        &tricky_persona(),
    )?;
    ensure_eq(
        "the reloaded persona",
        &*run.ports.files.reload(agent.id).await?,
        &tricky_persona(),
    )?;
    let plain = run.create_agent("b").await?;
    run.persona(plain.id).await?;
    ensure_eq(
        "the persona that save returns",
        &*run.ports.configs.save(plain.id, tricky_persona()).await?,
        &tricky_persona(),
    )?;
    ensure_eq(
        "the saved persona",
        &*run.persona(plain.id).await?,
        &tricky_persona(),
    )?;
    let empty = AgentConfig::default();
    run.ports.configs.save(plain.id, empty.clone()).await?;
    ensure_eq(
        "the saved empty persona",
        &*run.persona(plain.id).await?,
        &empty,
    )?;
    ensure_eq(
        "the persona of the other agent",
        &*run.persona(agent.id).await?,
        &tricky_persona(),
    )
}

pub(super) async fn a_deleted_or_unknown_agent_has_no_persona(run: LawRun) -> Outcome {
    let (agent, other) = (run.create_agent("a").await?, run.create_agent("b").await?);
    run.persona(agent.id).await?;
    run.ports.agents.delete(agent.id).await?;
    let configs = &run.ports.configs;
    for id in [agent.id, UNKNOWN_AGENT, AgentId(0)] {
        ensure_eq("the persona", &configs.find(id).await?, &None)?;
        ensure_eq(
            "the persona among many",
            &configs.find_many(&[id]).await?,
            &vec![],
        )?;
        ensure_missing(
            "saving the persona",
            configs.save(id, tricky_persona()).await,
        )?;
        ensure_missing(
            "appending a memory",
            configs.append_memory(id, event("late")).await,
        )?;
        ensure_missing("reloading the files", run.ports.files.reload(id).await)?;
        ensure_eq(
            "the persona after refused writes",
            &configs.find(id).await?,
            &None,
        )?;
    }
    let found: Vec<_> = configs
        .find_many(&[other.id, agent.id, UNKNOWN_AGENT])
        .await?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    ensure_eq(
        "the ids, of three, that have a persona",
        &found,
        &vec![other.id],
    )
}

pub(super) async fn personas_found_together_come_by_ascending_id_each_once(run: LawRun) -> Outcome {
    let (a, b, c) = (
        run.create_agent("c").await?.id,
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
    );
    let expected = vec![
        (a, run.persona(a).await?),
        (b, run.persona(b).await?),
        (c, run.persona(c).await?),
    ];
    let found = run
        .ports
        .configs
        .find_many(&[c, a, UNKNOWN_AGENT, c, b, a])
        .await?;
    ensure_eq("the personas found together", &found, &expected)?;
    ensure_eq(
        "the personas of no ids",
        &run.ports.configs.find_many(&[]).await?,
        &vec![],
    )
}

pub(super) async fn find_again_returns_what_find_many_returns(run: LawRun) -> Outcome {
    let (a, b) = (
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
    );
    let ids = [b, UNKNOWN_AGENT, a, b];
    for _ in 0..2 {
        ensure_eq(
            "the personas found again",
            &run.ports.files.find_again(&ids).await?,
            &run.ports.configs.find_many(&ids).await?,
        )?;
    }
    let saved = run.ports.configs.save(a, tricky_persona()).await?;
    ensure_eq(
        "a saved persona found again",
        &run.ports.files.find_again(&[a]).await?,
        &vec![(a, saved)],
    )?;
    let remembered = run.ports.configs.append_memory(a, event("late")).await?;
    ensure_eq(
        "a memory found again",
        &run.ports.files.find_again(&[a]).await?,
        &vec![(a, remembered)],
    )?;
    run.ports
        .agents
        .update(
            a,
            AgentChange {
                priority: Some(7),
                ..AgentChange::default()
            },
        )
        .await?;
    ensure_eq(
        "a changed persona found again",
        &run.ports.files.find_again(&ids).await?,
        &run.ports.configs.find_many(&ids).await?,
    )?;
    run.ports.agents.delete(a).await?;
    let found: Vec<_> = run
        .ports
        .files
        .find_again(&ids)
        .await?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    ensure_eq("the ids found again after a deletion", &found, &vec![b])?;
    ensure_eq(
        "the personas of no ids",
        &run.ports.files.find_again(&[]).await?,
        &vec![],
    )
}

pub(super) async fn a_picture_is_returned_as_stored_while_its_agent_lives(run: LawRun) -> Outcome {
    let picture = |bytes: &[u8]| {
        Some(Picture {
            media_type: "image/png".into(),
            bytes: bytes.to_vec(),
        })
    };
    let agent = run
        .ports
        .agents
        .create(NewAgent {
            picture: picture(&[0, 255, 7]),
            ..run.new_agent("seen")?
        })
        .await?
        .id;
    ensure_eq(
        "a picture",
        &run.ports.configs.picture(agent).await?.as_deref(),
        &Some(&[0, 255, 7][..]),
    )?;
    run.ports
        .agents
        .update(
            agent,
            AgentChange {
                picture: picture(&[9]),
                ..AgentChange::default()
            },
        )
        .await?;
    ensure_eq(
        "a new picture",
        &run.ports.configs.picture(agent).await?.as_deref(),
        &Some(&[9][..]),
    )?;
    let without = run.ports.agents.create(run.new_agent("unseen")?).await?.id;
    ensure_eq(
        "the picture of an agent without one",
        &run.ports.configs.picture(without).await?,
        &None,
    )?;
    ensure_eq(
        "the picture of an unknown agent",
        &run.ports.configs.picture(UNKNOWN_AGENT).await?,
        &None,
    )?;
    run.ports.agents.delete(agent).await?;
    ensure_eq(
        "the picture of a deleted agent",
        &run.ports.configs.picture(agent).await?,
        &None,
    )
}

pub(super) async fn an_agents_persona_is_its_own(run: LawRun) -> Outcome {
    let (a, b) = (
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
    );
    let before = run.persona(b).await?;
    run.ports.configs.save(a, tricky_persona()).await?;
    run.ports.configs.append_memory(a, event("mine")).await?;
    run.ports
        .agents
        .update(
            a,
            AgentChange {
                characteristics: Some("mine".into()),
                ..AgentChange::default()
            },
        )
        .await?;
    run.ports.files.reload(a).await?;
    ensure_eq("another agent's persona", &run.persona(b).await?, &before)?;
    ensure_eq(
        "the agent's own characteristics",
        &run.persona(a).await?.characteristics,
        &"mine".into(),
    )
}
