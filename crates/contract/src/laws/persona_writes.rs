//! Laws of saving personas and appending memories.

use domain::{AgentConfig, NewAgent, Picture};

use super::{
    ensure::{Outcome, ensure, ensure_eq},
    law_run::{LawRun, in_tasks},
    persona_samples::{event, tricky_persona},
};

pub(super) async fn saving_replaces_all_but_the_picture(run: LawRun) -> Outcome {
    let picture = Some(Picture {
        media_type: "image/jpeg".into(),
        bytes: vec![1],
    });
    let agent = run
        .ports
        .agents
        .create(NewAgent {
            config: tricky_persona(),
            picture,
            ..run.new_agent("a")?
        })
        .await?;
    let profile_pic = run.persona(agent.id).await?.profile_pic.clone();
    ensure(profile_pic.is_some(), "a stored picture has no file name")?;
    for given in [None, Some("other.png".to_owned())] {
        let config = AgentConfig {
            in_a_nutshell: "new".into(),
            profile_pic: given,
            ..AgentConfig::default()
        };
        let saved = run.ports.configs.save(agent.id, config.clone()).await?;
        ensure_eq(
            "the persona that save returns",
            &*saved,
            &AgentConfig {
                profile_pic: profile_pic.clone(),
                ..config
            },
        )?;
        ensure_eq("the saved persona", &run.persona(agent.id).await?, &saved)?;
        ensure_eq(
            "the saved persona after a reload",
            &run.ports.files.reload(agent.id).await?,
            &saved,
        )?;
    }
    run.ensure_agent_shown(&run.agent_row(agent.id).await?)
        .await
}

pub(super) async fn a_recent_event_is_added_after_the_others(run: LawRun) -> Outcome {
    let agent = run
        .ports
        .agents
        .create(NewAgent {
            config: tricky_persona(),
            ..run.new_agent("a")?
        })
        .await?;
    let mut expected = tricky_persona();
    for text in ["z", "a", "m"] {
        ensure_eq(
            "the persona before",
            &*run.persona(agent.id).await?,
            &expected,
        )?;
        expected.recent_events.push(event(text));
        let stored = run
            .ports
            .configs
            .append_memory(agent.id, event(text))
            .await?;
        ensure_eq(
            "the persona that append_memory returns",
            &*stored,
            &expected,
        )?;
    }
    ensure_eq(
        "the persona after",
        &*run.persona(agent.id).await?,
        &expected,
    )?;
    ensure_eq(
        "the persona after a reload",
        &*run.ports.files.reload(agent.id).await?,
        &expected,
    )
}

pub(super) async fn concurrent_memories_all_stay(run: LawRun) -> Outcome {
    let agent = run.create_agent("a").await?.id;
    run.persona(agent).await?;
    let mut texts: Vec<_> = (0..8).map(|n| format!("memory {n}")).collect();
    let calls = texts.clone().into_iter().map(|text| {
        let ports = run.ports.clone();
        async move { ports.configs.append_memory(agent, event(&text)).await }
    });
    for outcome in in_tasks(calls).await? {
        outcome?;
    }
    let mut stored: Vec<_> = run
        .persona(agent)
        .await?
        .recent_events
        .iter()
        .map(|event| event.text.clone())
        .collect();
    stored.sort();
    texts.sort();
    ensure_eq("the memories of concurrent calls", &stored, &texts)
}
