//! Cached messages: which reads a room's copy serves, and which reads go to the store.

use cache_adapter::{Cache, NAMES, Options, Preset, TailLimits, observe};
use cache_core::{Clock, Runtime};
use contract::memory;
use domain::{AgentId, MessageId, NewMessage, Page};

use crate::{cache, create_agent, create_room};

#[tokio::test]
async fn messages_older_than_the_copy_come_from_the_store() {
    let cache = cache(memory::repositories());
    let ports = &cache.repositories;
    let room = create_room(ports, "tea").await;
    for number in 0..450 {
        let message = NewMessage::from_user(room, number.to_string());
        ports.messages.append(message).await.unwrap();
    }
    let (mut after, mut read) = (MessageId(0), Vec::new());
    loop {
        let page = ports.messages.since(room, after, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.id;
        read.extend(page.iter().map(|message| message.content.clone()));
    }
    let expected: Vec<_> = (0..450).map(|number| number.to_string()).collect();
    assert_eq!(read, expected);
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
        let stored = cache.bypassing.messages.recent(room, before, limit).await;
        assert_eq!(cached, stored.unwrap(), "{limit} before {before:?}");
    }
}

/// Runs on one thread. With more threads, the system may suspend a writer while others append 256
/// messages. The copy is then filled again, which this test must not count.
#[tokio::test]
async fn a_room_under_full_write_speed_is_filled_once() {
    let (clock, _hand) = Clock::manual();
    let cache = Cache::with_runtime(
        memory::repositories(),
        &Options::default(),
        Runtime::tokio_with(clock),
    );
    let room = create_room(&cache.repositories, "busy").await;
    let ports = cache.repositories.clone();
    ports.messages.recent(room, None, 1).await.unwrap();
    ports.messages.answer_counts(room).await.unwrap();
    ports.rooms.activity(room).await.unwrap();
    let writers = (0..8).map(|_| {
        let ports = ports.clone();
        tokio::spawn(async move {
            for _ in 0..250 {
                let message = NewMessage::from_user(room, "hi");
                let sent = ports.messages.append(message).await.unwrap();
                let newest = ports.messages.recent(room, None, 1).await.unwrap();
                let activity = ports.rooms.activity(room).await.unwrap();
                assert!(newest[0].seq >= sent.seq && activity.unwrap().last_seq >= sent.seq);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for region in [NAMES.room_messages, NAMES.room_answers, NAMES.room_activity] {
        let found = cache
            .manager
            .stats()
            .into_iter()
            .find(|found| found.name == region)
            .unwrap();
        let counted = (found.stats.loads, found.stats.refused_stores);
        assert_eq!(counted, (1, 0), "{region}");
    }
}

/// Appends 300 messages with long texts and returns how many of the newest are served from memory.
async fn messages_in_memory(tail: TailLimits) -> usize {
    let options = Options {
        tail,
        preset: Preset::Coherent,
        ..Options::default()
    };
    let cache = Cache::new(memory::repositories(), options);
    let room = create_room(&cache.repositories, "tea").await;
    let messages = &cache.repositories.messages;
    messages.recent(room, None, 1).await.unwrap();
    for _ in 0..300 {
        let message = NewMessage::from_user(room, "x".repeat(1_000));
        messages.append(message).await.unwrap();
    }
    let all = cache
        .bypassing
        .messages
        .recent(room, None, usize::MAX)
        .await;
    let mut in_memory = 0;
    for after in all.unwrap().iter().rev().map(|message| message.id) {
        let (found, observed) = observe(messages.since(room, after, usize::MAX)).await;
        if !observed.is_hit() {
            break;
        }
        in_memory = found.unwrap().len();
    }
    in_memory
}

#[tokio::test]
async fn a_room_keeps_its_newest_messages_by_number_and_by_bytes() {
    let limits = |messages, bytes| TailLimits { messages, bytes };
    assert_eq!(messages_in_memory(limits(200, usize::MAX)).await, 200);
    assert_eq!(messages_in_memory(limits(1_000, usize::MAX)).await, 299);
    let few = messages_in_memory(limits(200, 16_000)).await;
    assert!(
        (10..=15).contains(&few),
        "16,000 bytes must hold 10 to 15 messages of some 1,300 bytes, got {few}"
    );
}

#[tokio::test]
async fn equal_reads_share_a_page_until_the_next_message() {
    let cache = cache(memory::repositories());
    let room = create_room(&cache.repositories, "tea").await;
    let messages = &cache.repositories.messages;
    let append = async || {
        let message = NewMessage::from_user(room, "hello");
        messages.append(message).await.unwrap().id
    };
    let first = append().await;
    append().await;
    let is_shared = |one: &Page, other: &Page| {
        std::sync::Arc::ptr_eq(one.shared().unwrap(), other.shared().unwrap())
    };
    let since = async || messages.since(room, first, 10).await.unwrap();
    let recent = async || messages.recent(room, None, 10).await.unwrap();
    since().await;
    assert!(is_shared(&since().await, &since().await));
    let before = recent().await;
    assert!(is_shared(&before, &recent().await));
    assert!(
        !is_shared(&before, &since().await),
        "a different read has a page of its own"
    );
    let before = recent().await;
    append().await;
    let after = recent().await;
    assert!(!is_shared(&before, &after));
    assert_eq!(
        (before.len(), after.len()),
        (2, 3),
        "a page that was returned does not change"
    );
    let empty = messages.since(room, MessageId(i64::MAX), 10).await.unwrap();
    assert!(empty.shared().is_none());
}

#[tokio::test]
async fn unanswered_messages_come_from_memory_if_it_reaches_the_last_answer_or_the_joining() {
    let cache = cache(memory::repositories());
    let ports = &cache.repositories;
    let room = create_room(ports, "tea").await;
    let agent = create_agent(ports, "Ada").await;
    ports.rooms.add_member(room, agent).await.unwrap();
    ports.messages.since_answer(room, agent, 10).await.unwrap();
    for number in 0..250 {
        let question = NewMessage::from_user(room, format!("question {number}"));
        ports.messages.append(question).await.unwrap();
        let (unanswered, observed) = observe(ports.messages.since_answer(room, agent, 100)).await;
        assert_eq!(unanswered.unwrap().len(), (number + 1).min(100));
        assert!(observed.is_hit());
    }
    let answer = NewMessage::from_agent(room, agent, "answer");
    ports.messages.append(answer).await.unwrap();
    let (unanswered, observed) = observe(ports.messages.since_answer(room, agent, 100)).await;
    assert_eq!((unanswered.unwrap(), observed.is_hit()), (vec![], true));
    let context = ports.context(room, agent, 10).await.unwrap();
    assert_eq!(context.map(|context| context.answers), Some(1));
    let stranger = AgentId(agent.0 + 1);
    assert_eq!(ports.context(room, stranger, 10).await.unwrap(), None);
}
