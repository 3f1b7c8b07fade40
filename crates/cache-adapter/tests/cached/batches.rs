//! Batches that several readers share while writes are open.

use std::sync::Arc;

use contract::{
    decorate::{Around, decorate},
    memory,
};
use domain::{Image, NewMessage, Result, UserId};
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::Semaphore;

use crate::{cache, create_room};

/// Holds reads and writes until they get a permit.
struct Held {
    reads: Semaphore,
    writes: Semaphore,
}

impl Held {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            reads: Semaphore::new(1_000),
            writes: Semaphore::new(1_000),
        })
    }
}

impl Around for Held {
    async fn read<'a, T: Send + 'a>(&'a self, read: BoxFuture<'a, Result<T>>) -> Result<T> {
        let _permit = self.reads.acquire().await;
        read.await
    }

    async fn write<T: Send + 'static>(&self, write: BoxFuture<'static, Result<T>>) -> Result<T> {
        let _permit = self.writes.acquire().await;
        write.await
    }
}

async fn run_tasks() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn users_whose_reads_share_a_batch_get_their_own_read_positions() {
    let held = Held::new();
    let cache = cache(decorate(memory::repositories(), held.clone()));
    let ports = &cache.repositories;
    let (tea, cake) = (
        create_room(ports, "tea").await,
        create_room(ports, "cake").await,
    );
    let users = ["ann", "bo"].map(|user| UserId::parse(user).unwrap());
    let positions = &ports.read_positions;
    for (user, room) in [(&users[0], tea), (&users[1], cake), (&users[1], cake)] {
        positions.mark(user.clone(), room).await.unwrap();
    }
    let writes = held.writes.acquire_many(1_000).await.unwrap();
    let mut marks = Vec::new();
    for (user, room) in [(&users[0], tea), (&users[1], cake)] {
        let mut mark = positions.mark(user.clone(), room).boxed();
        assert!((&mut mark).now_or_never().is_none());
        marks.push(mark);
    }
    run_tasks().await;
    let reads = held.reads.acquire_many(1_000).await.unwrap();
    let (teas, cakes) = ([tea], [cake]);
    let mut first = positions.find_many(&users[1], &cakes).boxed();
    assert!((&mut first).now_or_never().is_none());
    run_tasks().await;
    // These two share the next batch.
    let mut of_bo = positions.find_many(&users[1], &cakes).boxed();
    let mut of_ann = positions.find_many(&users[0], &teas).boxed();
    assert!((&mut of_bo).now_or_never().is_none());
    assert!((&mut of_ann).now_or_never().is_none());
    drop(reads);
    let (of_bo, of_ann) = (of_bo.await.unwrap(), of_ann.await.unwrap());
    assert_eq!((of_bo[0].room, of_bo[0].version), (cake, 2));
    assert_eq!((of_ann[0].room, of_ann[0].version), (tea, 1));
    first.await.unwrap();
    drop(writes);
    for mark in marks {
        mark.await.unwrap();
    }
}

#[tokio::test]
async fn readers_of_two_rooms_that_share_a_batch_get_the_images_of_their_own_room() {
    let held = Held::new();
    let cache = cache(decorate(memory::repositories(), held.clone()));
    let ports = &cache.repositories;
    let rooms = [
        create_room(ports, "tea").await,
        create_room(ports, "cake").await,
    ];
    let image = |data: &str| Image {
        media_type: "image/png".into(),
        data: data.into(),
    };
    let picture = |room, data: &str| NewMessage {
        image: Some(image(data)),
        ..NewMessage::from_user(room, "look")
    };
    let mut messages = Vec::new();
    for (room, data) in [(rooms[0], "dGVh"), (rooms[1], "Y2FrZQ==")] {
        let message = ports.messages.append(picture(room, data)).await.unwrap();
        messages.push([message.id]);
    }
    let writes = held.writes.acquire_many(1_000).await.unwrap();
    let mut clears = rooms.map(|room| ports.messages.clear(room).boxed());
    for clear in &mut clears {
        assert!(clear.now_or_never().is_none());
    }
    run_tasks().await;
    let reads = held.reads.acquire_many(1_000).await.unwrap();
    let read = |at: usize| ports.messages.images(rooms[at], &messages[at]).boxed();
    let mut first = read(0);
    assert!((&mut first).now_or_never().is_none());
    run_tasks().await;
    let mut shared = [read(0), read(1)];
    for read in &mut shared {
        assert!(read.now_or_never().is_none());
    }
    drop(reads);
    let [of_tea, of_cake] = shared;
    assert_eq!(*of_tea.await.unwrap()[0].1, image("dGVh"));
    assert_eq!(*of_cake.await.unwrap()[0].1, image("Y2FrZQ=="));
    first.await.unwrap();
    drop(writes);
    for clear in clears {
        clear.await.unwrap();
    }
}
