//! The table of rules that a planted backend can break.

macro_rules! faults {
    ($($method:literal { $($fault:ident $what:literal)* })*) => {
        /// A rule to break. The backend answers as if all were well, except where failing is the fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum PlantedFault {
            $($(#[doc = $what] $fault,)*)*
        }

        impl PlantedFault {
            /// Every fault, in the order of the ports.
            pub const ALL: &[Self] = &[$($(Self::$fault,)*)*];

            /// The port's method that is at fault, as in `Agents::find`.
            pub fn method(self) -> &'static str {
                match self {
                    $($(Self::$fault)|* => $method,)*
                }
            }
        }
    };
}

faults! {
    "Agents::find" {
        FindShowsDeleted                      "A deleted agent is found."
        FindServesItsFirstAnswer              "A changed agent is found as it was."
    }
    "Agents::find_many" {
        FindManyHidesTombstones               "Deleted agents are left out."
        FindManyKeepsTheOrderAsked            "Agents come in the order of the ids."
        FindManyRepeatsAgents                 "An agent comes as often as its id."
    }
    "Agents::list" {
        ListShowsDeletedAgents                "Deleted agents are listed."
        ListSortsAgentsByName                 "Agents are listed by name."
    }
    "Agents::create" {
        CreateTakesALivingName                "A taken name gives the agent that has it."
        CreateRevivesADeletedAgent            "A tombstone's name gives the tombstone, living."
        CreateForgetsThePersona               "The persona is not stored."
        CreateLetsTheCallerNameThePicture     "The given picture's name is stored."
        CreateIsNotAtomic                     "The name is checked, and taken later."
    }
    "Agents::adopt" {
        AdoptLeadsOutside                     "A path that leads outside is adopted."
        AdoptTakesFilesTwice                  "An agent's files are adopted again."
        AdoptMakesUpFiles                     "Files that are not there are adopted."
    }
    "Agents::update" {
        UpdateLosesOtherFields                "The persona's other fields are emptied."
        UpdateChangesThePersonaOnConflict     "The persona changes before the name is refused."
        UpdateLeavesOutATakenName             "All but a taken name is changed."
        UpdateKeepsTheVersion                 "The version stays."
        UpdateAnswersForADeletedAgent         "Updating a tombstone is answered."
        UpdateAnswersForUnknownAgents         "Updating an agent that never was is answered."
        UpdateIsNotAtomic                     "The persona is read, and written back later."
    }
    "Agents::delete" {
        DeleteLosesTheTombstone               "The row is deleted."
        DeleteLosesMemberships                "The agent leaves its rooms."
        DeleteLosesMessages                   "What the agent said is deleted."
        DeleteAnswersTwice                    "Deleting a tombstone is answered."
        DeleteFreesTheId                      "The id is used again."
    }
    "AgentConfigs::find" {
        FindPersonaOfDeleted                  "A deleted agent has a persona."
        FindPersonaServesItsFirstAnswer       "A changed persona is found as it was."
    }
    "AgentConfigs::find_many" {
        PersonasOfDeletedAreFound             "Deleted agents' personas are among them."
        PersonasKeepTheOrderAsked             "Personas come in the order of the ids."
        PersonasAreRepeated                   "A persona comes as often as its id."
    }
    "AgentConfigs::find_again" {
        FindAgainServesItsFirstAnswer         "A changed persona is found again as it was."
    }
    "AgentConfigs::picture" {
        PictureOfDeletedIsGiven               "A deleted agent has a picture."
    }
    "AgentConfigs::save" {
        SaveReplacesThePicture                "The given picture's name is stored."
        SaveKeepsMemories                     "The old memories stay."
        SaveAnswersForADeletedAgent           "Saving a tombstone's persona is answered."
    }
    "AgentConfigs::append_memory" {
        MemoryGoesInFront                     "The event is put before the others."
        MemoryReplacesTheOthers               "The event stands alone."
        MemoryIsNotAtomic                     "The events are read, and written back later."
    }
    "AgentConfigs::reload" {
        ReloadEmptiesThePersona               "The persona is emptied."
        ReloadAnswersForADeletedAgent         "Reading a tombstone's files is answered."
    }
    "AgentConfigs::list" {
        ConfigsAreNotListedByName             "Files are listed by falling name."
        ConfigsOfDeletedAreListed             "Deleted agents' files are listed."
    }
    "AgentConfigs::changed" {
        ChangedEchoesWrites                   "What was written through the ports counts as changed."
    }
    "AgentConfigs::watch" {
        WatchEchoesWrites                     "What was written through the ports is told."
    }
    "AgentConfigs::problems" {
        ProblemsOfSoundAgents                 "Files that are well are told of."
    }
    "Rooms::find" {
        FindRoomServesItsFirstAnswer          "A changed room is found as it was."
        FindRoomHidesDirectRooms              "Direct rooms are not found."
    }
    "Rooms::find_many" {
        RoomsKeepTheOrderAsked                "Rooms come in the order of the ids."
        RoomsAreRepeated                      "A room comes as often as its id."
    }
    "Rooms::list" {
        ListHidesDirectRooms                  "Direct rooms are not listed."
        ListSortsRoomsByName                  "Rooms are listed by name."
    }
    "Rooms::list_by_owner" {
        ListByOwnerShowsOthersRooms           "All rooms are listed."
        ListByOwnerIsNewestFirst              "Rooms are listed by falling id."
    }
    "Rooms::find_direct" {
        FindDirectIgnoresTheOwner             "Another owner's direct room is found."
        FindDirectIgnoresTheAgent             "Another agent's direct room is found."
        FindDirectGoesByName                  "A renamed direct room is not found."
    }
    "Rooms::create" {
        CreateTakesAnOwnersName               "A taken name gives the room that has it."
        CreateTakesNoOthersName               "Another owner's name gives the room that has it."
        CreateForgetsTheLimit                 "The number of answers is not limited."
        CreateRoomIsNotAtomic                 "The name is checked, and taken later."
    }
    "Rooms::create_direct" {
        CreateDirectIsNotAtomic               "Whether there is one is checked before it is made."
        CreateDirectLeavesTheAgentOut         "The agent is not in it."
        CreateDirectTakesDeleted              "A deleted agent gets a direct room."
        CreateDirectGoesByName                "A renamed direct room is made again."
    }
    "Rooms::update" {
        UpdateOfARoomLosesTheRest             "Flags that are not named are reset."
        UpdateOfARoomIsHalfDoneOnConflict     "All but the name changes before the name is refused."
        UpdateOfARoomLeavesOutATakenName      "All but a taken name is changed."
        UpdateOfARoomKeepsTheVersion          "The version stays."
        UpdateFinishesAtTheLastUser           "A conversation is finished at the last user's message."
        UpdateOfARoomIsNotAtomic              "The room is read, and written back later."
    }
    "Rooms::delete" {
        DeleteLeavesMembers                   "A deleted room has members."
        DeleteLeavesMessages                  "A deleted room has messages."
        DeleteLeavesPositions                 "A deleted room was read."
        DeleteLeavesSessions                  "A deleted room has sessions."
        DeleteFreesTheRoomsId                 "The id is used again."
        DeleteOfARoomAnswersTwice             "Deleting a room again is answered."
    }
    "Rooms::members" {
        MembersAreSortedByAgent               "Members come by rising agent."
        MembersHideDeleted                    "Deleted agents are left out."
        MembersServeTheirFirstAnswer          "Who was in the room is in it."
    }
    "Rooms::add_member" {
        AddMemberIsNotTold                    "No message is appended."
        AddMemberIsToldTwice                  "Adding an agent again is told again."
        AddMemberIsToldInEmptyRooms           "The message is appended to an empty log."
        AddMemberIsNotAtomic                  "The message is appended later."
        AddMemberTakesDeleted                 "A deleted agent is added."
        AddMemberHidesItsMessage              "The agent joins after the message of joining."
    }
    "Rooms::remove_member" {
        RemoveMemberAnswersForAbsent          "Taking out an agent that is not in is answered."
        RemoveMemberKeepsDeleted              "A deleted agent stays in."
        RemoveMemberEmptiesTheRoom            "All agents are taken out."
    }
    "Rooms::activity" {
        ActivityServesItsFirstAnswer          "What was the last place is the last."
        ActivityTakesAllForUsers              "Any message counts as a user's."
    }
    "Rooms::activities" {
        ActivitiesKeepTheOrderAsked           "Activities come in the order of the ids."
        ActivitiesOfUnknownRooms              "Unknown rooms are among them."
    }
    "Messages::recent" {
        RecentIsNewestFirst                   "The newest message comes first."
        RecentReturnsOldest                   "The oldest messages are given."
        RecentIgnoresBefore                   "The newest of all messages are given."
        RecentIncludesBefore                  "The message that is not to be reached is among them."
        RecentGivesOneMore                    "One message more than asked for is given."
        RecentServesItsFirstAnswer            "Messages that came later are left out."
    }
    "Messages::since" {
        SinceReturnsNewest                    "The newest messages are given: a poller loses the others."
        SinceIncludesAfter                    "The last message seen is given again."
        SinceIgnoresTheLimit                  "All messages are given."
        SinceIsNewestFirst                    "The newest message comes first."
    }
    "Messages::by_authors" {
        ByAuthorsGivesEverybody               "Everybody's messages are given."
        ByAuthorsReturnsNewest                "The newest messages are given."
        ByAuthorsIgnoresAfter                 "Messages that were seen are given."
        ByAuthorsLimitsBeforeItPicks          "The limit counts everybody's messages."
    }
    "Messages::since_answer" {
        SinceAnswerIgnoresAnswers             "All since the agent joined is given."
        SinceAnswerIgnoresJoining             "All since the agent's last message is given."
        SinceAnswerIsForEverybody             "An agent outside is given the log."
        SinceAnswerReturnsOldest              "The oldest messages are given."
    }
    "Messages::answer_counts" {
        AnswersCountOtherRooms                "Messages in all rooms count."
        AnswersServeTheirFirst                "Messages that came later do not count."
    }
    "Messages::end" {
        EndReturnsOldest                      "The oldest messages are given."
        EndTakesThePlaceOfTheLastMessage      "A clear takes no place."
        EndOfUnknownRooms                     "An unknown room has an end."
    }
    "Messages::images" {
        ImagesOfOtherRooms                    "Images of other rooms are given."
        ImagesKeepTheOrderAsked               "Images come in the order of the ids."
        ImagesAreRepeated                     "An image comes as often as its message's id."
    }
    "Messages::append" {
        AppendLosesThinking                   "What the agent thought is not stored."
        AppendLosesTheImage                   "The image's bytes are not stored."
        AppendLeavesAGap                      "A place is left out."
        AppendIsNotAtomic                     "The place is read, and taken later."
        AppendForgetsActivity                 "The time of the last activity stays."
        AppendChangesTheRoom                  "The room's version is raised."
        AppendReadsForEverybody               "Everybody who ever marked has read the message."
        AppendAnswersForUnknownRooms          "A message to nowhere is answered."
    }
    "Messages::clear" {
        ClearTakesNoPlace                     "The next message's place is the one after the last message."
        ClearFreesIds                         "Ids of cleared messages are used again."
        ClearAnswersNothing                   "The answer is 0."
        ClearReachesOtherRooms                "Other rooms are cleared too."
        ClearForgetsTheLastUser               "No user ever spoke."
        ClearLeavesImages                     "Images stay."
    }
    "ReadPositions::find" {
        FindPositionOfAnybody                 "The position of any user is found."
        FindPositionServesItsFirstAnswer      "Where the user stood is where the user stands."
    }
    "ReadPositions::find_many" {
        PositionsKeepTheOrderAsked            "Positions come in the order of the ids."
        PositionsAreRepeated                  "A position comes as often as its room's id."
    }
    "ReadPositions::mark" {
        MarkReadsForEverybody                 "Everybody who ever marked has read."
        MarkKeepsTheVersion                   "The version stays."
        MarkStopsAtTheLastMessage             "A cleared room is marked at 0."
        MarkAnswersForUnknownRooms            "Marking a room that is not there is answered."
    }
    "Sessions::list" {
        SessionsAreNotByAgent                 "Sessions come by falling agent."
        SessionsServeTheirFirstAnswer         "A changed session is listed as it was."
    }
    "Sessions::save" {
        SaveReplacesAllSessions               "The others' sessions are deleted."
        SaveReachesOtherRooms                 "The session is saved in all rooms of the agent."
        SaveTakesStrangers                    "An agent that is not in the room gets a session."
    }
    "Settle::settle" {
        SettleIsTooEarly                      "A message that was dropped lands after settling."
    }
    "Health::check" {
        CheckFails                            "A store that answers is unavailable."
    }
}
