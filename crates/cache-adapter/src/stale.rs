//! What each write makes stale: one row per write method, and no write runs without its row.

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
    /// Everything that is kept of the room's log.
    Log(RoomId),
    NewLog,
    /// Nothing: a message joins what is kept of the room's log.
    Appended(RoomId),
    AllImages,
    Sessions(RoomId),
    Read(UserId, RoomId),
    AllReads,
}

use Target::{
    Agent, AgentList, AllImages, AllReads, Appended, Config, Log, Members, NewAgent, NewConfig,
    NewLog, NewMembers, NewRoom, Read, Room, RoomList, RoomsOf, Sessions,
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
        Write::CreateRoom(owner)       => vec![NewRoom, NewLog, NewMembers, RoomList, RoomsOf(owner)],
        Write::CreateDirectRoom(owner) => vec![NewRoom, NewLog, NewMembers, RoomList, RoomsOf(owner)],
        Write::UpdateRoom(room)        => vec![Room(room)],
        Write::DeleteRoom(room)        => vec![Room(room), Members(room), Log(room), Sessions(room), AllReads, AllImages],
        Write::AddMember(room)         => vec![Members(room), Appended(room)],
        Write::RemoveMember(room)      => vec![Members(room), Sessions(room)],
        Write::AppendMessage(room)     => vec![Appended(room)],
        Write::ClearMessages(room)     => vec![Log(room), AllImages],
        Write::MarkRead(user, room)    => vec![Read(user, room)],
        Write::SaveSession(room)       => vec![Sessions(room)],
    }
}

impl Target {
    /// As the table shows it.
    fn shown(&self) -> Vec<String> {
        let of_log = |suffix: &str| {
            ["room_messages", "room_answers", "room_activity"]
                .iter()
                .map(|region| format!("{region}{suffix}"))
                .collect()
        };
        match self {
            Appended(id) => of_log(&format!(":{id} (appended to)")),
            Log(id) => of_log(&format!(":{id}")),
            NewLog => of_log(" (absences)"),
            Agent(id) => vec![format!("agent_obj:{id}")],
            NewAgent => vec!["agent_obj (absences)".into()],
            Config(id) => vec![format!("agent_config:{id}")],
            NewConfig => vec!["agent_config (absences)".into()],
            AgentList => vec!["agent_list:all".into()],
            Room(id) => vec![format!("room_obj:{id}")],
            NewRoom => vec!["room_obj (absences)".into()],
            RoomList => vec!["room_list:all".into()],
            RoomsOf(owner) => vec![format!("rooms_of:{owner}")],
            Members(id) => vec![format!("room_agents:{id}")],
            NewMembers => vec!["room_agents (absences)".into()],
            AllImages => vec!["message_image (all)".into()],
            Sessions(id) => vec![format!("room_sessions:{id}")],
            Read(user, room) => vec![format!("read_state:{user}/{room}")],
            AllReads => vec!["read_state (all)".into()],
        }
    }
}

/// Every write, about room 7, agent 3 and user `guest-1`, and what it makes stale, as `docs/architecture.md` shows them.
pub fn stale_table() -> Vec<(String, String)> {
    let (agent, room, user) = (
        AgentId(3),
        RoomId(7),
        UserId::parse("guest-1").expect("a plain user id"),
    );
    let writes = [
        ("Agents::create", Write::CreateAgent),
        ("Agents::adopt", Write::AdoptAgent),
        ("Agents::update", Write::UpdateAgent(agent)),
        ("Agents::delete", Write::DeleteAgent(agent)),
        ("AgentConfigs::save", Write::SaveConfig(agent)),
        ("AgentConfigs::append_memory", Write::AppendMemory(agent)),
        ("AgentConfigs::reload", Write::ReloadConfig(agent)),
        ("Rooms::create", Write::CreateRoom(user.clone())),
        (
            "Rooms::create_direct",
            Write::CreateDirectRoom(user.clone()),
        ),
        ("Rooms::update", Write::UpdateRoom(room)),
        ("Rooms::delete", Write::DeleteRoom(room)),
        ("Rooms::add_member", Write::AddMember(room)),
        ("Rooms::remove_member", Write::RemoveMember(room)),
        ("Messages::append", Write::AppendMessage(room)),
        ("Messages::clear", Write::ClearMessages(room)),
        ("ReadPositions::mark", Write::MarkRead(user, room)),
        ("Sessions::save", Write::SaveSession(room)),
    ];
    let keys = |write| {
        stale(write)
            .iter()
            .flat_map(Target::shown)
            .map(|target| format!("`{target}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    writes
        .iter()
        .map(|(method, write)| ((*method).to_owned(), keys(write)))
        .collect()
}
