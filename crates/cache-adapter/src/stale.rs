//! The table of stale keys. A row says which cached keys a write method makes stale.
//!
//! Each write runs under a guard for the keys of its row, so no write can run without a guard.

use domain::{AgentId, Change, RoomId, UserId};

/// A write method of a port, with the arguments that determine its stale keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    CreateAgent,
    AdoptAgent,
    UpdateAgent(AgentId),
    DeleteAgent(AgentId),
    SaveConfig(AgentId),
    AppendMemory(AgentId),
    ReloadConfig(AgentId),
    AppendOwnerMemory(AgentId, UserId),
    ForgetOwner(UserId, Option<AgentId>),
    CreateRoom(UserId),
    CreateDirectRoom(UserId),
    UpdateRoom(RoomId),
    DeleteRoom(RoomId),
    AddMember(RoomId),
    RemoveMember(RoomId),
    AppendMessage(RoomId),
    /// As [`Write::AppendMessage`], and the message has an image.
    AppendImage(RoomId),
    RemoveMessage(RoomId),
    ClearMessages(RoomId),
    MarkRead(UserId, RoomId),
    SaveSession(RoomId),
    AddUsage,
}

/// Keys that a write makes stale. `New…` is a key whose id the store will assign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StaleKeys {
    Agent(AgentId),
    NewAgent,
    Config(AgentId),
    NewConfig,
    AgentList,
    /// The memories that an agent has of an owner's rooms.
    Memories(AgentId, UserId),
    /// The memories that an agent has of all owners' rooms.
    MemoriesBy(AgentId),
    /// The memories that all agents have of an owner's rooms.
    MemoriesOf(UserId),
    Room(RoomId),
    NewRoom,
    RoomList,
    RoomsOf(UserId),
    Members(RoomId),
    NewMembers,
    /// The room's key in each region that holds a copy of the room's log.
    Log(RoomId),
    NewLog,
    /// No stale key: the write appends a message to each copy of the room's log.
    Appended(RoomId),
    /// The images of the room's messages.
    Images(RoomId),
    NewImage,
    Sessions(RoomId),
    Read(UserId, RoomId),
    /// The read positions of all users in the room.
    Reads(RoomId),
}

use StaleKeys::{
    Agent, AgentList, Appended, Config, Images, Log, Members, Memories, MemoriesBy, MemoriesOf,
    NewAgent, NewConfig, NewImage, NewLog, NewMembers, NewRoom, Read, Reads, Room, RoomList,
    RoomsOf, Sessions,
};

/// Returns the keys that `write` makes stale.
///
/// A deletion does not make lists stale. Lists hold only ids, and their readers skip ids of rows
/// that do not exist any more.
#[rustfmt::skip] // One row a line.
#[expect(clippy::match_same_arms, reason = "one row per write method")]
pub(crate) fn stale(write: &Write) -> Vec<StaleKeys> {
    match write.clone() {
        Write::CreateAgent             => vec![NewAgent, NewConfig, AgentList],
        Write::AdoptAgent              => vec![NewAgent, NewConfig, AgentList],
        Write::UpdateAgent(agent)      => vec![Agent(agent), Config(agent)],
        Write::DeleteAgent(agent)      => vec![Agent(agent), Config(agent), MemoriesBy(agent)],
        Write::SaveConfig(agent)       => vec![Config(agent)],
        Write::AppendMemory(agent)     => vec![Config(agent)],
        Write::ReloadConfig(agent)     => vec![Agent(agent), Config(agent)],
        Write::AppendOwnerMemory(agent, owner)  => vec![Memories(agent, owner)],
        Write::ForgetOwner(owner, Some(agent))  => vec![Memories(agent, owner)],
        Write::ForgetOwner(owner, None)         => vec![MemoriesOf(owner)],
        Write::CreateRoom(owner)       => vec![NewRoom, NewLog, NewMembers, RoomList,
                                               RoomsOf(owner)],
        Write::CreateDirectRoom(owner) => vec![NewRoom, NewLog, NewMembers, RoomList,
                                               RoomsOf(owner)],
        Write::UpdateRoom(room)        => vec![Room(room)],
        Write::DeleteRoom(room)        => vec![Room(room), Members(room), Log(room), Sessions(room),
                                               Reads(room), Images(room)],
        Write::AddMember(room)         => vec![Members(room), Appended(room)],
        Write::RemoveMember(room)      => vec![Members(room), Sessions(room)],
        Write::AppendMessage(room)     => vec![Appended(room)],
        Write::AppendImage(room)       => vec![Appended(room), NewImage],
        Write::RemoveMessage(room)     => vec![Log(room), Images(room)],
        Write::ClearMessages(room)     => vec![Log(room), Images(room)],
        Write::MarkRead(user, room)    => vec![Read(user, room)],
        Write::SaveSession(room)       => vec![Sessions(room)],
        Write::AddUsage                => vec![],
    }
}

