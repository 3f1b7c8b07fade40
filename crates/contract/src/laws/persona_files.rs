//! Laws of the files that hold personas.

use domain::{AgentChange, ConfigFile, NewAgent, Picture};
use futures_util::FutureExt as _;

use super::{
    ensure::{Outcome, UNKNOWN_AGENT, ensure, ensure_eq},
    law_run::LawRun,
    persona_samples::{event, tricky_persona},
};

pub(super) async fn reloading_unchanged_files_changes_nothing(run: LawRun) -> Outcome {
    let agent = run
        .ports
        .agents
        .create(NewAgent {
            config: tricky_persona(),
            ..run.new_agent("a")?
        })
        .await?;
    run.ports
        .configs
        .append_memory(agent.id, event("late"))
        .await?;
    let config = run.persona(agent.id).await?;
    for _ in 0..2 {
        ensure_eq(
            "the persona that reload returns",
            &run.ports.files.reload(agent.id).await?,
            &config,
        )?;
        ensure_eq("the persona after", &run.persona(agent.id).await?, &config)?;
    }
    Ok(())
}

pub(super) async fn stored_personas_are_listed_by_name(run: LawRun) -> Outcome {
    let (c, a, b) = (
        run.create_agent("c").await?,
        run.create_agent("a").await?,
        run.create_agent("b").await?,
    );
    let listed = |list: &[ConfigFile], path: &str| {
        list.iter()
            .find(|file| file.path == path)
            .map(|file| file.name.clone())
    };
    let list = run.ports.files.list().await?;
    ensure(
        list.is_sorted_by(|one, next| one.name <= next.name),
        "stored personas are not listed by name",
    )?;
    for agent in [&c, &a, &b] {
        ensure_eq(
            "the name listed for the agent's file",
            &listed(&list, &agent.config_file),
            &Some(agent.name.clone()),
        )?;
    }
    let change = AgentChange {
        name: Some(run.agent_name("d")?),
        ..AgentChange::default()
    };
    let renamed = run.ports.agents.update(a.id, change).await?;
    run.ports.agents.delete(b.id).await?;
    let list = run.ports.files.list().await?;
    ensure(
        list.is_sorted_by(|one, next| one.name <= next.name),
        "stored personas are not listed by name after a change",
    )?;
    ensure_eq(
        "the renamed agent's file",
        &listed(&list, &renamed.config_file),
        &Some(renamed.name.clone()),
    )?;
    ensure_eq(
        "the renamed agent's old file",
        &listed(&list, &a.config_file),
        &None,
    )?;
    ensure(
        list.iter().all(|file| file.name != a.name),
        "a renamed agent's old name is listed",
    )?;
    ensure(
        list.iter()
            .all(|file| file.name != b.name && file.path != b.config_file),
        "a deleted agent's files are listed",
    )
}

pub(super) async fn a_write_through_the_ports_is_not_a_foreign_change(run: LawRun) -> Outcome {
    let (configs, files) = (&run.ports.configs, &run.ports.files);
    let picture = Some(Picture {
        media_type: "image/png".into(),
        bytes: vec![1],
    });
    let created = run
        .ports
        .agents
        .create(NewAgent {
            config: tricky_persona(),
            picture,
            ..run.new_agent("a")?
        })
        .await?
        .id;
    let saved = run.create_agent("b").await?.id;
    configs.save(saved, tricky_persona()).await?;
    let renamed = run.create_agent("c").await?.id;
    let change = AgentChange {
        name: Some(run.agent_name("d")?),
        priority: Some(3),
        ..AgentChange::default()
    };
    run.ports.agents.update(renamed, change).await?;
    let remembering = run.create_agent("e").await?.id;
    configs.append_memory(remembering, event("late")).await?;
    for id in [created, saved, renamed, remembering] {
        run.persona(id).await?;
    }
    ensure_eq(
        "the agents with foreign changes",
        &files
            .changed(&[created, saved, renamed, UNKNOWN_AGENT, remembering])
            .await?,
        &vec![],
    )?;
    // The result may contain agents whose files other users of the store have changed.
    let reported = files
        .watch()
        .now_or_never()
        .transpose()?
        .unwrap_or_default();
    ensure(
        ![created, saved, renamed, remembering]
            .iter()
            .any(|id| reported.contains(id)),
        "a write through the ports was reported as a foreign change",
    )
}

pub(super) async fn valid_files_are_not_reported(run: LawRun) -> Outcome {
    let agent = run
        .ports
        .agents
        .create(NewAgent {
            config: tricky_persona(),
            ..run.new_agent("a")?
        })
        .await?;
    run.ports.configs.save(agent.id, tricky_persona()).await?;
    let problems = run.ports.files.problems().await?;
    ensure(
        problems
            .iter()
            .all(|problem| problem.name != agent.name.as_str()),
        "valid files were reported as a problem",
    )
}
