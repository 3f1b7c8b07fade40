//! One key of a process beside others that write: their changes, the polls that report them, and
//! the time until which values in memory are served.
//!
//! C1 is weaker here: no read returns a version older than one that was committed elsewhere more
//! than [`BOUND`] ticks before the read began, or that this process had acknowledged. C2 holds for
//! the reads of this process.

use cache_core::protocol::progress::{Ask, Progress};
use stateright::{Model, Property};

use crate::{Bound, Broken, Judged, claims, explore, wide};

/// The bound, in ticks.
const BOUND: usize = 2;

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Omission {
    None,
    ReportLeavesLoad,
    ReportLeavesWindow,
    /// A load that was unregistered leaves the value in memory when it ends.
    UnstoredLeavesValue,
    /// A read that bypasses the cache leaves the value in memory.
    BypassLeavesValue,
    JoinUnreported,
    ServeUnreported,
    /// The bound counts from the result of a poll, not from its beginning.
    RenewFromAnswer,
    RenewBeforeReport,
    /// The age of a value counts from the end of its load.
    AgeFromEnd,
    /// A look-up finds the value first, and then judges whether values are served.
    JudgeAfterLookUp,
    StoreBlindly,
}

/// The limits of the states that are visited, and the rule that is left out.
#[derive(Clone)]
struct Bounds {
    remote: u8,
    polls: u8,
    ticks: u8,
    readers: usize,
    has_writer: bool,
    omission: Omission,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ElsewhereState {
    /// The version in the source now, and at each of the last ticks.
    versions: [u8; BOUND + 1],
    /// The number of changes that others have committed.
    remote: u8,
    /// The number of changes that were reported.
    reported: u8,
    polls: u8,
    ticks: u8,
    poll: Option<Poll>,
    /// The age of the question of the last poll that was applied.
    renewed: u8,
    progress: Progress<u8>,
    entry: Option<Aged>,
    writer: Writer,
    loads: Vec<Load>,
    readers: Vec<Reader>,
    returned: u8,
    broken: Broken,
}

/// A version, with the age of the read of the source that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Aged {
    version: u8,
    age: u8,
}

/// A poll, with its age. `seen` is the number of changes that its result contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Poll {
    age: u8,
    seen: Option<u8>,
}