/// Returns the keys that a change of another process makes stale.
#[rustfmt::skip] // One row a line.
pub(crate) fn stale_elsewhere(change: &Change) -> Vec<StaleKeys> {
    match change.clone() {
        // The follower removes everything.
        Change::Everything                    => vec![],
        Change::AgentCreated                  => vec![NewAgent, NewConfig, AgentList],
        Change::AgentChanged(agent)           => vec![Agent(agent), Config(agent),
                                                      MemoriesBy(agent)],
        Change::PersonaChanged(agent)         => vec![Config(agent)],
        Change::MemoriesChanged(agent, owner) => vec![Memories(agent, owner)],
        Change::RoomCreated(owner)            => vec![NewRoom, NewLog, NewMembers, RoomList,
                                                      RoomsOf(owner)],
        Change::RoomChanged(room)             => vec![Room(room)],
        Change::RoomDeleted(room)             => vec![Room(room), Members(room), Log(room),
                                                      Sessions(room), Reads(room), Images(room)],
        Change::MembersChanged(room)          => vec![Members(room)],
        Change::SessionsChanged(room)         => vec![Sessions(room)],
        // Ends absences: the message may have an image.
        Change::MessageAppended(room, _)      => vec![Appended(room), NewImage],
        Change::MessagesRemoved(room)         => vec![Log(room), Images(room)],
        Change::RoomRead(user, room)          => vec![Read(user, room)],
    }
}

/// Returns every write method with an example of its arguments: room 7, agent 3, user `guest-1`.
#[rustfmt::skip] // One row a line.
pub(crate) fn example_writes() -> Vec<(&'static str, Write)> {
    let (agent, room) = (AgentId(3), RoomId(7));
    let user = UserId::parse("guest-1").expect("guest-1 is a valid user id");
    vec![
        ("Agents::create",              Write::CreateAgent),
        ("Agents::update",              Write::UpdateAgent(agent)),
        ("Agents::delete",              Write::DeleteAgent(agent)),
        ("AgentConfigs::save",          Write::SaveConfig(agent)),
        ("AgentConfigs::append_memory", Write::AppendMemory(agent)),
        ("AgentFiles::adopt",           Write::AdoptAgent),
        ("AgentFiles::reload",          Write::ReloadConfig(agent)),
        ("Memories::append",            Write::AppendOwnerMemory(agent, user.clone())),
        ("Memories::forget",            Write::ForgetOwner(user.clone(), Some(agent))),
        ("Memories::forget",            Write::ForgetOwner(user.clone(), None)),
        ("Rooms::create",               Write::CreateRoom(user.clone())),
        ("Rooms::create_direct",        Write::CreateDirectRoom(user.clone())),
        ("Rooms::update",               Write::UpdateRoom(room)),
        ("Rooms::delete",               Write::DeleteRoom(room)),
        ("Rooms::add_member",           Write::AddMember(room)),
        ("Rooms::remove_member",        Write::RemoveMember(room)),
        ("Messages::append",            Write::AppendMessage(room)),
        ("Messages::append",            Write::AppendImage(room)),
        ("Messages::remove",            Write::RemoveMessage(room)),
        ("Messages::clear",             Write::ClearMessages(room)),
        ("ReadPositions::mark",         Write::MarkRead(user, room)),
        ("Sessions::save",              Write::SaveSession(room)),
        ("UsageLog::add",               Write::AddUsage),
    ]
}
