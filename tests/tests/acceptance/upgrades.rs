//! Tests that databases of earlier versions are upgraded. `tests/stored/make.sh` created them.

use std::{future::poll_fn, task::Poll};

use domain::{AgentId, MessageId, NewMessage, RoomId, UserId};
use sea_orm::{ConnectionTrait, Database};
use tests::records::texts_and_seqs;

use crate::stores::Place;

const SQLITE: &str = include_str!("../../stored/version-1.sqlite.sql");
const POSTGRES: &str = include_str!("../../stored/version-1.postgres.sql");

/// Creates a database with the contents that a program of version 1 has stored.
async fn store_version_1(place: &Place) {
    let (address, dump) = if place.kind == "sqlite" {
        (format!("{}?mode=rwc", place.database), SQLITE)
    } else {
        (place.database.clone(), POSTGRES)
    };
    let connection = Database::connect(address).await.unwrap();
    connection.execute_unprepared(dump).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_version_1_is_upgraded_with_everything_in_it() {
    for place in Place::all("an upgrade on postgres").await {
        store_version_1(&place).await;
        let kind = place.kind;
        let store = place.open().await;
        let r = &store.r;
        let (tea, other) = (RoomId(1), RoomId(2));
        let texts: Vec<_> = texts_and_seqs(r, tea)
            .await
            .into_iter()
            .map(|(text, _)| text)
            .collect();
        let expected: Vec<_> = (1..=5).map(|n| format!("message {n} 하늘")).collect();
        assert_eq!(texts, expected, "{kind}");
        let names: Vec<_> = r.rooms.list().await.unwrap();
        let names: Vec<_> = names.iter().map(|room| room.name.as_str()).collect();
        assert_eq!(names, ["tea", "찻집"], "{kind}");
        let members: Vec<_> = r
            .rooms
            .members(tea)
            .await
            .unwrap()
            .iter()
            .map(|m| m.agent)
            .collect();
        assert_eq!(members, [AgentId(1), AgentId(2)], "{kind}");
        let agents = r.agents.list().await.unwrap();
        assert_eq!(agents.len(), 6, "{kind}: one of seven agents is deleted");
        // The agents' files are gone, so their last personas come from the table.
        let persona = r.configs.find(AgentId(1)).await.unwrap().unwrap();
        assert!(
            persona.in_a_nutshell.contains("Lighthouse"),
            "{kind}: {persona:?}"
        );
        let position = r.read_positions.find(&UserId::admin(), tea).await.unwrap();
        assert_eq!(position.unwrap().read_seq.0, 5, "{kind}");
        // The upgrade has counted the answers.
        let counts = r.messages.answer_counts(tea).await.unwrap().unwrap();
        let counted: Vec<_> = counts
            .by_agent
            .iter()
            .map(|(id, count)| (id.0, *count))
            .collect();
        assert_eq!(counted, [(1, 2), (2, 1)], "{kind}");
        let images = r.messages.images(other, &[MessageId(6)]).await.unwrap();
        assert_eq!(images.len(), 1, "{kind}");
        let new = NewMessage::from_agent(tea, AgentId(2), "after the upgrade");
        let message = r.messages.append(new).await.unwrap();
        assert_eq!((message.seq.0, message.id), (6, MessageId(7)), "{kind}");
        let counts = r.messages.answer_counts(tea).await.unwrap().unwrap();
        assert_eq!(counts.by_agent[&AgentId(2)], 2, "{kind}");
        // The upgrade has counted all messages, too.
        assert_eq!(r.messages.clear(tea).await, Ok(6), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_that_is_abandoned_at_any_step_does_not_prevent_the_next_start() {
    for step in 1.. {
        let place = Place::sqlite();
        store_version_1(&place).await;
        let mut opening = Box::pin(place.try_open());
        let mut polls = 0;
        let opened = poll_fn(|context| {
            polls += 1;
            match opening.as_mut().poll(context) {
                Poll::Ready(opened) => Poll::Ready(Some(opened)),
                Poll::Pending if polls == step => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        drop(opening);
        let is_complete = opened.map(|opened| opened.map(drop).unwrap()).is_some();
        let store = place.open().await;
        let rooms = store.r.rooms.list().await.unwrap();
        assert_eq!(rooms.len(), 2, "step {step}");
        let counts = store.r.messages.answer_counts(RoomId(1)).await.unwrap();
        assert_eq!(counts.unwrap().by_agent.len(), 2, "step {step}");
        if is_complete {
            assert!(step > 10, "an upgrade has {step} steps");
            break;
        }
    }
}
