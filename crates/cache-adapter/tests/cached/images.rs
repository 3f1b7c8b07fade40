//! Cached images of messages.

use std::sync::{Arc, Mutex};

use contract::memory;
use domain::{Image, MessageId, MockMessages, Repositories, RoomId};

use crate::cache;

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
