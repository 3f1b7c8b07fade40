//! Tests of `observe`, which reports where values came from.

use cache_adapter::observe;
use contract::memory;

use crate::{cache, create_room};

#[tokio::test]
async fn an_observed_read_reports_whether_all_of_it_came_from_memory() {
    let cache = cache(memory::repositories());
    let room = create_room(&cache.repositories, "tea").await;
    let find = || async { cache.repositories.rooms.find(room).await.unwrap() };
    assert!(!observe(find()).await.1.is_hit(), "the first read loads");
    assert!(observe(find()).await.1.is_hit(), "the second does not");
    let (_, both) =
        observe(async { (find().await, cache.repositories.rooms.members(room).await) }).await;
    assert!((both.values, both.hits) == (2, 1) && !both.is_hit());
    let (_, bypassed) = observe(cache.bypassing.rooms.find(room)).await;
    assert!(!bypassed.is_hit());
    let ((), nothing) = observe(async {}).await;
    assert!(!nothing.is_hit());
}
