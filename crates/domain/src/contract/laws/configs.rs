//! Laws of the agents' personas.

use futures_util::{FutureExt as _, future::join_all};

use super::stage::{Found, NOBODY, Stage, ensure, missing, same};
use crate::{
    AgentChange, AgentConfig, AgentId, ConfigFile, LongTermMemory, NewAgent, Picture, RecentEvent,
};

fn event(text: &str) -> RecentEvent {
    RecentEvent {
        date: None,
        text: text.into(),
    }
}

fn tricky() -> AgentConfig {
    AgentConfig {
        in_a_nutshell: "- no: 'it' \"is\" # not: a comment".into(),
        characteristics: "하늘을 본다: yes\n\n  indented {like: [this]}\nÆther 🜁 | null".into(),
        recent_events: vec![
            RecentEvent {
                date: chrono::NaiveDate::from_ymd_opt(1999, 12, 31),
                text: "met: 'Ada' & \"Bo\" # 하늘".into(),
            },
            event("true"),
        ],
        long_term_memories: vec![
            LongTermMemory {
                title: "the: first".into(),
                text: "- cold & 'wet'".into(),
            },
            LongTermMemory {
                title: "바다".into(),
                text: "42".into(),
            },
        ],
        is_critic: true,
        interrupt_every_turn: true,
        priority: -2,
        transparent: true,
        profile_pic: None,
    }
}

pub(super) async fn a_persona_comes_back_as_it_was_given(s: Stage) -> Found {
    let agent =
        s.r.agents
            .create(NewAgent {
                config: tricky(),
                ..s.new_agent("a")?
            })
            .await?;
    same(
        "the persona that the agent was made with",
        &*s.config(agent.id).await?,
        &tricky(),
    )?;
    same(
        "the persona read anew",
        &*s.r.configs.reload(agent.id).await?,
        &tricky(),
    )?;
    let plain = s.agent("b").await?;
    s.config(plain.id).await?;
    same(
        "the persona that save gives",
        &*s.r.configs.save(plain.id, tricky()).await?,
        &tricky(),
    )?;
    same(
        "the persona that was saved",
        &*s.config(plain.id).await?,
        &tricky(),
    )?;
    let empty = AgentConfig::default();
    s.r.configs.save(plain.id, empty.clone()).await?;
    same(
        "the empty persona that was saved",
        &*s.config(plain.id).await?,
        &empty,
    )?;
    same(
        "the persona of the other agent",
        &*s.config(agent.id).await?,
        &tricky(),
    )
}

pub(super) async fn a_deleted_or_unknown_agent_has_no_persona(s: Stage) -> Found {
    let (agent, other) = (s.agent("a").await?, s.agent("b").await?);
    s.config(agent.id).await?;
    s.r.agents.delete(agent.id).await?;
    let configs = &s.r.configs;
    for id in [agent.id, NOBODY, AgentId(0)] {
        same("the persona", &configs.find(id).await?, &None)?;
        same(
            "the persona among many",
            &configs.find_many(&[id]).await?,
            &vec![],
        )?;
        missing("saving the persona", configs.save(id, tricky()).await)?;
        missing(
            "remembering",
            configs.append_memory(id, event("late")).await,
        )?;
        missing("reading the files anew", configs.reload(id).await)?;
        same("the persona, still,", &configs.find(id).await?, &None)?;
    }
    let found: Vec<_> = configs
        .find_many(&[other.id, agent.id, NOBODY])
        .await?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    same(
        "those of three that have a persona",
        &found,
        &vec![other.id],
    )
}

pub(super) async fn personas_found_together_come_by_rising_id_each_once(s: Stage) -> Found {
    let (a, b, c) = (
        s.agent("c").await?.id,
        s.agent("a").await?.id,
        s.agent("b").await?.id,
    );
    let wanted = vec![
        (a, s.config(a).await?),
        (b, s.config(b).await?),
        (c, s.config(c).await?),
    ];
    let found = s.r.configs.find_many(&[c, a, NOBODY, c, b, a]).await?;
    same("the personas found together", &found, &wanted)?;
    same(
        "the personas of no ids",
        &s.r.configs.find_many(&[]).await?,
        &vec![],
    )
}

