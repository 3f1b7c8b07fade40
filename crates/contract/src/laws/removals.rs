//! Laws of removing single messages from a room's log.

use domain::{Activity, Image, NewMessage, Removal, RoomId, Seq};
use futures_util::future::join;

use super::{
    ensure::{NO_LIMIT, Outcome, UNKNOWN_ROOM, ensure, ensure_eq, ensure_missing},
    law_run::{LawRun, in_tasks},
};

pub(super) async fn removing_takes_a_sequence_number_and_leaves_the_rest(run: LawRun) -> Outcome {
    let (room, other) = (
        run.create_room("a").await?.id,
        run.create_room("other").await?.id,
    );
    let agent = run.create_agent("a").await?.id;
    let first = run.say(room, "first").await?;
    let second = run.answer(room, agent, "second").await?;
    let third = run.answer(room, agent, "third").await?;
    let elsewhere = run.say(other, "elsewhere").await?;
    let before = run.activity(room).await?;
    let messages = &run.ports.messages;
    messages.remove(room, second.id).await?;
    let log = vec![first.clone(), third.clone()];
    ensure_eq("the log", &run.log(room).await?, &log)?;
    let removed = Activity {
        last_seq: Seq(4),
        removed_seq: Seq(4),
        ..(*before).clone()
    };
    ensure_eq("the activity", &*run.activity(room).await?, &removed)?;
    ensure_missing(
        "the removal of a removed message",
        messages.remove(room, second.id).await,
    )?;
    ensure_missing(
        "the removal of another room's message",
        messages.remove(room, elsewhere.id).await,
    )?;
    ensure_missing(
        "the removal from an unknown room",
        messages.remove(UNKNOWN_ROOM, first.id).await,
    )?;
    ensure_eq(
        "the other room's log",
        &run.log(other).await?,
        &vec![elsewhere],
    )?;
    // The newest message is removed, so an older one is the newest.
    messages.remove(room, third.id).await?;
    let activity = run.activity(room).await?;
    ensure_eq(
        "the sequence number of the newest message",
        &activity.last_message_seq,
        &first.seq,
    )?;
    messages.remove(room, first.id).await?;
    let activity = run.activity(room).await?;
    ensure_eq(
        "the end of an empty log",
        &activity.last_message_seq,
        &Seq(0),
    )?;
    ensure_eq("the last sequence number", &activity.last_seq, &Seq(6))?;
    let next = run.say(room, "next").await?;
    ensure_eq("the next message's sequence number", &next.seq, &Seq(7))?;
    ensure(next.id > third.id, "the id of a removed message was reused")?;
    ensure_eq(
        "the log of the next message",
        &run.log(room).await?,
        &vec![next],
    )?;
    ensure_eq(
        "the number of cleared messages",
        &messages.clear(room).await?,
        &1,
    )
}

pub(super) async fn a_removed_message_is_shown_by_no_read(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    let agent = run.create_agent("a").await?.id;
    run.ports.rooms.add_member(room, agent).await?;
    let new = NewMessage {
        image: Some(image("aGVsbG8=")),
        ..NewMessage::from_agent(room, agent, "look")
    };
    let messages = &run.ports.messages;
    let shown = messages.append(new).await?;
    let kept = run.answer(room, agent, "kept").await?;
    let counts = messages.answer_counts(room).await?.unwrap_or_default();
    ensure_eq("the answers", &counts.by_agent.get(&agent), &Some(&2))?;
    messages.remove(room, shown.id).await?;
    let counts = messages.answer_counts(room).await?.unwrap_or_default();
    ensure_eq("the answers left", &counts.by_agent.get(&agent), &Some(&1))?;
    ensure_eq("the end of the counted log", &counts.last_seq, &Seq(3))?;
    ensure_eq(
        "the image of a removed message",
        &messages.images(room, &[shown.id]).await?,
        &vec![],
    )?;
    let end = messages.end(room, NO_LIMIT).await?;
    ensure_eq(
        "the end of the log",
        &end.map(|end| (end.last_seq, end.messages)),
        &Some((Seq(3), vec![kept.clone()])),
    )?;
    ensure_eq(
        "the author's messages",
        &messages.by_authors(room, &[agent], None, NO_LIMIT).await?,
        &vec![kept],
    )
}

