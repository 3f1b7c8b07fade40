//! The names of the planted faults.

/// A rule of the protocol that a test disables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// No rule: the code as it is.
    #[default]
    None,
    /// A write removes its values when it ends, not before it begins.
    LateInvalidation,
    /// A reader joins a load that began before a write ended.
    JoinedOlderLoad,
    /// A load is stored although a write unregistered it.
    BlindStore,
    /// A load is registered while a write is open.
    LoadInsideWindow,
    /// A write stores its row although another write overlapped it.
    ContendedStore,
    /// The caller owns the windows: they close when the caller is dropped, while the write runs on.
    CallerOwnsGuard,
    /// The windows of a write of unknown outcome close at once.
    UnknownCloses,
    /// A bulk invalidation leaves loads registered.
    BulkLeavesLoads,
    /// A bulk invalidation lets open writes store their rows.
    BulkLeavesWindows,
    /// Open creates are not counted.
    UncountedCreates,
    /// An absence of an older create generation is served.
    OldAbsence,
    /// A reader joins a load that began before a tag was invalidated.
    JoinedOverTag,
    /// An entry is stored although one of its tags was invalidated since its load began.
    BlindTag,
    /// A committed entry does not raise the floor of its log.
    FloorNotRaisedByWrites,
    /// A reader of the source does not raise the floor of a log.
    FloorNotRaisedByReads,
    /// A copy that is being filled has no floor.
    FloorForgotten,
    /// A fill is stored and served below the floor.
    BlindFill,
    /// Leases and glances outlive changes of their values.
    ChangesUncounted,
    /// A change is counted after its lock was released.
    CountedLate,
    /// An append stores its copy again although a bulk removal has taken it out.
    RemovalUndone,
    /// A change elsewhere leaves a load registered.
    ElsewhereLeavesLoads,
    /// A change elsewhere lets an open write store its row.
    ElsewhereLeavesWindows,
    /// A value of the source that is not stored leaves the one in memory.
    UnstoredLeavesValue,
    /// A reader joins an old load although the changes of others are no longer reported.
    JoinedUnreported,
    /// Values are served although the changes of others are no longer reported.
    ServedUnreported,
    /// A reader that missed does not look again under the lock.
    OneLook,
    /// Readers inside a window share no load.
    UnsharedPast,
    /// Each reader that waited for a load that failed loads anew.
    FailureRepeated,
    /// Entries that are committed during a fill are not kept for it.
    FillMissesArrivals,
}

impl Fault {
    /// The faults that break a claim, in the order of the protocol's rules.
    pub const ALL: [Self; 25] = [
        Self::LateInvalidation,
        Self::JoinedOlderLoad,
        Self::BlindStore,
        Self::LoadInsideWindow,
        Self::ContendedStore,
        Self::CallerOwnsGuard,
        Self::UnknownCloses,
        Self::BulkLeavesLoads,
        Self::BulkLeavesWindows,
        Self::UncountedCreates,
        Self::OldAbsence,
        Self::JoinedOverTag,
        Self::BlindTag,
        Self::FloorNotRaisedByWrites,
        Self::FloorNotRaisedByReads,
        Self::FloorForgotten,
        Self::BlindFill,
        Self::ChangesUncounted,
        Self::CountedLate,
        Self::RemovalUndone,
        Self::ElsewhereLeavesLoads,
        Self::ElsewhereLeavesWindows,
        Self::UnstoredLeavesValue,
        Self::JoinedUnreported,
        Self::ServedUnreported,
    ];

    /// The faults that break no claim, and cost loads or fills.
    pub const COSTS: [Self; 4] = [
        Self::OneLook,
        Self::UnsharedPast,
        Self::FailureRepeated,
        Self::FillMissesArrivals,
    ];
}
