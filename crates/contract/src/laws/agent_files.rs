//! Laws of an agent's files: its picture, and files that can be adopted.

use domain::{AgentChange, AgentConfig, Error, LIST_LIMIT, NewAgent, Picture};

use super::{
    ensure::{Outcome, ensure, ensure_conflict, ensure_eq, ensure_invalid, ensure_some},
    law_run::LawRun,
};

pub(super) async fn the_store_names_the_picture(run: LawRun) -> Outcome {
    let config = AgentConfig {
        profile_pic: Some("../elsewhere.png".into()),
        ..AgentConfig::default()
    };
    let without = run
        .ports
        .agents
        .create(NewAgent {
            config: config.clone(),
            ..run.new_agent("without")?
        })
        .await?;
    ensure_eq(
        "the picture of an agent without one",
        &run.persona(without.id).await?.profile_pic,
        &None,
    )?;

    let picture = |media_type: &str| {
        Some(Picture {
            media_type: media_type.into(),
            bytes: vec![1, 2, 3],
        })
    };
    let with = run
        .ports
        .agents
        .create(NewAgent {
            config,
            picture: picture("image/png"),
            ..run.new_agent("with")?
        })
        .await?;
    let named = ensure_some(
        "the file name of a stored picture",
        run.persona(with.id).await?.profile_pic.clone(),
    )?;
    ensure(!named.contains("elsewhere"), "the caller named the picture")?;

    let change = AgentChange {
        picture: picture("image/webp"),
        ..AgentChange::default()
    };
    run.ports.agents.update(without.id, change).await?;
    ensure(
        run.persona(without.id).await?.profile_pic.is_some(),
        "a picture stored by an update has no file name",
    )?;
    run.ports
        .agents
        .update(
            with.id,
            AgentChange {
                priority: Some(2),
                ..AgentChange::default()
            },
        )
        .await?;
    ensure_eq(
        "the picture after an update of something else",
        &run.persona(with.id).await?.profile_pic,
        &Some(named),
    )
}

pub(super) async fn adopting_a_path_that_leads_outside_is_invalid(run: LawRun) -> Outcome {
    let name = run.agent_name("outside")?;
    let paths = [
        format!("../{name}/agent.yaml"),
        format!("x/../../{name}/agent.yaml"),
        format!("/{name}/agent.yaml"),
        format!("{name}\\agent.yaml"),
    ];
    for path in &paths {
        ensure_invalid(
            &format!("adopting {path:?}"),
            run.ports.files.adopt(path).await,
        )?;
    }
    ensure(
        run.ports
            .agents
            .list(None, LIST_LIMIT)
            .await?
            .iter()
            .all(|agent| agent.name != name),
        "files outside the agents' folder became an agent",
    )
}

pub(super) async fn adopting_an_agents_files_is_a_conflict(run: LawRun) -> Outcome {
    let agent = run.create_agent("a").await?;
    let config = run.persona(agent.id).await?;
    ensure_conflict(
        "adopting a living agent's files",
        run.ports.files.adopt(&agent.config_file).await,
    )?;
    run.ensure_agent_shown(&agent).await?;
    ensure_eq("the persona", &run.persona(agent.id).await?, &config)?;
    let count = run.count_agents_named(&agent.name).await?;
    ensure_eq("the number of agents with the files' name", &count, &1)
}

pub(super) async fn adopting_a_path_without_files_is_missing(run: LawRun) -> Outcome {
    let deleted = run.create_deleted_agent("deleted").await?;
    let renamed = run.create_agent("old").await?;
    let change = AgentChange {
        name: Some(run.agent_name("new")?),
        ..AgentChange::default()
    };
    run.ports.agents.update(renamed.id, change).await?;
    for path in [
        &format!("{}/agent.yaml", run.agent_name("unknown")?),
        &deleted.config_file,
        &renamed.config_file,
    ] {
        let outcome = run.ports.files.adopt(path).await;
        ensure(
            matches!(outcome, Err(Error::Missing { .. })),
            format!("adopting {path:?} should be missing, not {outcome:?}"),
        )?;
    }
    let names = [
        run.agent_name("unknown")?,
        deleted.name.clone(),
        renamed.name.clone(),
    ];
    ensure(
        run.ports
            .agents
            .list(None, LIST_LIMIT)
            .await?
            .iter()
            .all(|agent| !names.contains(&agent.name)),
        "a path without files became an agent",
    )
}
