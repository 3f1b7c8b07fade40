//! Laws of a store that is closed and opened again.

use domain::{
    AgentConfig, AgentName, Error, Image, NewAgent, NewMessage, NewRoom, RecentEvent, Repositories,
    Result, RoomName, UserId,
};
use futures_util::future::BoxFuture;

use crate::{law::Breach, report::Report};

/// A place where a store can be opened repeatedly, such as a database file.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let place = contract::memory::Place::default();
/// contract::check_reopening(&place).await.assert();
/// # }
/// ```
pub trait Reopen: Sync {
    /// Opens the store. The caller has dropped all ports of earlier calls. If the store closes in
    /// the background, an implementation waits until it is closed.
    fn open(&self) -> BoxFuture<'_, Result<Repositories>>;
    /// Tries to open the store without waiting, as a second process would. Fails with
    /// [`Error::Conflict`] while the store is open.
    fn try_open(&self) -> BoxFuture<'_, Result<Repositories>>;
}

/// Runs the laws of a store that is closed and opened again.
///
/// [`check`](crate::check) runs the laws of an open store.
pub async fn check_reopening(place: &dyn Reopen) -> Report {
    let mut report = Report::default();
    let laws: [(_, BoxFuture<'_, Result<(), Breach>>); 3] = [
        (
            "an_acknowledged_write_is_there_after_a_reopen",
            Box::pin(writes_stay(place)),
        ),
        (
            "ids_are_not_reused_after_a_reopen",
            Box::pin(ids_are_not_reused(place)),
        ),
        (
            "a_second_opener_is_refused_while_the_first_is_open",
            Box::pin(a_second_opener_is_refused(place)),
        ),
    ];
    for (name, law) in laws {
        report.add(name, law.await);
    }
    report
}

fn new_room(name: &str) -> Result<NewRoom> {
    Ok(NewRoom {
        owner: UserId::parse("owner")?,
        name: RoomName::parse(name)?,
        max_interactions: Some(7),
    })
}

fn new_agent(name: &str) -> Result<NewAgent> {
    let config = AgentConfig {
        in_a_nutshell: format!("{name} in brief"),
        ..AgentConfig::default()
    };
    Ok(NewAgent {
        name: AgentName::parse(name)?,
        group: None,
        config,
        picture: None,
    })
}

/// Writes rows of each kind, and compares the results of reads before and after a reopen.
async fn writes_stay(place: &dyn Reopen) -> Result<(), Breach> {
    let ports = place.open().await?;
    let room = ports.rooms.create(new_room("kept")?).await?.id;
    let agent = ports.agents.create(new_agent("Kept")?).await?.id;
    let event = RecentEvent {
        date: None,
        text: "It rained.".into(),
    };
    ports.configs.append_memory(agent, event).await?;
    ports.rooms.add_member(room, agent).await?;
    ports.sessions.save(room, agent, "a session".into()).await?;
    ports
        .messages
        .append(NewMessage::from_user(room, "cleared"))
        .await?;
    ports.messages.clear(room).await?;
    let image = Image {
        media_type: "image/png".into(),
        data: "aGVsbG8=".into(),
    };
    let message = NewMessage {
        image: Some(image),
        ..NewMessage::from_agent(room, agent, "kept")
    };
    let message = ports.messages.append(message).await?.id;
    let user = UserId::parse("owner")?;
    ports.read_positions.mark(user.clone(), room).await?;
    let gone = ports.agents.create(new_agent("Gone")?).await?.id;
    ports.agents.delete(gone).await?;
    let everything = async |ports: &Repositories| {
        Ok::<_, Error>([
            format!("{:?}", ports.rooms.find(room).await?),
            format!("{:?}", ports.rooms.members(room).await?),
            format!("{:?}", ports.rooms.activity(room).await?),
            format!("{:?}", ports.agents.find_many(&[agent, gone]).await?),
            format!("{:?}", ports.configs.find(agent).await?),
            format!("{:?}", ports.messages.end(room, 10).await?),
            format!("{:?}", ports.messages.images(room, &[message]).await?),
            format!("{:?}", ports.messages.answer_counts(room).await?),
            format!("{:?}", ports.read_positions.find(&user, room).await?),
            format!("{:?}", ports.sessions.list(room).await?),
        ])
    };
    let before = everything(&ports).await?;
    drop(ports);
    let ports = place.open().await?;
    let after = everything(&ports).await?;
    for (before, after) in before.iter().zip(&after) {
        if before != after {
            return Err(Breach::new(format_args!(
                "after a reopen, a read returns {after} instead of {before}"
            )));
        }
    }
    Ok(())
}

async fn ids_are_not_reused(place: &dyn Reopen) -> Result<(), Breach> {
    let ports = place.open().await?;
    let room = ports.rooms.create(new_room("deleted")?).await?.id;
    let agent = ports.agents.create(new_agent("Deleted")?).await?.id;
    ports.rooms.delete(room).await?;
    ports.agents.delete(agent).await?;
    drop(ports);
    let ports = place.open().await?;
    let next_room = ports.rooms.create(new_room("new")?).await?.id;
    let next_agent = ports.agents.create(new_agent("New")?).await?.id;
    if next_room <= room || next_agent <= agent {
        return Err(Breach::new(format_args!(
            "after a reopen, room {next_room} follows room {room}, \
             and agent {next_agent} follows agent {agent}"
        )));
    }
    Ok(())
}

async fn a_second_opener_is_refused(place: &dyn Reopen) -> Result<(), Breach> {
    let ports = place.open().await?;
    match place.try_open().await {
        Err(Error::Conflict(_)) => {}
        Err(other) => {
            return Err(Breach::new(format_args!(
                "a second opener must be refused with `Conflict`, but got: {other}"
            )));
        }
        Ok(_) => return Err(Breach::new("a second opener was not refused")),
    }
    // The refusal does not affect the first opener.
    Ok(ports.health.check().await?)
}
