//! What each write makes stale: one row per write method, and no write runs without its row.

use std::fmt;

use domain::{AgentId, RoomId, UserId};

/// A write method of a port with the arguments that its keys follow from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    CreateAgent,
    AdoptAgent,
    UpdateAgent(AgentId),
    DeleteAgent(AgentId),
    SaveConfig(AgentId),
    AppendMemory(AgentId),
    ReloadConfig(AgentId),
    CreateRoom(UserId),
    CreateDirectRoom(UserId),
    UpdateRoom(RoomId),
    DeleteRoom(RoomId),
    AddMember(RoomId),
    RemoveMember(RoomId),
    AppendMessage(RoomId),
    ClearMessages(RoomId),
    MarkRead(UserId, RoomId),
    SaveSession(RoomId),
}

/// What becomes stale: a key, a key that nobody knows yet, or a whole region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Agent(AgentId),
    NewAgent,
    Config(AgentId),
    NewConfig,
    AgentList,
    Room(RoomId),
    NewRoom,
    RoomList,
    RoomsOf(UserId),
    Members(RoomId),
    NewMembers,
    Activity(RoomId),
    NewActivity,
    Messages(RoomId),
    Sessions(RoomId),
    Read(UserId, RoomId),
    AllReads,
}

use Target::{
    Activity, Agent, AgentList, AllReads, Config, Members, Messages, NewActivity, NewAgent, NewConfig, NewMembers, NewRoom, Read, Room,
    RoomList, RoomsOf, Sessions,
};

/// Lists hold ids only and drop at the join what is gone, so that a deletion leaves them as they are.
#[rustfmt::skip] // One row a line.
#[expect(clippy::match_same_arms, reason = "one row per write method")]
pub(crate) fn stale(write: &Write) -> Vec<Target> {
    match write.clone() {
        Write::CreateAgent             => vec![NewAgent, NewConfig, AgentList],
        Write::AdoptAgent              => vec![NewAgent, NewConfig, AgentList],
        Write::UpdateAgent(agent)      => vec![Agent(agent), Config(agent)],
        Write::DeleteAgent(agent)      => vec![Agent(agent), Config(agent)],
        Write::SaveConfig(agent)       => vec![Config(agent)],
        Write::AppendMemory(agent)     => vec![Config(agent)],
        Write::ReloadConfig(agent)     => vec![Agent(agent), Config(agent)],
        Write::CreateRoom(owner)       => vec![NewRoom, NewActivity, NewMembers, RoomList, RoomsOf(owner)],
        Write::CreateDirectRoom(owner) => vec![NewRoom, NewActivity, NewMembers, RoomList, RoomsOf(owner)],
        Write::UpdateRoom(room)        => vec![Room(room)],
        Write::DeleteRoom(room)        => vec![Room(room), Members(room), Activity(room), Messages(room), Sessions(room), AllReads],
        Write::AddMember(room)         => vec![Members(room), Messages(room), Activity(room)],
        Write::RemoveMember(room)      => vec![Members(room), Sessions(room)],
        Write::AppendMessage(room)     => vec![Messages(room), Activity(room)],
        Write::ClearMessages(room)     => vec![Messages(room), Activity(room)],
        Write::MarkRead(user, room)    => vec![Read(user, room)],
        Write::SaveSession(room)       => vec![Sessions(room)],
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Agent(id) => write!(f, "agent_obj:{id}"),
            NewAgent => f.write_str("agent_obj (absences)"),
            Config(id) => write!(f, "agent_config:{id}"),
            NewConfig => f.write_str("agent_config (absences)"),
            AgentList => f.write_str("agent_list:all"),
            Room(id) => write!(f, "room_obj:{id}"),
            NewRoom => f.write_str("room_obj (absences)"),
            RoomList => f.write_str("room_list:all"),
            RoomsOf(owner) => write!(f, "rooms_of:{owner}"),
            Members(id) => write!(f, "room_agents:{id}"),
            NewMembers => f.write_str("room_agents (absences)"),
            Activity(id) => write!(f, "room_activity:{id}"),
            NewActivity => f.write_str("room_activity (absences)"),
            Messages(id) => write!(f, "room_messages:{id}"),
            Sessions(id) => write!(f, "room_sessions:{id}"),
            Read(user, room) => write!(f, "read_state:{user}/{room}"),
            AllReads => f.write_str("read_state (all)"),
        }
    }
}

/// Every write, about room 7, agent 3 and user `guest-1`, and what it makes stale, as `docs/architecture.md` shows them.
pub fn stale_table() -> Vec<(String, String)> {
    let (agent, room, user) = (AgentId(3), RoomId(7), UserId::parse("guest-1").expect("a plain user id"));
    let writes = [
        ("Agents::create", Write::CreateAgent),
        ("Agents::adopt", Write::AdoptAgent),
        ("Agents::update", Write::UpdateAgent(agent)),
        ("Agents::delete", Write::DeleteAgent(agent)),
        ("AgentConfigs::save", Write::SaveConfig(agent)),
        ("AgentConfigs::append_memory", Write::AppendMemory(agent)),
        ("AgentConfigs::reload", Write::ReloadConfig(agent)),
        ("Rooms::create", Write::CreateRoom(user.clone())),
        ("Rooms::create_direct", Write::CreateDirectRoom(user.clone())),
        ("Rooms::update", Write::UpdateRoom(room)),
        ("Rooms::delete", Write::DeleteRoom(room)),
        ("Rooms::add_member", Write::AddMember(room)),
        ("Rooms::remove_member", Write::RemoveMember(room)),
        ("Messages::append", Write::AppendMessage(room)),
        ("Messages::clear", Write::ClearMessages(room)),
        ("ReadPositions::mark", Write::MarkRead(user, room)),
        ("Sessions::save", Write::SaveSession(room)),
    ];
    let keys = |write| stale(write).iter().map(|target| format!("`{target}`")).collect::<Vec<_>>().join(", ");
    writes.iter().map(|(method, write)| ((*method).to_owned(), keys(write))).collect()
}