pub(super) async fn removals_are_listed_until_the_next_clear(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    let said = run.say_many(room, 4).await?;
    let messages = &run.ports.messages;
    for message in [&said[2], &said[0], &said[3]] {
        messages.remove(room, message.id).await?;
    }
    let removal = |seq, index: usize| Removal {
        seq: Seq(seq),
        message: said[index].id,
    };
    let all = vec![removal(5, 2), removal(6, 0), removal(7, 3)];
    ensure_eq(
        "the removals",
        &messages.removals(room, Seq(0), NO_LIMIT).await?,
        &all,
    )?;
    ensure_eq(
        "the oldest removal after another",
        &messages.removals(room, Seq(5), 1).await?,
        &vec![removal(6, 0)],
    )?;
    ensure_eq(
        "the removals of an unknown room",
        &messages.removals(UNKNOWN_ROOM, Seq(0), NO_LIMIT).await?,
        &vec![],
    )?;
    messages.clear(room).await?;
    ensure_eq(
        "the removals after a clear",
        &messages.removals(room, Seq(0), NO_LIMIT).await?,
        &vec![],
    )?;
    let activity = run.activity(room).await?;
    ensure_eq(
        "the last clear and the last removal",
        &(activity.cleared_seq, activity.removed_seq),
        &(Seq(8), Seq(7)),
    )
}

pub(super) async fn removing_and_appending_take_turns(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    let said = run.say_many(room, 4).await?;
    let ports = run.ports.clone();
    let removals = in_tasks(said.into_iter().map(|message| {
        let ports = ports.clone();
        async move { ports.messages.remove(room, message.id).await }
    }));
    let appends = in_tasks((0..4).map(|n| {
        let ports = ports.clone();
        let new = NewMessage::from_user(room, format!("message {n}"));
        async move { ports.messages.append(new).await }
    }));
    let (removed, appended) = join(removals, appends).await;
    for removed in removed? {
        removed?;
    }
    let mut messages = Vec::new();
    for appended in appended? {
        messages.push(appended?);
    }
    messages.sort_by_key(|message| message.seq);
    ensure_eq("the log", &run.log(room).await?, &messages)?;
    let removals = run.ports.messages.removals(room, Seq(0), NO_LIMIT).await?;
    let taken = removals.iter().map(|removal| removal.seq);
    let mut taken: Vec<_> = taken
        .chain(messages.iter().map(|message| message.seq))
        .collect();
    taken.sort_unstable();
    ensure_eq(
        "the sequence numbers of removals and messages",
        &taken,
        &(5..13).map(Seq).collect(),
    )
}

pub(super) async fn the_size_of_an_owners_images_follows_them(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    let direct = run.create_room("b").await?.id;
    let (owner, other) = (run.owner()?, run.user("other")?);
    let messages = &run.ports.messages;
    let look = async |room: RoomId, data: &str| -> Outcome<_> {
        let new = NewMessage {
            image: Some(image(data)),
            ..NewMessage::from_user(room, "look")
        };
        Ok(messages.append(new).await?)
    };
    ensure_eq("no images", &messages.image_bytes(&owner).await?, &0)?;
    let first = look(room, "aGVsbG8=").await?;
    look(direct, "aGVsbG8gdGhlcmU=").await?;
    run.say(room, "without an image").await?;
    ensure_eq("two images", &messages.image_bytes(&owner).await?, &18)?;
    ensure_eq("another owner", &messages.image_bytes(&other).await?, &0)?;
    messages.remove(room, first.id).await?;
    ensure_eq("one image", &messages.image_bytes(&owner).await?, &12)?;
    messages.clear(direct).await?;
    ensure_eq("after a clear", &messages.image_bytes(&owner).await?, &0)
}

fn image(data: &str) -> Image {
    Image {
        media_type: "image/png".into(),
        data: data.into(),
    }
}
