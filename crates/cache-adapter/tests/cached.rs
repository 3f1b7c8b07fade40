//! The decorated ports over the in-memory backend and over mocks.

use std::{sync::Arc, time::Duration};

use cache_adapter::{Cache, Options, Preset, Row, TailLimits, observe};
use cache_core::{Clock, Runtime};
use domain::{
    AgentConfig, AgentId, MessageId, MockAgentConfigs, NewMessage, NewRoom, Repositories, RoomId,
    RoomName, UserId,
    contract::{self, memory},
};

fn cache_with(tail: TailLimits) -> Cache {
    Cache::new(
        memory::repositories(),
        Options {
            tail,
            preset: Preset::Coherent,
            ..Options::default()
        },
    )
}

fn cache(store: Repositories) -> Cache {
    Cache::new(store, Options::default())
}

async fn room(ports: &Repositories, name: &str) -> RoomId {
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse(name).unwrap(),
        max_interactions: None,
    };
    ports.rooms.create(new).await.unwrap().id
}

#[tokio::test]
async fn the_laws_hold_through_the_cache_and_past_it() {
    contract::check(&cache(memory::repositories()).repositories)
        .await
        .assert();
    contract::check(&cache(memory::repositories()).bypassing)
        .await
        .assert();
}

#[tokio::test]
async fn a_configuration_is_asked_for_once_and_each_time_past_the_cache() {
    let mut configs = MockAgentConfigs::new();
    configs
        .expect_find_again()
        .times(1)
        .returning(|_| Ok(vec![(AgentId(1), Arc::new(AgentConfig::default()))]));
    configs
        .expect_find()
        .times(2)
        .returning(|_| Ok(Some(Arc::new(AgentConfig::default()))));
    let cache = cache(Repositories {
        configs: Arc::new(configs),
        ..memory::repositories()
    });
    for _ in 0..5 {
        cache.repositories.configs.find(AgentId(1)).await.unwrap();
    }
    for _ in 0..2 {
        cache.bypassing.configs.find(AgentId(1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_write_past_the_cache_ends_what_the_cache_holds() {
    let cache = cache(memory::repositories());
    let room = room(&cache.repositories, "tea").await;
    assert!(
        cache
            .repositories
            .messages
            .since(room, MessageId(0), 10)
            .await
            .unwrap()
            .is_empty()
    );
    cache
        .bypassing
        .messages
        .append(NewMessage::from_user(room, "hi"))
        .await
        .unwrap();
    assert_eq!(
        cache
            .repositories
            .messages
            .since(room, MessageId(0), 10)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn an_observed_read_tells_whether_all_of_it_came_from_memory() {
    let cache = cache(memory::repositories());
    let room = room(&cache.repositories, "tea").await;
    let find = || async { cache.repositories.rooms.find(room).await.unwrap() };
    assert!(!observe(find()).await.1.is_hit());
    assert!(observe(find()).await.1.is_hit());
    let (_, seen) =
        observe(async { (find().await, cache.repositories.rooms.members(room).await) }).await;
    assert!((seen.parts, seen.hits) == (2, 1) && !seen.is_hit());
    assert!(!observe(cache.bypassing.rooms.find(room)).await.1.is_hit());
    assert!(!observe(async {}).await.1.is_hit());
}

#[tokio::test]
async fn messages_older_than_the_kept_ones_come_from_the_store() {
    let cache = cache(memory::repositories());
    let ports = &cache.repositories;
    let room = room(ports, "tea").await;
    for at in 0..450 {
        ports
            .messages
            .append(NewMessage::from_user(room, at.to_string()))
            .await
            .unwrap();
    }
    let (mut after, mut read) = (MessageId(0), Vec::new());
    loop {
        let page = ports.messages.since(room, after, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.id;
        read.extend(page.iter().map(|message| message.content.clone()));
    }
    assert_eq!(read, (0..450).map(|at| at.to_string()).collect::<Vec<_>>());
    let befores = [
        None,
        Some(MessageId(after.0 - 3)),
        Some(MessageId(after.0 - 190)),
        Some(MessageId(1)),
    ];
    for (before, limit) in befores
        .into_iter()
        .flat_map(|before| [0, 5, 50, 200, 201].map(|limit| (before, limit)))
    {
        let cached = ports.messages.recent(room, before, limit).await.unwrap();
        assert_eq!(
            cached,
            cache
                .bypassing
                .messages
                .recent(room, before, limit)
                .await
                .unwrap(),
            "{before:?} {limit}"
        );
    }
}

#[tokio::test]
async fn invalidating_a_room_by_hand_leaves_the_others() {
    let cache = cache(memory::repositories());
    let rooms = [
        room(&cache.repositories, "a").await,
        room(&cache.repositories, "b").await,
    ];
    for room in rooms {
        cache.repositories.rooms.find(room).await.unwrap();
        cache.repositories.rooms.activity(room).await.unwrap();
        cache
            .repositories
            .read_positions
            .mark(UserId::admin(), room)
            .await
            .unwrap();
    }
    assert_eq!(cache.invalidate_room(rooms[0]), 3);
    assert_eq!(cache.invalidate_room(rooms[0]), 0);
    let (_, seen) = observe(cache.repositories.rooms.find(rooms[1])).await;
    assert!(seen.is_hit());
}

#[test]
fn every_write_method_of_a_port_has_its_row() {
    let table: Vec<String> = cache_adapter::stale_table()
        .into_iter()
        .map(|(method, _)| method)
        .collect();
    let ports = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../domain/src/ports.rs"
    ))
    .unwrap();
    let (mut port, mut writes) = (String::new(), Vec::new());
    let words = [
        "create", "adopt", "update", "delete", "save", "append", "reload", "add_", "remove_",
        "clear", "mark",
    ];
    for line in ports.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("pub trait ") {
            rest.split(':').next().unwrap().clone_into(&mut port);
        }
        if let Some(method) = line
            .strip_prefix("async fn ")
            .and_then(|rest| rest.split('(').next())
            && words.iter().any(|word| method.starts_with(word))
        {
            writes.push(format!("{port}::{method}"));
        }
    }
    assert_eq!(table, writes);
}

#[test]
fn the_table_names_what_each_write_makes_stale() {
    let table = cache_adapter::stale_table();
    let stale = |method: &str| {
        table
            .iter()
            .find(|(of, _)| of == method)
            .map_or("no such row", |(_, keys)| keys.as_str())
    };
    assert_eq!(
        stale("Agents::create"),
        "`agent_obj (absences)`, `agent_config (absences)`, `agent_list:all`"
    );
    assert_eq!(stale("Agents::update"), "`agent_obj:3`, `agent_config:3`");
    assert_eq!(stale("Rooms::update"), "`room_obj:7`");
    assert_eq!(
        stale("Rooms::create"),
        "`room_obj (absences)`, `room_messages (absences)`, `room_answers (absences)`, `room_activity (absences)`, \
         `room_agents (absences)`, `room_list:all`, `rooms_of:guest-1`"
    );
    assert_eq!(
        stale("Messages::append"),
        "`room_messages:7 (appended to)`, `room_answers:7 (appended to)`, `room_activity:7 (appended to)`"
    );
    assert_eq!(
        stale("Rooms::delete"),
        "`room_obj:7`, `room_agents:7`, `room_messages:7`, `room_answers:7`, `room_activity:7`, `room_sessions:7`, \
         `read_state (all)`, `message_image (all)`"
    );
    assert_eq!(stale("ReadPositions::mark"), "`read_state:guest-1/7`");
}

#[tokio::test]
async fn each_row_of_the_policies_is_a_region_with_its_preset_and_its_capacity() {
    for preset in [Preset::Classic, Preset::Coherent] {
        let cache = Cache::new(
            memory::repositories(),
            Options {
                preset,
                ..Options::default()
            },
        );
        let made: Vec<_> = cache
            .manager
            .stats()
            .into_iter()
            .map(|(name, policy, _)| (name, policy.ttl, policy.capacity))
            .collect();
        let ttl = |row: &Row| {
            Duration::from_secs(if preset == Preset::Classic {
                row.classic
            } else {
                row.coherent
            })
        };
        let rows: Vec<_> = cache_adapter::rows()
            .iter()
            .map(|row| (row.region, ttl(row), row.capacity))
            .collect();
        assert_eq!((rows.len(), made.len()), (13, 13));
        assert!(
            rows.iter().all(|row| made.contains(row)),
            "{rows:?} as {made:?}"
        );
    }
}

// One thread: a commit whose thread the machine suspends for 256 others costs a fill, which is not what is counted here.
#[tokio::test]
async fn a_room_under_full_write_speed_is_filled_once() {
    let (clock, _hand) = Clock::manual();
    let cache = Cache::with_runtime(
        memory::repositories(),
        &Options::default(),
        Runtime::tokio_with(clock),
    );
    let room = room(&cache.repositories, "busy").await;
    let ports = cache.repositories.clone();
    ports.messages.recent(room, None, 1).await.unwrap();
    ports.messages.answer_counts(room).await.unwrap();
    ports.rooms.activity(room).await.unwrap();
    let writers = (0..8).map(|_| {
        let ports = ports.clone();
        tokio::spawn(async move {
            for _ in 0..250 {
                let sent = ports
                    .messages
                    .append(NewMessage::from_user(room, "hi"))
                    .await
                    .unwrap();
                let (newest, activity) = (
                    ports.messages.recent(room, None, 1).await.unwrap(),
                    ports.rooms.activity(room).await.unwrap(),
                );
                assert!(newest[0].seq >= sent.seq && activity.unwrap().last_seq >= sent.seq);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for region in ["room_messages", "room_answers", "room_activity"] {
        let (.., stats) = cache
            .manager
            .stats()
            .into_iter()
            .find(|(name, ..)| *name == region)
            .unwrap();
        assert_eq!((stats.loads, stats.refused_stores), (1, 0), "{region}");
    }
}

#[tokio::test]
async fn a_room_keeps_its_newest_messages_by_number_and_by_bytes() {
    let long = "x".repeat(1_000);
    let kept = async |tail: TailLimits| {
        let cache = cache_with(tail);
        let room = room(&cache.repositories, "tea").await;
        let messages = &cache.repositories.messages;
        messages.recent(room, None, 1).await.unwrap();
        for _ in 0..300 {
            messages
                .append(NewMessage::from_user(room, long.clone()))
                .await
                .unwrap();
        }
        let whole = cache
            .bypassing
            .messages
            .recent(room, None, usize::MAX)
            .await
            .unwrap();
        let mut kept = 0;
        for after in whole.iter().rev().map(|message| message.id) {
            let (found, observed) = observe(messages.since(room, after, usize::MAX)).await;
            if !observed.is_hit() {
                break;
            }
            kept = found.unwrap().len();
        }
        kept
    };
    assert_eq!(
        kept(TailLimits {
            messages: 200,
            bytes: usize::MAX
        })
        .await,
        200
    );
    assert_eq!(
        kept(TailLimits {
            messages: 1_000,
            bytes: usize::MAX
        })
        .await,
        299
    );
    let few = kept(TailLimits {
        messages: 200,
        bytes: 16_000,
    })
    .await;
    assert!(
        (10..=15).contains(&few),
        "{few} messages of some 1,300 bytes are kept in 16,000"
    );
}

#[tokio::test]
async fn who_reads_the_same_page_shares_it_until_the_next_message() {
    let cache = cache(memory::repositories());
    let (room, messages) = (
        room(&cache.repositories, "tea").await,
        &cache.repositories.messages,
    );
    let say = async || {
        messages
            .append(NewMessage::from_user(room, "hello"))
            .await
            .unwrap()
            .id
    };
    let first = say().await;
    say().await;
    let is_shared = |one: &domain::Page, other: &domain::Page| {
        Arc::ptr_eq(one.shared().unwrap(), other.shared().unwrap())
    };
    let since = async || messages.since(room, first, 10).await.unwrap();
    let recent = async || messages.recent(room, None, 10).await.unwrap();
    since().await;
    assert!(is_shared(&since().await, &since().await));
    let before = recent().await;
    assert!(is_shared(&before, &recent().await));
    assert!(!is_shared(&before, &since().await), "another page");
    let before = recent().await;
    say().await;
    let after = recent().await;
    assert!(!is_shared(&before, &after));
    assert_eq!((before.len(), after.len()), (2, 3));
    let newest = domain::MessageId(i64::MAX);
    let nothing = messages.since(room, newest, 10).await.unwrap();
    assert!(nothing.shared().is_none());
}

#[tokio::test]
async fn what_an_agent_has_not_answered_comes_from_memory_when_its_last_answer_or_its_joining_is_there()
 {
    let cache = cache(memory::repositories());
    let (room, ports) = (room(&cache.repositories, "tea").await, &cache.repositories);
    let name = domain::AgentName::parse("Ada").unwrap();
    let new = domain::NewAgent {
        name,
        group: None,
        config: AgentConfig::default(),
        picture: None,
    };
    let agent = ports.agents.create(new).await.unwrap().id;
    ports.rooms.add_member(room, agent).await.unwrap();
    ports.messages.since_answer(room, agent, 10).await.unwrap();
    for n in 0..250 {
        ports
            .messages
            .append(NewMessage::from_user(room, format!("question {n}")))
            .await
            .unwrap();
        let (unanswered, observed) = observe(ports.messages.since_answer(room, agent, 100)).await;
        assert_eq!(
            (unanswered.unwrap().len(), observed.is_hit()),
            ((n + 1).min(100), true)
        );
    }
    ports
        .messages
        .append(NewMessage::from_agent(room, agent, "answer"))
        .await
        .unwrap();
    let (unanswered, observed) = observe(ports.messages.since_answer(room, agent, 100)).await;
    assert_eq!((unanswered.unwrap(), observed.is_hit()), (vec![], true));
    assert!(
        ports
            .context(room, agent, 10)
            .await
            .unwrap()
            .is_some_and(|context| context.answers == 1)
    );
    assert_eq!(
        ports.context(room, AgentId(agent.0 + 1), 10).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn that_a_message_has_no_image_is_not_remembered() {
    let mut messages = domain::MockMessages::new();
    messages
        .expect_images()
        .times(2)
        .returning(|_, _| Ok(Vec::new()));
    let cache = cache(Repositories {
        messages: Arc::new(messages),
        ..memory::repositories()
    });
    for _ in 0..2 {
        assert!(
            cache
                .repositories
                .messages
                .images(RoomId(1), &[MessageId(1)])
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn images_that_are_missing_are_asked_for_together_and_once() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (told, mut messages) = (asked.clone(), domain::MockMessages::new());
    messages.expect_images().returning(move |_, ids| {
        told.lock().unwrap().push(ids.to_vec());
        let image = Arc::new(domain::Image {
            media_type: "image/png".into(),
            data: "aGVsbG8=".into(),
        });
        Ok(ids.iter().map(|id| (*id, image.clone())).collect())
    });
    let cache = cache(Repositories {
        messages: Arc::new(messages),
        ..memory::repositories()
    });
    let images = async |ids: &[i64]| {
        let ids: Vec<_> = ids.iter().copied().map(MessageId).collect();
        let found = cache
            .repositories
            .messages
            .images(RoomId(1), &ids)
            .await
            .unwrap();
        found.into_iter().map(|(id, _)| id.0).collect::<Vec<_>>()
    };
    assert_eq!(images(&[3, 1, 2]).await, [1, 2, 3]);
    assert_eq!(images(&[2, 3, 5, 4, 5]).await, [2, 3, 4, 5]);
    assert_eq!(images(&[1, 2, 3, 4, 5]).await, [1, 2, 3, 4, 5]);
    assert_eq!(
        *asked.lock().unwrap(),
        [
            [1, 2, 3].map(MessageId).to_vec(),
            [4, 5].map(MessageId).to_vec()
        ]
    );
}
