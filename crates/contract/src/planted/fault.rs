//! The table of rules that a planted backend can break.

macro_rules! faults {
    ($($method:literal { $($fault:ident $doc:literal)* })*) => {
        /// A rule that a planted backend breaks. The backend reports success, unless the fault
        /// itself is a failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum PlantedFault {
            $($(#[doc = $doc] $fault,)*)*
        }

        impl PlantedFault {
            /// All faults, in the order of the ports.
            pub const ALL: &[Self] = &[$($(Self::$fault,)*)*];

            /// Returns the method that has the fault, such as `Agents::find`.
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
        FindShowsDeleted                   "A deleted agent is found."
        FindServesItsFirstResult           "A changed agent is found in its old form."
    }
    "Agents::find_named" {
        FindNamedShowsDeleted              "A deleted agent is found by its name."
        FindNamedServesItsFirstResult      "A renamed agent is found by its old name."
    }
    "Agents::find_many" {
        FindManyHidesTombstones            "Deleted agents are missing from the result."
        FindManyKeepsTheOrderOfIds         "Agents are in the order of the argument."
        FindManyRepeatsAgents              "An agent is returned once for each copy of its id."
        FindManyRefusesLongLists           "More than 65,535 ids are refused."
    }
    "Agents::list" {
        ListShowsDeletedAgents             "Deleted agents are listed."
        ListSortsAgentsByName              "Agents are listed by name."
        ListIgnoresTheLastAgent            "A part always consists of the newest agents."
        ListReturnsTheOldestAgents         "Without `after`, the oldest agents are listed."
        ListIgnoresTheLimitOfAgents        "A part has more agents than the limit."
    }
    "Agents::create" {
        CreateAcceptsALivingName           "A taken name returns the agent that has it."
        CreateRevivesADeletedAgent         "A tombstone's name revives the tombstone."
        CreateForgetsThePersona            "The persona is not stored."
        CreateLetsTheCallerNameThePicture  "The caller's file name of the picture is stored."
        CreateIsNotAtomic                  "The name is checked in one step and taken in another."
    }
    "Agents::update" {
        UpdateLosesOtherFields             "The persona's other fields are emptied."
        UpdateChangesThePersonaOnConflict  "The persona changes before the name is refused."
        UpdateSkipsATakenName              "Everything but a taken name is changed."
        UpdateKeepsTheVersion              "The version does not change."
        UpdateSucceedsForADeletedAgent     "Updating a tombstone succeeds."
        UpdateSucceedsForUnknownAgents     "Updating an unknown agent succeeds."
        UpdateIsNotAtomic                  "The persona is read in one step and written in another."
    }
    "Agents::delete" {
        DeleteLosesTheTombstone            "The row is deleted."
        DeleteLosesMemberships             "The agent is removed from its rooms."
        DeleteLosesMessages                "The agent's messages are deleted."
        DeleteSucceedsTwice                "Deleting a tombstone succeeds."
        DeleteFreesTheId                   "The id is reused."
    }
    "AgentConfigs::find" {
        FindPersonaOfDeleted               "A deleted agent has a persona."
        FindPersonaServesItsFirstResult    "A changed persona is found in its old form."
    }
    "AgentConfigs::find_many" {
        PersonasOfDeletedAreFound          "Deleted agents' personas are in the result."
        PersonasKeepTheOrderOfIds          "Personas are in the order of the argument."
        PersonasAreRepeated                "A persona is returned once for each copy of its id."
    }
    "AgentConfigs::picture" {
        PictureOfDeletedIsReturned         "A deleted agent has a picture."
    }
    "AgentConfigs::save" {
        SaveReplacesThePicture             "The caller's file name of the picture is stored."
        SaveKeepsMemories                  "The old long-term memories are kept."
        SaveSucceedsForADeletedAgent       "Saving a tombstone's persona succeeds."
    }
    "AgentConfigs::append_memory" {
        MemoryGoesInFront                  "The event is inserted before the others."
        MemoryReplacesTheOthers            "The event replaces the others."
        MemoryIsNotAtomic                  "The events are read in one step and written in another."
    }
    "AgentFiles::find_again" {
        FindAgainServesItsFirstResult      "A changed persona is found again in its old form."
    }
    "AgentFiles::adopt" {
        AdoptLeadsOutside                  "A path outside the agents' folder is adopted."
        AdoptTakesFilesTwice               "An agent's files are adopted a second time."
        AdoptInventsFiles                  "A path without files is adopted."
    }
    "AgentFiles::reload" {
        ReloadEmptiesThePersona            "The persona is emptied."
        ReloadSucceedsForADeletedAgent     "Reloading a tombstone's files succeeds."
    }
    "AgentFiles::list" {
        ConfigsAreNotListedByName          "Files are listed by descending name."
        ConfigsOfDeletedAreListed          "Deleted agents' files are listed."
    }
    "AgentFiles::changed" {
        ChangedEchoesWrites                "Writes through the ports are reported as changes."
    }
    "AgentFiles::watch" {
        WatchEchoesWrites                  "Writes through the ports are reported."
    }
    "AgentFiles::problems" {
        ProblemsOfSoundAgents              "Valid files are reported."
    }
    "Memories::list" {
        MemoriesOfAnyOwner                 "What the agent remembers of any owner is listed."
        MemoriesAreNewestFirst             "The newest memory is first."
        MemoriesServeTheirFirstResult      "Changed memories are listed in their old form."
        MemoriesOfDeletedAreListed         "A deleted agent's memories are listed."
    }
    "Memories::append" {
        MemoriesIgnoreTheLimit             "All memories stay."
        AppendToMemoriesIsNotAtomic        "The memories are read in one step, written in another."
        AppendToMemoriesAcceptsDeleted     "A deleted agent gets a memory."
    }
    "Memories::forget" {
        ForgetReachesAllOwners             "The memories of all owners are deleted."
        ForgetIgnoresTheAgent              "What all agents remember of the owner is deleted."
        ForgetReturnsZero                  "The result is 0."
    }
    "Rooms::find" {
        FindRoomServesItsFirstResult       "A changed room is found in its old form."
        FindRoomHidesDirectRooms           "Direct rooms are not found."
    }
    "Rooms::find_many" {
        RoomsKeepTheOrderOfIds             "Rooms are in the order of the argument."
        RoomsAreRepeated                   "A room is returned once for each copy of its id."
        LongListsOfRoomsAreRefused         "More than 65,535 ids are refused."
    }
    "Rooms::list" {
        ListHidesDirectRooms               "Direct rooms are not listed."
        ListSortsRoomsByName               "Rooms are listed by name."
        ListIgnoresTheLastRoom             "A part always consists of the newest rooms."
        ListReturnsTheOldestRooms          "Without `after`, the oldest rooms are listed."
        ListIgnoresTheLimitOfRooms         "A part has more rooms than the limit."
    }
    "Rooms::list_by_owner" {
        ListByOwnerShowsOthersRooms        "All rooms are listed."
        ListByOwnerIsNewestFirst           "Rooms are listed by descending id."
        ListByOwnerIgnoresTheLastRoom      "A part always consists of the newest rooms."
        ListByOwnerReturnsTheOldest        "Without `after`, the oldest rooms are listed."
        ListByOwnerIgnoresTheLimit         "A part has more rooms than the limit."
    }
    "Rooms::find_direct" {
        FindDirectIgnoresTheOwner          "Another owner's direct room is found."
        FindDirectIgnoresTheAgent          "Another agent's direct room is found."
        FindDirectGoesByName               "A renamed direct room is not found."
    }
    "Rooms::create" {
        CreateAcceptsATakenRoomName        "A taken name returns the room that has it."
        CreateSharesRoomsBetweenOwners     "Another owner's room name returns that owner's room."
        CreateForgetsTheLimit              "The limit of answers is not stored."
        CreateRoomIsNotAtomic              "The name is checked in one step and taken in another."
    }
    "Rooms::create_direct" {
        CreateDirectIsNotAtomic            "The room is found in one step, created in another."
        CreateDirectOmitsTheAgent          "The agent is not a member."
        CreateDirectAcceptsDeleted         "A deleted agent gets a direct room."
        CreateDirectGoesByName             "A renamed direct room is created again."
    }
    "Rooms::update" {
        UpdateOfARoomLosesTheRest          "Flags that the change does not name are reset."
        UpdateOfARoomIsHalfDoneOnConflict  "All but the name changes before the refusal."
        UpdateOfARoomSkipsATakenName       "Everything but a taken name is changed."
        UpdateOfARoomKeepsTheVersion       "The version does not change."
        UpdateFinishesAtTheLastUser        "A conversation is finished at the last user's message."
        UpdateOfARoomIsNotAtomic           "The room is read in one step and written in another."
    }
    "Rooms::delete" {
        DeleteLeavesMembers                "A deleted room keeps its members."
        DeleteLeavesMessages               "A deleted room keeps its messages."
        DeleteLeavesPositions              "A deleted room keeps its read positions."
        DeleteLeavesSessions               "A deleted room keeps its sessions."
        DeleteFreesTheRoomsId              "The id is reused."
        DeleteOfARoomSucceedsTwice         "Deleting a room again succeeds."
    }
    "Rooms::members" {
        MembersAreSortedByAgent            "Members are in ascending order of agents."
        MembersHideDeleted                 "Deleted agents are missing from the result."
        MembersServeTheirFirstResult       "Changed members are listed in their old form."
    }
    "Rooms::add_member" {
        AddMemberIsNotAnnounced            "No announcement is appended."
        AddMemberIsAnnouncedTwice          "Adding an agent again is announced again."
        AddMemberIsAnnouncedInEmptyRooms   "The announcement is appended to an empty log."
        AddMemberIsNotAtomic               "The announcement is appended in a second step."
        AddMemberAcceptsDeleted            "A deleted agent is added."
        AddMemberHidesItsAnnouncement      "The agent joins after its announcement."
    }
    "Rooms::remove_member" {
        RemoveMemberSucceedsForNonMembers  "Removing an agent that is not a member succeeds."
        RemoveMemberKeepsDeleted           "A deleted agent is not removed."
        RemoveMemberEmptiesTheRoom         "All agents are removed."
    }
    "Rooms::activity" {
        ActivityServesItsFirstResult       "A changed activity is found in its old form."
        ActivityCountsAllAsUsers           "Any message counts as a user's."
    }
    "Rooms::activities" {
        ActivitiesKeepTheOrderOfIds        "Activities are in the order of the argument."
        ActivitiesOfUnknownRooms           "Unknown rooms are in the result."
    }
    "Messages::recent" {
        RecentIsNewestFirst                "The newest message is first."
        RecentReturnsOldest                "The oldest messages are returned."
        RecentIgnoresBefore                "The newest of all messages are returned."
        RecentIncludesBefore               "The message `before` is in the result."
        RecentReturnsOneMore               "The result has one message more than the limit."
        RecentServesItsFirstResult         "Messages appended since the first call are missing."
    }
    "Messages::since" {
        SinceReturnsNewest                 "The newest messages are returned."
        SinceIncludesAfter                 "The message `after` is in the result."
        SinceIgnoresTheLimit               "All messages are returned."
        SinceIsNewestFirst                 "The newest message is first."
    }
    "Messages::by_authors" {
        ByAuthorsReturnsAllMessages        "The messages of all authors are returned."
        ByAuthorsReturnsNewest             "The newest messages are returned."
        ByAuthorsIgnoresAfter              "Messages up to `after` are in the result."
        ByAuthorsLimitsBeforeItPicks       "The limit counts the messages of all authors."
        ByAuthorsWithoutAfterReturnsOldest "Without `after`, the oldest messages are returned."
    }
    "Messages::since_answer" {
        SinceAnswerIgnoresAnswers          "Messages before the last answer are returned."
        SinceAnswerIgnoresJoining          "Messages before the agent joined are returned."
        SinceAnswerServesNonMembers        "An agent that is not a member reads the log."
        SinceAnswerReturnsOldest           "The oldest messages are returned."
    }
    "Messages::answer_counts" {
        AnswerCountsIncludeOtherRooms      "Messages in all rooms are counted."
        AnswerCountsServeTheirFirstResult  "Messages appended since the first call are not counted."
        AnswerCountsAreTorn                "The counts are read in a second step."
    }
    "Messages::end" {
        EndReturnsOldest                   "The oldest messages are returned."
        EndIgnoresClears                   "The last sequence number is that of the newest message."
        EndOfUnknownRooms                  "An unknown room has an end."
        EndIsTorn                          "The messages are read in a second step."
    }
    "Messages::images" {
        ImagesOfOtherRooms                 "Images of other rooms are in the result."
        ImagesKeepTheOrderOfIds            "Images are in the order of the argument."
        ImagesAreRepeated                  "An image is returned once for each copy of its id."
        LongListsOfImagesAreRefused        "More than 65,535 ids are refused."
    }
    "Messages::image_bytes" {
        ImageBytesOfAllOwners              "The images of all rooms are counted."
    }
    "Messages::removals" {
        RemovalsOfAllTimes                 "Removals up to `after` are listed."
        RemovalsIgnoreTheLimit             "All later removals are listed."
    }
    "Messages::find_sent" {
        FindSentOfAnyUser                  "Another user's message is found."
    }
    "Messages::append" {
        AppendLosesThinking                "The agent's thoughts are not stored."
        AppendLosesTheImage                "The image's bytes are not stored."
        AppendLeavesAGap                   "A sequence number is skipped."
        AppendIsNotAtomic                  "The number is read in one step, taken in another."
        AppendForgetsActivity              "The time of the last activity does not change."
        AppendChangesTheRoom               "The room's version changes."
        AppendMarksForAllUsers             "All users' read positions move to the message."
        AppendSucceedsForUnknownRooms      "Appending to an unknown room succeeds."
        AppendIgnoresSendKeys              "A second message under a key is stored."
        AppendUsesTheKeyOfARefusedMessage  "The key of a message that was refused is used up."
    }
    "Messages::remove" {
        RemoveTakesNoSequenceNumber        "The next message reuses the removal's number."
        RemoveLeavesTheImage               "The image is kept."
        RemoveKeepsTheNewest               "The removed message still counts as the newest."
        RemoveRenumbersTheLog              "Later messages get lower sequence numbers."
        RemoveIsNotListed                  "The removal is not listed."
        RemoveSucceedsTwice                "Removing a removed message succeeds."
        RemoveReachesOtherRooms            "A message of another room is removed."
        RemoveSurvivesAClear               "Removals are listed after a clear."
    }
    "Messages::clear" {
        ClearTakesNoSequenceNumber         "The next message reuses the clear's number."
        ClearFreesIds                      "Ids of cleared messages are reused."
        ClearReturnsZero                   "The result is 0."
        ClearReachesOtherRooms             "Other rooms are cleared too."
        ClearForgetsTheLastUser            "The last user's sequence number becomes 0."
        ClearLeavesImages                  "Images are kept."
    }
    "ReadPositions::find" {
        FindPositionOfAnyUser              "Another user's position is found."
        FindPositionServesItsFirstResult   "A changed position is found in its old form."
    }
    "ReadPositions::find_many" {
        PositionsKeepTheOrderOfIds         "Positions are in the order of the argument."
        PositionsAreRepeated               "A position is returned once for each copy of its id."
    }
    "ReadPositions::mark" {
        MarkMovesAllUsers                  "The positions of all users move."
        MarkKeepsTheVersion                "The version does not change."
        MarkStopsAtTheLastMessage          "A cleared room is marked at 0."
        MarkSucceedsForUnknownRooms        "Marking an unknown room succeeds."
        MarkIsNotAtomic                    "The log is read in one step, the mark set in another."
    }
    "Sessions::list" {
        SessionsAreNotByAgent              "Sessions are in descending order of agents."
        SessionsServeTheirFirstResult      "A changed session is listed in its old form."
    }
    "Sessions::save" {
        SaveReplacesAllSessions            "The others' sessions are deleted."
        SaveReachesOtherRooms              "The session is saved in all rooms of the agent."
        SaveAcceptsNonMembers              "An agent that is not a member gets a session."
    }
    "UsageLog::add" {
        UsageReplacesTheRecord             "The usage replaces that of the record."
        UsageIsNotAtomic                   "The record is read in one step, written in another."
        UsageForgetsCachedTokens           "Cached tokens are not stored."
    }
    "UsageLog::tokens" {
        TokensOfAnyOwner                   "The tokens of all owners are counted."
        TokensOfAllDays                    "The tokens of all days are counted."
    }
    "UsageLog::sums" {
        SumsOfAnyOwner                     "The usage of all owners is added up."
        SumsIgnoreTheFirstDay              "The usage of all days is added up."
        SumsIgnoreTheLimit                 "All sums are returned."
        SumsAreSmallestFirst               "The smallest sum is first."
    }
    "Settle::settle" {
        SettleIsTooEarly                   "A dropped message lands after settling."
    }
    "Health::check" {
        CheckFails                         "A working store is reported as unavailable."
    }
}