pub(super) async fn what_is_found_again_is_what_is_there(s: Stage) -> Found {
    let (a, b) = (s.agent("a").await?.id, s.agent("b").await?.id);
    let ids = [b, NOBODY, a, b];
    for _ in 0..2 {
        same(
            "the personas found again",
            &s.r.configs.find_again(&ids).await?,
            &s.r.configs.find_many(&ids).await?,
        )?;
    }
    let saved = s.r.configs.save(a, tricky()).await?;
    same(
        "a saved persona found again",
        &s.r.configs.find_again(&[a]).await?,
        &vec![(a, saved)],
    )?;
    let remembered = s.r.configs.append_memory(a, event("late")).await?;
    same(
        "a memory found again",
        &s.r.configs.find_again(&[a]).await?,
        &vec![(a, remembered)],
    )?;
    s.r.agents
        .update(
            a,
            AgentChange {
                priority: Some(7),
                ..AgentChange::default()
            },
        )
        .await?;
    same(
        "a changed persona found again",
        &s.r.configs.find_again(&ids).await?,
        &s.r.configs.find_many(&ids).await?,
    )?;
    s.r.agents.delete(a).await?;
    let found: Vec<_> =
        s.r.configs
            .find_again(&ids)
            .await?
            .into_iter()
            .map(|(id, _)| id)
            .collect();
    same("those found again after a deletion", &found, &vec![b])?;
    same(
        "the personas of no ids",
        &s.r.configs.find_again(&[]).await?,
        &vec![],
    )
}

pub(super) async fn a_picture_comes_back_as_it_was_given_while_its_agent_lives(s: Stage) -> Found {
    let picture = |bytes: &[u8]| {
        Some(Picture {
            media_type: "image/png".into(),
            bytes: bytes.to_vec(),
        })
    };
    let agent =
        s.r.agents
            .create(NewAgent {
                picture: picture(&[0, 255, 7]),
                ..s.new_agent("seen")?
            })
            .await?
            .id;
    same(
        "a picture",
        &s.r.configs.picture(agent).await?.as_deref(),
        &Some(&[0, 255, 7][..]),
    )?;
    s.r.agents
        .update(
            agent,
            AgentChange {
                picture: picture(&[9]),
                ..AgentChange::default()
            },
        )
        .await?;
    same(
        "a new picture",
        &s.r.configs.picture(agent).await?.as_deref(),
        &Some(&[9][..]),
    )?;
    let without = s.r.agents.create(s.new_agent("unseen")?).await?.id;
    same(
        "the picture of an agent without one",
        &s.r.configs.picture(without).await?,
        &None,
    )?;
    same(
        "the picture of nobody",
        &s.r.configs.picture(NOBODY).await?,
        &None,
    )?;
    s.r.agents.delete(agent).await?;
    same(
        "the picture of a deleted agent",
        &s.r.configs.picture(agent).await?,
        &None,
    )
}

pub(super) async fn saving_replaces_all_but_the_picture(s: Stage) -> Found {
    let picture = Some(Picture {
        media_type: "image/jpeg".into(),
        bytes: vec![1],
    });
    let agent =
        s.r.agents
            .create(NewAgent {
                config: tricky(),
                picture,
                ..s.new_agent("a")?
            })
            .await?;
    let profile_pic = s.config(agent.id).await?.profile_pic.clone();
    ensure(profile_pic.is_some(), "a stored picture has no name")?;
    for given in [None, Some("other.png".to_owned())] {
        let config = AgentConfig {
            in_a_nutshell: "new".into(),
            profile_pic: given,
            ..AgentConfig::default()
        };
        let saved = s.r.configs.save(agent.id, config.clone()).await?;
        same(
            "what save gives",
            &*saved,
            &AgentConfig {
                profile_pic: profile_pic.clone(),
                ..config
            },
        )?;
        same("the saved persona", &s.config(agent.id).await?, &saved)?;
        same(
            "the saved persona, read anew,",
            &s.r.configs.reload(agent.id).await?,
            &saved,
        )?;
    }
    s.shows_agent(&s.row(agent.id).await?).await
}

pub(super) async fn a_recent_event_is_added_behind_the_others(s: Stage) -> Found {
    let agent =
        s.r.agents
            .create(NewAgent {
                config: tricky(),
                ..s.new_agent("a")?
            })
            .await?;
    let mut wanted = tricky();
    for text in ["z", "a", "m"] {
        same("the persona before", &*s.config(agent.id).await?, &wanted)?;
        wanted.recent_events.push(event(text));
        let stored = s.r.configs.append_memory(agent.id, event(text)).await?;
        same("what append_memory gives", &*stored, &wanted)?;
    }
    same("the persona after", &*s.config(agent.id).await?, &wanted)?;
    same(
        "the persona after, read anew,",
        &*s.r.configs.reload(agent.id).await?,
        &wanted,
    )
}

pub(super) async fn concurrent_memories_all_stay(s: Stage) -> Found {
    let agent = s.agent("a").await?.id;
    s.config(agent).await?;
    let mut texts: Vec<_> = (0..8).map(|n| format!("memory {n}")).collect();
    for outcome in join_all(
        texts
            .iter()
            .map(|text| s.r.configs.append_memory(agent, event(text))),
    )
    .await
    {
        outcome?;
    }
    let mut stored: Vec<_> = s
        .config(agent)
        .await?
        .recent_events
        .iter()
        .map(|event| event.text.clone())
        .collect();
    stored.sort();
    texts.sort();
    same("the memories of concurrent calls", &stored, &texts)
}

