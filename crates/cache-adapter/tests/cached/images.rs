//! Cached images of messages.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use contract::{
    decorate::{Around, decorate},
    memory,
};
use domain::{Image, MessageId, MockMessages, NewMessage, Repositories, Result, RoomId, UserId};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::{cache, create_room};

/// Holds the result of one read back.
#[derive(Default)]
struct Late {
    holds: AtomicBool,
    has_read: Notify,
    may_return: Notify,
}

impl Around for Late {
    async fn read<'a, T: Send + 'a>(&'a self, read: BoxFuture<'a, Result<T>>) -> Result<T> {
        let found = read.await;
        if self.holds.swap(false, Ordering::SeqCst) {
            self.has_read.notify_one();
            self.may_return.notified().await;
        }
        found
    }

    async fn write<T: Send + 'static>(&self, write: BoxFuture<'static, Result<T>>) -> Result<T> {
        write.await
    }
}

fn message_with_image(room: RoomId) -> NewMessage {
    let image = Image {
        media_type: "image/png".into(),
        data: "aGVsbG8=".into(),
    };
    NewMessage {
        image: Some(image),
        ..NewMessage::from_user(room, "look")
    }
}

#[tokio::test]
async fn an_image_is_found_after_its_message_was_stored_even_if_it_was_looked_for_before() {
    let late = Arc::new(Late::default());
    let cache = cache(decorate(memory::repositories(), late.clone()));
    let ports = &cache.repositories;
    let room = create_room(ports, "tea").await;
    let first = NewMessage::from_user(room, "hi");
    let next = MessageId(ports.messages.append(first).await.unwrap().id.0 + 1);
    let images = {
        let messages = ports.messages.clone();
        move || {
            let messages = messages.clone();
            async move { messages.images(room, &[next]).await.unwrap().len() }
        }
    };
    late.holds.store(true, Ordering::SeqCst);
    let early = tokio::spawn(images());
    late.has_read.notified().await;
    let stored = ports.messages.append(message_with_image(room)).await;
    assert_eq!(stored.unwrap().id, next);
    assert_eq!(images().await, 1, "while the early look-up goes on");
    late.may_return.notify_one();
    early.await.unwrap();
    assert_eq!(images().await, 1, "after the early look-up");
}

#[tokio::test]
async fn a_cleared_or_deleted_room_leaves_images_and_read_positions_of_other_rooms() {
    let cache = cache(memory::repositories());
    let ports = &cache.repositories;
    let mut rooms = Vec::new();
    for name in ["a", "b", "c"] {
        let room = create_room(ports, name).await;
        let message = ports.messages.append(message_with_image(room)).await;
        let message = message.unwrap().id;
        ports.messages.images(room, &[message]).await.unwrap();
        ports
            .read_positions
            .find(&UserId::admin(), room)
            .await
            .unwrap();
        rooms.push(room);
    }
    let sizes = || {
        ["message_image", "read_state"].map(|name| {
            let stats = cache.manager.stats();
            let region = stats.iter().find(|region| region.name == name);
            region.expect("the region exists").stats.size
        })
    };
    assert_eq!(sizes(), [3, 3]);
    ports.messages.clear(rooms[0]).await.unwrap();
    assert_eq!(sizes()[0], 2);
    ports.rooms.delete(rooms[1]).await.unwrap();
    assert_eq!(sizes()[0], 1);
    assert!(sizes()[1] >= 1, "{:?}", sizes());
}

#[tokio::test]
async fn the_absence_of_an_image_is_not_cached() {
    let mut messages = MockMessages::new();
    messages
        .expect_images()
        .times(2)
        .returning(|_, _| Ok(Vec::new()));
    let cache = cache(Repositories {
        messages: Arc::new(messages),
        ..memory::repositories()
    });
    for _ in 0..2 {
        let images = cache
            .repositories
            .messages
            .images(RoomId(1), &[MessageId(1)]);
        assert!(images.await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn images_that_are_not_in_memory_are_loaded_together_and_once() {
    let loads = Arc::new(Mutex::new(Vec::new()));
    let (recorded, mut messages) = (loads.clone(), MockMessages::new());
    messages.expect_images().returning(move |_, ids| {
        recorded.lock().unwrap().push(ids.to_vec());
        let image = Arc::new(Image {
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
        *loads.lock().unwrap(),
        [
            [1, 2, 3].map(MessageId).to_vec(),
            [4, 5].map(MessageId).to_vec()
        ]
    );
}
