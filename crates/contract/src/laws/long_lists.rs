//! Laws of reads with more ids than a statement can have parameters.

use domain::{AgentId, Image, MessageId, NewMessage, RoomId};

use super::{
    ensure::{Outcome, START, ensure_eq},
    law_run::LawRun,
};

/// More ids than PostgreSQL (65,535) or SQLite (32,766) accepts as parameters of one statement.
const MANY: i64 = 66_000;

/// Returns many ids that no row has, with `known` in their midst.
fn among_many<K>(known: K, id: impl Fn(i64) -> K) -> Vec<K> {
    let mut ids: Vec<_> = (0..MANY).map(|n| id(i64::MAX - 8 - n)).collect();
    ids.insert(ids.len() / 2, known);
    ids
}

pub(super) async fn an_agent_is_found_among_many_unknown_ids(run: LawRun) -> Outcome {
    let agent = run.create_agent("a").await?;
    let ids = among_many(agent.id, AgentId);
    let persona = run.persona(agent.id).await?;
    ensure_eq(
        "the agents found among many ids",
        &run.ports.agents.find_many(&ids).await?,
        &vec![agent.clone()],
    )?;
    ensure_eq(
        "the personas found among many ids",
        &run.ports.configs.find_many(&ids).await?,
        &vec![(agent.id, persona)],
    )
}

pub(super) async fn a_room_is_found_among_many_unknown_ids(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?;
    let ids = among_many(room.id, RoomId);
    let activity = run.activity(room.id).await?;
    let marked = run.ports.read_positions.mark(run.owner()?, room.id).await?;
    ensure_eq(
        "the activities found among many ids",
        &run.ports.rooms.activities(&ids).await?,
        &vec![(room.id, activity)],
    )?;
    ensure_eq(
        "the read positions found among many ids",
        &run.ports
            .read_positions
            .find_many(&run.owner()?, &ids)
            .await?,
        &vec![marked],
    )?;
    ensure_eq(
        "the rooms found among many ids",
        &run.ports.rooms.find_many(&ids).await?,
        &vec![room],
    )
}

pub(super) async fn messages_are_found_among_many_unknown_ids(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    let agent = run.create_agent("a").await?.id;
    let image = Image {
        media_type: "image/png".into(),
        data: "aGVsbG8=".into(),
    };
    let new = NewMessage {
        image: Some(image.clone()),
        ..NewMessage::from_agent(room, agent, "look")
    };
    let message = run.ports.messages.append(new).await?;
    let images = run
        .ports
        .messages
        .images(room, &among_many(message.id, MessageId))
        .await?;
    ensure_eq(
        "the images found among many ids",
        &images,
        &vec![(message.id, image.into())],
    )?;
    let authors = among_many(agent, AgentId);
    let found = run
        .ports
        .messages
        .by_authors(room, &authors, Some(START), 10);
    ensure_eq(
        "the messages of an author among many",
        &found.await?,
        &vec![message],
    )
}