/// The writer of this process, with the age of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Writer {
    Start,
    Open(u8),
    Committed(Aged),
    Aborted,
    /// Of unknown outcome; `true` if it has landed.
    Unknown(bool),
    Acknowledged(u8),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Load {
    None,
    Started(u8),
    Read(Aged),
    Ended(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reader {
    Start,
    /// In a look-up, with what it has found first: `true` if values are served, or the value.
    Judged(bool, Bound),
    Found(Option<Aged>, Bound),
    Missed(Bound),
    Waiting(u8, Bound),
    /// Reads the source itself.
    Bypassing(Bound),
    /// Has read this version from the source.
    BypassRead(u8, Bound),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    CommitElsewhere,
    Ask,
    Answer,
    Report,
    LosePoll,
    BeginAnew,
    Open,
    Commit,
    Abort,
    Lose,
    Land,
    Settle,
    Close,
    BeginLookUp(usize),
    LookUp(usize),
    Bypass(usize),
    Miss(usize),
    ReadSource(usize),
    Return(usize),
    Load(usize),
    End(usize),
    Evict,
    Tick,
}

impl Judged for ElsewhereState {
    fn broken(&self) -> Broken {
        self.broken
    }
}

impl Model for Bounds {
    type State = ElsewhereState;
    type Action = Action;

    fn init_states(&self) -> Vec<ElsewhereState> {
        vec![ElsewhereState {
            versions: [0; BOUND + 1],
            remote: 0,
            reported: 0,
            polls: 0,
            ticks: 0,
            poll: None,
            renewed: 0,
            progress: Progress::default(),
            entry: None,
            writer: if self.has_writer {
                Writer::Start
            } else {
                Writer::Done
            },
            loads: vec![Load::None; self.readers],
            readers: vec![Reader::Start; self.readers],
            returned: 0,
            broken: Broken::default(),
        }]
    }

    fn actions(&self, state: &ElsewhereState, actions: &mut Vec<Action>) {
        actions.extend((state.remote < self.remote).then_some(Action::CommitElsewhere));
        match state.poll {
            None => actions.extend((state.polls < self.polls).then_some(Action::Ask)),
            Some(Poll { seen: None, .. }) => actions.extend([Action::Answer, Action::LosePoll]),
            Some(_) => actions.extend([Action::Report, Action::LosePoll, Action::BeginAnew]),
        }
        actions.extend_from_slice(match state.writer {
            Writer::Start => &[Action::Open],
            Writer::Open(_) => &[Action::Commit, Action::Abort, Action::Lose],
            Writer::Committed(_) | Writer::Aborted => &[Action::Close],
            Writer::Unknown(false) => &[Action::Land, Action::Settle],
            Writer::Unknown(true) => &[Action::Settle],
            Writer::Acknowledged(_) | Writer::Done => &[],
        });
        for (at, reader) in state.readers.iter().enumerate() {
            match reader {
                Reader::Start => actions.extend([Action::BeginLookUp(at), Action::Bypass(at)]),
                Reader::Judged(..) | Reader::Found(..) => actions.push(Action::LookUp(at)),
                Reader::Missed(_) => actions.push(Action::Miss(at)),
                Reader::Bypassing(_) => actions.push(Action::ReadSource(at)),
                Reader::Waiting(load, _) => {
                    let is_over = matches!(state.loads[usize::from(*load)], Load::Ended(_));
                    actions.extend(is_over.then_some(Action::Return(at)));
                }
                Reader::BypassRead(..) => actions.push(Action::Return(at)),
                Reader::Done => {}
            }
        }
        for (at, load) in state.loads.iter().enumerate() {
            match load {
                Load::Started(_) => actions.push(Action::Load(at)),
                Load::Read(_) => actions.push(Action::End(at)),
                Load::None | Load::Ended(_) => {}
            }
        }
        actions.extend(state.entry.map(|_| Action::Evict));
        actions.extend((state.ticks < self.ticks).then_some(Action::Tick));
    }

    fn next_state(&self, state: &ElsewhereState, action: Action) -> Option<ElsewhereState> {
        let mut next = state.clone();
        next.step(self.omission, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        claims()
    }
}

/// Returns the version in memory, if it may be served.
fn served(serves: bool, entry: Option<Aged>) -> Option<u8> {
    let is_served = |entry: &Aged| serves || is_young(entry.age);
    entry.filter(is_served).map(|entry| entry.version)
}

fn is_young(age: u8) -> bool {
    usize::from(age) < BOUND
}

impl ElsewhereState {
    fn step(&mut self, omission: Omission, action: Action) {
        match action {
            Action::CommitElsewhere => {
                self.versions[0] += 1;
                self.remote += 1;
            }
            Action::Ask => {
                self.polls += 1;
                self.poll = Some(Poll { age: 0, seen: None });
            }
            Action::Answer => {
                let poll = self.poll.as_mut().expect("enabled only for a poll");
                poll.seen = Some(self.remote);
                if omission == Omission::RenewBeforeReport {
                    self.renewed = poll.age;
                }
            }
            Action::LosePoll => self.poll = None,
            Action::Report => self.report(omission),
            Action::BeginAnew => {
                // A later poll reports changes that the result lacks.
                let seen = self.poll.take().and_then(|poll| poll.seen);
                self.reported = seen.expect("enabled only for a poll that was answered");
                self.report_change(omission);
            }
            Action::Open | Action::Commit | Action::Abort | Action::Lose => self.write(action),
            Action::Land => {
                self.versions[0] += 1;
                self.writer = Writer::Unknown(true);
            }
            Action::Settle => {
                self.progress.close(false);
                self.writer = Writer::Done;
            }
            Action::Close => self.close(omission),
            Action::BeginLookUp(at) => {
                let bound = self.bound();
                self.readers[at] = if omission == Omission::JudgeAfterLookUp {
                    Reader::Found(self.entry, bound)
                } else {
                    Reader::Judged(self.serves(omission), bound)
                };
            }
            Action::LookUp(at) => {
                let (serves, entry, bound) = match self.readers[at] {
                    Reader::Judged(serves, bound) => (serves, self.entry, bound),
                    Reader::Found(entry, bound) => (self.serves(omission), entry, bound),
                    _ => unreachable!("enabled only for one in a look-up"),
                };
                match served(serves, entry) {
                    Some(version) => self.give(at, bound, version),
                    None => self.readers[at] = Reader::Missed(bound),
                }
            }
            Action::Bypass(at) => self.readers[at] = Reader::Bypassing(self.bound()),
            Action::Miss(at) => self.miss(omission, at),
            Action::ReadSource(at) => {
                let Reader::Bypassing(bound) = self.readers[at] else {
                    unreachable!("enabled only for one that bypasses")
                };
                self.readers[at] = Reader::BypassRead(self.versions[0], bound);
            }
            Action::Return(at) => match self.readers[at] {
                Reader::BypassRead(version, bound) => {
                    self.make_way(omission != Omission::BypassLeavesValue);
                    self.give(at, bound, version);
                }
                Reader::Waiting(load, bound) => {
                    let Load::Ended(version) = self.loads[usize::from(load)] else {
                        unreachable!("enabled only for a load that has ended")
                    };
                    self.give(at, bound, version);
                }
                _ => unreachable!("enabled only for one that has a version"),
            },
            Action::Load(at) => {
                let Load::Started(age) = self.loads[at] else {
                    unreachable!("enabled only for one that started")
                };
                let version = self.versions[0];
                self.loads[at] = Load::Read(Aged { version, age });
            }
            Action::End(at) => self.end_load(omission, at),
            Action::Evict => self.entry = None,
            Action::Tick => self.tick(),
        }
    }

    fn report(&mut self, omission: Omission) {
        let Some(Poll {
            age,
            seen: Some(seen),
        }) = self.poll.take()
        else {
            unreachable!("enabled only for a poll that was answered")
        };
        if seen > self.reported {
            self.report_change(omission);
        }
        self.reported = seen;
        let age = if omission == Omission::RenewFromAnswer {
            0
        } else {
            age
        };
        // A time earlier than a previous one has no effect.
        self.renewed = self.renewed.min(age);
    }

    fn report_change(&mut self, omission: Omission) {
        self.entry = None;
        let reaches = omission != Omission::ReportLeavesWindow || !self.progress.is_open(false);
        if let Some(load) = reaches.then(|| self.progress.invalidate()).flatten()
            && omission == Omission::ReportLeavesLoad
        {
            self.progress.register(load);
        }
    }

    /// Removes the entry before a version that is not stored is returned, if this rule is kept.
    fn make_way(&mut self, applies: bool) {
        if applies {
            self.entry = None;
            self.progress.invalidate();
        }
    }

    fn write(&mut self, action: Action) {
        self.writer = match (action, self.writer) {
            (Action::Open, _) => {
                self.progress.open(false);
                self.entry = None;
                Writer::Open(0)
            }
            (Action::Commit, Writer::Open(age)) => {
                self.versions[0] += 1;
                let version = self.versions[0];
                Writer::Committed(Aged { version, age })
            }
            (Action::Abort, _) => Writer::Aborted,
            _ => Writer::Unknown(false),
        };
    }

    fn close(&mut self, omission: Omission) {
        let alone = self.progress.close(false);
        self.writer = match self.writer {
            Writer::Committed(row) => {
                if alone || omission == Omission::StoreBlindly {
                    self.entry = Some(row);
                }
                Writer::Acknowledged(row.version)
            }
            _ => Writer::Done,
        };
    }

    fn bound(&self) -> Bound {
        let own = match self.writer {
            Writer::Acknowledged(version) => version,
            _ => 0,
        };
        Bound {
            acknowledged: self.versions[BOUND].max(own),
            returned: self.returned,
        }
    }

    /// Returns `true` while values of any age are served.
    fn serves(&self, omission: Omission) -> bool {
        is_young(self.renewed) || omission == Omission::ServeUnreported
    }

    fn miss(&mut self, omission: Omission, at: usize) {
        let Reader::Missed(bound) = self.readers[at] else {
            unreachable!("enabled only for one that missed")
        };
        if let Some(version) = served(self.serves(omission), self.entry) {
            return self.give(at, bound, version);
        }
        let is_current = |load: &u8| {
            let age = match self.loads[usize::from(*load)] {
                Load::Started(age) | Load::Read(Aged { age, .. }) => age,
                Load::None | Load::Ended(_) => unreachable!("a load that has ended is registered"),
            };
            is_young(self.renewed) || is_young(age) || omission == Omission::JoinUnreported
        };
        self.readers[at] = match self.progress.ask(false, is_current) {
            Ask::Join(load) => Reader::Waiting(load, bound),
            Ask::Bypass => Reader::Bypassing(bound),
            Ask::Start => {
                let load = u8::try_from(at).expect("there are few loads");
                self.progress.register(load);
                self.loads[at] = Load::Started(0);
                Reader::Waiting(load, bound)
            }
        };
    }

    fn end_load(&mut self, omission: Omission, at: usize) {
        let Load::Read(mut read) = self.loads[at] else {
            unreachable!("enabled only for one that has read")
        };
        if omission == Omission::AgeFromEnd {
            read.age = 0;
        }
        let is_it = |load: &u8| usize::from(*load) == at;
        if self.progress.unregister(is_it) || omission == Omission::StoreBlindly {
            self.entry = Some(read);
        } else {
            self.make_way(omission != Omission::UnstoredLeavesValue);
        }
        self.loads[at] = Load::Ended(read.version);
    }

    fn give(&mut self, at: usize, bound: Bound, version: u8) {
        self.broken.judge(bound, version);
        self.returned = self.returned.max(version);
        self.readers[at] = Reader::Done;
    }

    fn tick(&mut self) {
        self.ticks += 1;
        self.versions.copy_within(..BOUND, 1);
        // Ages above the bound are equivalent.
        let older = |age: &mut u8| *age = (*age + 1).min(u8::try_from(BOUND).expect("few ticks"));
        older(&mut self.renewed);
        if let Some(poll) = &mut self.poll {
            older(&mut poll.age);
        }
        if let Some(entry) = &mut self.entry {
            older(&mut entry.age);
        }
        match &mut self.writer {
            Writer::Open(age) | Writer::Committed(Aged { age, .. }) => older(age),
            _ => {}
        }
        for reader in &mut self.readers {
            if let Reader::Found(Some(entry), _) = reader {
                older(&mut entry.age);
            }
        }
        for load in &mut self.loads {
            match load {
                Load::Started(age) | Load::Read(Aged { age, .. }) => older(age),
                Load::None | Load::Ended(_) => {}
            }
        }
    }
}

/// Returns a process with two readers beside others that write.
fn beside_others(omission: Omission) -> Bounds {
    Bounds {
        remote: 2,
        polls: 2,
        ticks: 3,
        readers: 2,
        has_writer: false,
        omission,
    }
}

/// Returns a process that writes, too.
fn with_writer(omission: Omission, readers: usize) -> Bounds {
    Bounds {
        remote: 1,
        readers,
        has_writer: true,
        ..beside_others(omission)
    }
}

#[test]
fn readers_beside_others_that_write_read_nothing_older_than_the_bound() {
    let bounds = Bounds {
        remote: if wide() { 3 } else { 2 },
        polls: if wide() { 3 } else { 2 },
        ..beside_others(Omission::None)
    };
    assert_eq!(explore("2 readers beside others", bounds, None), [""; 0]);
}

#[test]
fn a_writer_beside_others_that_write_is_coherent() {
    let (polls, ticks) = if wide() { (2, 3) } else { (1, 2) };
    let bounds = Bounds {
        polls,
        ticks,
        ..with_writer(Omission::None, 2)
    };
    assert_eq!(
        explore("1 writer, 2 readers beside others", bounds, None),
        [""; 0]
    );
}

#[test]
fn each_rule_of_other_processes_left_out_breaks_a_claim() {
    let cases = [
        (beside_others(Omission::ReportLeavesLoad), "C1"),
        (with_writer(Omission::ReportLeavesWindow, 1), "C1"),
        (with_writer(Omission::UnstoredLeavesValue, 2), "C2"),
        (with_writer(Omission::BypassLeavesValue, 2), "C2"),
        (beside_others(Omission::JoinUnreported), "C1"),
        (beside_others(Omission::ServeUnreported), "C1"),
        (beside_others(Omission::RenewFromAnswer), "C1"),
        (beside_others(Omission::RenewBeforeReport), "C1"),
        (beside_others(Omission::AgeFromEnd), "C1"),
        (beside_others(Omission::JudgeAfterLookUp), "C1"),
        (beside_others(Omission::StoreBlindly), "C1"),
    ];
    for (bounds, claim) in cases {
        let name = format!("{:?}", bounds.omission);
        assert!(
            explore(&name, bounds, Some(claim)).contains(&claim),
            "{name} does not break {claim}"
        );
    }
}