pub(super) async fn reading_unchanged_files_anew_changes_nothing(s: Stage) -> Found {
    let agent =
        s.r.agents
            .create(NewAgent {
                config: tricky(),
                ..s.new_agent("a")?
            })
            .await?;
    s.r.configs.append_memory(agent.id, event("late")).await?;
    let config = s.config(agent.id).await?;
    for _ in 0..2 {
        same(
            "the persona that reload gives",
            &s.r.configs.reload(agent.id).await?,
            &config,
        )?;
        same("the persona after", &s.config(agent.id).await?, &config)?;
    }
    Ok(())
}

pub(super) async fn an_agents_persona_is_its_own(s: Stage) -> Found {
    let (a, b) = (s.agent("a").await?.id, s.agent("b").await?.id);
    let before = s.config(b).await?;
    s.r.configs.save(a, tricky()).await?;
    s.r.configs.append_memory(a, event("mine")).await?;
    s.r.agents
        .update(
            a,
            AgentChange {
                characteristics: Some("mine".into()),
                ..AgentChange::default()
            },
        )
        .await?;
    s.r.configs.reload(a).await?;
    same("another agent's persona", &s.config(b).await?, &before)?;
    same(
        "its own",
        &s.config(a).await?.characteristics,
        &"mine".into(),
    )
}

pub(super) async fn stored_personas_are_listed_by_name(s: Stage) -> Found {
    let (c, a, b) = (
        s.agent("c").await?,
        s.agent("a").await?,
        s.agent("b").await?,
    );
    let listed = |list: &[ConfigFile], path: &str| {
        list.iter()
            .find(|file| file.path == path)
            .map(|file| file.name.clone())
    };
    let list = s.r.configs.list().await?;
    ensure(
        list.is_sorted_by(|one, next| one.name <= next.name),
        "stored personas are not listed by name",
    )?;
    for agent in [&c, &a, &b] {
        same(
            "the name that the agent's file is listed with",
            &listed(&list, &agent.config_file),
            &Some(agent.name.clone()),
        )?;
    }
    let change = AgentChange {
        name: Some(s.agent_name("d")?),
        ..AgentChange::default()
    };
    let renamed = s.r.agents.update(a.id, change).await?;
    s.r.agents.delete(b.id).await?;
    let list = s.r.configs.list().await?;
    ensure(
        list.is_sorted_by(|one, next| one.name <= next.name),
        "stored personas are not listed by name after a change",
    )?;
    same(
        "the renamed agent's file",
        &listed(&list, &renamed.config_file),
        &Some(renamed.name.clone()),
    )?;
    same(
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

pub(super) async fn what_is_written_through_the_ports_is_no_foreign_change(s: Stage) -> Found {
    let configs = &s.r.configs;
    let picture = Some(Picture {
        media_type: "image/png".into(),
        bytes: vec![1],
    });
    let made =
        s.r.agents
            .create(NewAgent {
                config: tricky(),
                picture,
                ..s.new_agent("a")?
            })
            .await?
            .id;
    let saved = s.agent("b").await?.id;
    configs.save(saved, tricky()).await?;
    let renamed = s.agent("c").await?.id;
    let change = AgentChange {
        name: Some(s.agent_name("d")?),
        priority: Some(3),
        ..AgentChange::default()
    };
    s.r.agents.update(renamed, change).await?;
    let remembering = s.agent("e").await?.id;
    configs.append_memory(remembering, event("late")).await?;
    for id in [made, saved, renamed, remembering] {
        s.config(id).await?;
    }
    same(
        "those whose files were changed",
        &configs
            .changed(&[made, saved, renamed, NOBODY, remembering])
            .await?,
        &vec![],
    )?;
    // What happens beside these laws may be told.
    let told = configs
        .watch()
        .now_or_never()
        .transpose()?
        .unwrap_or_default();
    ensure(
        ![made, saved, renamed, remembering]
            .iter()
            .any(|id| told.contains(id)),
        "a write is told as a foreign change",
    )
}

pub(super) async fn nothing_is_told_of_files_that_are_well(s: Stage) -> Found {
    let agent =
        s.r.agents
            .create(NewAgent {
                config: tricky(),
                ..s.new_agent("a")?
            })
            .await?;
    s.r.configs.save(agent.id, tricky()).await?;
    let problems = s.r.configs.problems().await?;
    ensure(
        problems
            .iter()
            .all(|problem| problem.name != agent.name.as_str()),
        "something is told of files that are well",
    )
}
