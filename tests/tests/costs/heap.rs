//! Heap bytes of an append, of rooms in memory, and of a hit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use cache_adapter::{Cache, Options, Preset, TailLimits};
use cache_core::{Manager, Policy, Runtime, Unknown};
use contract::memory;
use domain::{
    AgentId, LogEnd, MessageId, MockMessages, NewMessage, Repositories, RoomId, Seq, UserId,
};
use serde_json::json;
use stats_alloc::Region;
use tests::{
    records::{new_room, user_message},
    region_stats::region_stats,
    server::TestServer,
};

use crate::{HEAP, held_bytes};

const ROOM: RoomId = RoomId(1);

/// Returns the mean number of bytes that an append allocates if the room has this many messages in
/// memory.
async fn bytes_of_an_append(messages_in_memory: i64) -> usize {
    const APPENDS: usize = 200;
    let (mut messages, next) = (MockMessages::new(), AtomicI64::new(0));
    // The tail begins empty and grows by appends.
    messages.expect_end().returning(|_, _| {
        Ok(Some(LogEnd {
            last_seq: Seq(0),
            messages: Vec::new(),
        }))
    });
    messages
        .expect_append()
        .returning(move |_| Ok(user_message(ROOM, next.fetch_add(1, Ordering::SeqCst) + 1)));
    let store = Repositories {
        messages: Arc::new(messages),
        ..memory::repositories()
    };
    let tail = TailLimits {
        messages: 20_000,
        bytes: usize::MAX,
    };
    let cache = Cache::new(
        store,
        Options {
            tail,
            preset: Preset::Coherent,
            ..Options::default()
        },
    );
    let messages = &cache.repositories.messages;
    let append = async || {
        messages
            .append(NewMessage::from_user(ROOM, "x"))
            .await
            .unwrap()
    };
    messages.recent(ROOM, None, 10).await.unwrap();
    for _ in 0..messages_in_memory {
        append().await;
    }
    let log = messages.since(ROOM, MessageId(0), usize::MAX).await;
    assert_eq!(
        log.unwrap().len(),
        usize::try_from(messages_in_memory).unwrap()
    );
    let region = Region::new(HEAP);
    for _ in 0..APPENDS {
        append().await;
    }
    region.change().bytes_allocated / APPENDS
}

#[tokio::test]
async fn an_append_allocates_the_same_with_10_and_with_10_000_messages_in_memory() {
    let _guard = crate::run_alone().await;
    let (few, many) = (
        bytes_of_an_append(10).await,
        bytes_of_an_append(10_000).await,
    );
    tests::report(
        "costs.txt",
        &format!(
            "an append allocates {few} bytes with 10 messages in memory and {many} with 10,000"
        ),
    );
    assert!(
        few.abs_diff(many) <= few / 20,
        "{few} bytes with 10 messages in memory, {many} with 10,000; at most 5 % apart is expected"
    );
}

#[tokio::test]
async fn rooms_and_their_rendered_bodies_hold_no_more_bytes_than_they_weigh() {
    const ROOMS: usize = 20;
    let _guard = crate::run_alone().await;
    // Messages of about 480 bytes whose length does not change, doubles, or grows sixfold when they
    // are escaped in JSON, and short messages.
    for text in [
        "plain words ".repeat(40),
        "\"\n".repeat(240),
        "\u{1}".repeat(480),
        "x".to_owned(),
    ] {
        let server = TestServer::start(|settings| settings.cache.preset = Preset::Coherent).await;
        let (client, cache) = (server.client(), &server.app().cache);
        let author = client
            .create_agent_with("Ada", json!({ "characteristics": "kind" }))
            .await;
        let mut polls = Vec::new();
        for name in 0..ROOMS {
            let id = client.create_room(&name.to_string()).await;
            client.add_member(id, author).await;
            for _ in 0..100 {
                let new = NewMessage::from_agent(RoomId(id), AgentId(author), text.as_str());
                cache.repositories.messages.append(new).await.unwrap();
            }
            polls.push(format!("/rooms/{id}/messages/poll?since_id=0"));
            client.get(polls.last().unwrap()).await.ok();
        }
        assert_eq!(cache.manager.invalidate_prefix("room_messages:"), ROOMS);
        let rendered = &server.app().rendered;
        rendered.clear();
        let region = Region::new(HEAP);
        for poll in &polls {
            client.get(poll).await.ok();
        }
        assert!(rendered.weight() <= app::RENDER_CACHE_BYTES);
        let weight = region_stats(cache, "room_messages").weight + rendered.weight();
        let held = held_bytes(&region) as u64;
        tests::report(
            "costs.txt",
            &format!(
                "{ROOMS} rooms of 100 messages of {} bytes hold {held} bytes and weigh {weight}",
                text.len()
            ),
        );
        assert!(
            (weight / 3..=weight).contains(&held),
            "{held} bytes are held; the weight of {weight}, or a third of it at least, is expected"
        );
        server.end().await;
    }
}

#[tokio::test]
async fn a_hit_allocates_nothing_but_the_boxed_future_of_a_port() {
    const HITS: usize = 1_000;
    let _guard = crate::run_alone().await;
    let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    let numbers =
        manager.region::<u64, Arc<u64>>("numbers", Policy::new(Duration::from_hours(1), 10));
    assert!(numbers.insert(1, Arc::new(1)));
    let ports = Cache::new(memory::repositories(), Options::default()).repositories;
    let new = new_room(UserId::admin(), "tea");
    let room = ports.rooms.create(new).await.unwrap().id;
    // The first hit on a thread allocates the thread's counters, so these hits are not measured.
    assert!(numbers.look_up(&1).is_some() && ports.rooms.find(room).await.unwrap().is_some());
    assert!(ports.rooms.find(room).await.unwrap().is_some());

    let region_hits = least_allocated(async || {
        for _ in 0..HITS {
            assert!(numbers.look_up(&1).is_some());
        }
    });
    assert_eq!(
        region_hits.await.0,
        0,
        "a hit of a region must not allocate"
    );

    let port_hits = least_allocated(async || {
        for _ in 0..HITS {
            assert!(ports.rooms.find(room).await.unwrap().is_some());
        }
    });
    let (allocations, bytes) = port_hits.await;
    tests::report(
        "costs.txt",
        &format!(
            "a hit of a port allocates {} bytes, its boxed future",
            bytes / HITS
        ),
    );
    assert_eq!(
        allocations, HITS,
        "each hit of a port must allocate one box"
    );
    assert!(
        bytes <= 96 * HITS,
        "at most 96 bytes a hit are expected, not {}",
        bytes / HITS
    );
}

/// Returns the number of allocations of `work` and their bytes, each the minimum of several runs.
/// Other threads can only add to the counts: they begin tests, which then wait for their turn.
async fn least_allocated(work: impl AsyncFn()) -> (usize, usize) {
    let mut least = (usize::MAX, usize::MAX);
    for _ in 0..20 {
        let region = Region::new(HEAP);
        work().await;
        let change = region.change();
        least = least.min((change.allocations, change.bytes_allocated));
    }
    least
}
