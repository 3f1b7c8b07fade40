//! Laws of messages that are sent under a key.

use domain::{Error, NewMessage, RoomId, SendKey, Sent, UserId};

use super::{
    ensure::{Outcome, UNKNOWN_ROOM, ensure, ensure_conflict, ensure_eq, ensure_missing},
    law_run::{LawRun, in_tasks},
};

fn new(room: RoomId, user: &UserId, key: &str) -> NewMessage {
    NewMessage {
        send_key: Some(SendKey {
            user: user.clone(),
            key: key.to_owned(),
            digest: format!("digest of {key}"),
        }),
        ..NewMessage::from_user(room, "hello")
    }
}

pub(super) async fn a_message_is_stored_once_under_its_key(run: LawRun) -> Outcome {
    let (room, other) = (
        run.create_room("a").await?.id,
        run.create_room("b").await?.id,
    );
    let (user, another) = (run.owner()?, run.user("another")?);
    let messages = &run.ports.messages;
    ensure_eq(
        "an unused key",
        &messages.find_sent(&user, "k").await?,
        &None,
    )?;
    ensure_missing(
        "a message to an unknown room",
        messages.append(new(UNKNOWN_ROOM, &user, "k")).await,
    )?;
    let message = messages.append(new(room, &user, "k")).await?;
    for room in [room, other] {
        ensure_conflict(
            "a second message under the same key",
            messages.append(new(room, &user, "k")).await,
        )?;
    }
    ensure_eq("the log", &run.log(room).await?, &vec![message.clone()])?;
    ensure_eq("the other log", &run.log(other).await?, &vec![])?;
    let sent = Sent {
        digest: "digest of k".into(),
        message: Some(message.clone()),
    };
    ensure_eq(
        "the message under the key",
        &messages.find_sent(&user, "k").await?,
        &Some(sent.clone()),
    )?;
    ensure_eq(
        "the key of another user",
        &messages.find_sent(&another, "k").await?,
        &None,
    )?;
    messages.append(new(room, &another, "k")).await?;
    messages.append(new(room, &user, "another key")).await?;
    messages.remove(room, message.id).await?;
    ensure_eq(
        "the key of a removed message",
        &messages.find_sent(&user, "k").await?,
        &Some(Sent {
            message: None,
            ..sent
        }),
    )?;
    ensure_conflict(
        "a message under the key of a removed one",
        messages.append(new(room, &user, "k")).await,
    )
}

pub(super) async fn of_concurrent_messages_under_one_key_one_is_stored(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    let user = run.owner()?;
    let calls = (0..6).map(|_| {
        let (ports, new) = (run.ports.clone(), new(room, &user, "k"));
        async move { ports.messages.append(new).await }
    });
    let mut stored = Vec::new();
    for outcome in in_tasks(calls).await? {
        match outcome {
            Ok(message) => stored.push(message),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    ensure(
        stored.len() == 1,
        format!("{} messages were stored", stored.len()),
    )?;
    ensure_eq("the log", &run.log(room).await?, &stored)
}
