//! Leases on agents, and what they keep in memory.

use contract::memory;
use domain::UserId;

use super::{cache, create_agent, create_room};

#[tokio::test]
async fn a_persona_that_is_shown_under_a_lease_counts_as_read() {
    let cache = cache(memory::repositories());
    let ids = [create_agent(&cache.repositories, "Ada").await];
    cache.repositories.agents.find_many(&ids).await.unwrap();
    cache.repositories.configs.find_many(&ids).await.unwrap();
    let lease = cache.lease_agents(&ids).unwrap();
    for _ in 0..5 {
        assert_eq!(cache.begin_probe_round(1), ids);
        assert!(cache.holds_agents(&lease));
    }
    // It is not shown after this round began.
    assert_eq!(cache.begin_probe_round(1), ids);
    assert!(cache.begin_probe_round(1).is_empty());
    assert!(!cache.holds_agents(&lease));
}

#[tokio::test]
async fn marks_of_other_users_end_few_leases_on_a_room() {
    let cache = cache(memory::repositories());
    let ports = &cache.repositories;
    let (room, admin) = (create_room(ports, "tea").await, UserId::admin());
    let other = create_room(ports, "coffee").await;
    let (mut held, rounds) = (0, 64);
    let ada = create_agent(ports, "Ada").await;
    ports.rooms.add_member(room, ada).await.unwrap();
    for number in 0..rounds {
        ports.rooms.members(room).await.unwrap();
        ports.sessions.list(room).await.unwrap();
        ports.read_positions.find(&admin, room).await.unwrap();
        let lease = cache.lease_room(room, &admin).unwrap();
        let user = UserId::parse(&format!("guest-{number}")).unwrap();
        ports.read_positions.mark(user, other).await.unwrap();
        held += u32::from(cache.holds_room(&lease));
    }
    assert!(held > rounds / 2, "{held} of {rounds} leases held");
}
