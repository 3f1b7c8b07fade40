//! A key that is unknown until it is created: its absence, and the creates of its region.

use cache_core::protocol::{
    creates::Creates,
    progress::{Ask, Progress},
};
use stateright::{Model, Property};

use crate::{Bound, Broken, Judged, claims, explore, wide};

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Omission {
    None,
    OpenCreatesNotCounted,
    LoadInsideCreate,
    JoinOlderGeneration,
    ServeOlderGeneration,
    StampedWhenStored,
    CloseOnUnknown,
}

#[derive(Clone)]
struct Bounds {
    readers: usize,
    omission: Omission,
}

/// The state. Version 0 is the absence, version 1 the created value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct AbsenceState {
    db: u8,
    entry: Option<Entry>,
    creates: Creates,
    progress: Progress<u8>,
    create: Create,
    /// A create of another key in the same region.
    other: Other,
    readers: Vec<Reader>,
    loads: Vec<Load>,
    acknowledged: u8,
    returned: u8,
    broken: Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Entry {
    Value,
    /// An absence, found by a load of this generation.
    Absent(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Create {
    Opening,
    Running,
    Committed,
    /// Of unknown outcome; `true` if it has landed.
    Unknown(bool),
    /// With a rule left out: closed, although it may still land.
    Loose(bool),
    Closed,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Other {
    Opening,
    Running,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reader {
    Start,
    /// Found an absence of this generation, and has yet to check the creates.
    Found(u64, Bound),
    Missed(Bound),
    Waiting(u8, Bound),
    /// Reads the source itself.
    Bypassing(Bound),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Load {
    None,
    Started(u64),
    Read(u64, u8),
    Ended(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Begin,
    Commit,
    Abort,
    Lose,
    Land,
    /// The create is settled or closed, and counted no longer.
    Close,
    Acknowledge,
    Other,
    LookUp(usize),
    Check(usize),
    BypassCache(usize),
    Ask(usize),
    Answer(usize),
    Load(usize),
    End(usize),
    Evict,
}

impl Judged for AbsenceState {
    fn broken(&self) -> Broken {
        self.broken
    }
}

impl Model for Bounds {
    type State = AbsenceState;
    type Action = Action;

    fn init_states(&self) -> Vec<AbsenceState> {
        vec![AbsenceState {
            db: 0,
            entry: None,
            creates: Creates::default(),
            progress: Progress::default(),
            create: Create::Opening,
            other: Other::Opening,
            readers: vec![Reader::Start; self.readers],
            loads: vec![Load::None; self.readers],
            acknowledged: 0,
            returned: 0,
            broken: Broken::default(),
        }]
    }

    fn actions(&self, state: &AbsenceState, actions: &mut Vec<Action>) {
        match state.create {
            Create::Opening => actions.push(Action::Begin),
            Create::Running => actions.extend([Action::Commit, Action::Abort, Action::Lose]),
            Create::Committed | Create::Unknown(true) => actions.push(Action::Close),
            Create::Unknown(false) => actions.extend([Action::Close, Action::Land]),
            Create::Loose(false) => actions.push(Action::Land),
            Create::Closed => actions.push(Action::Acknowledge),
            Create::Loose(true) | Create::Done => {}
        }
        actions.extend((state.other != Other::Done).then_some(Action::Other));
        for (at, reader) in state.readers.iter().enumerate() {
            match reader {
                Reader::Start => actions.extend([Action::LookUp(at), Action::BypassCache(at)]),
                Reader::Found(..) => actions.push(Action::Check(at)),
                Reader::Missed(_) => actions.push(Action::Ask(at)),
                Reader::Waiting(load, _) => {
                    actions.extend(
                        matches!(state.loads[usize::from(*load)], Load::Ended(_))
                            .then_some(Action::Answer(at)),
                    );
                }
                Reader::Bypassing(_) => actions.push(Action::Answer(at)),
                Reader::Done => {}
            }
        }
        for (at, load) in state.loads.iter().enumerate() {
            match load {
                Load::Started(_) => actions.push(Action::Load(at)),
                Load::Read(..) => actions.push(Action::End(at)),
                Load::None | Load::Ended(_) => {}
            }
        }
        actions.extend(state.entry.map(|_| Action::Evict));
    }

    fn next_state(&self, state: &AbsenceState, action: Action) -> Option<AbsenceState> {
        let mut next = state.clone();
        next.step(self.omission, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        claims()
    }
}

impl AbsenceState {
    fn step(&mut self, omission: Omission, action: Action) {
        match action {
            Action::Begin => {
                self.begin(omission);
                self.create = Create::Running;
            }
            Action::Commit => (self.db, self.create) = (1, Create::Committed),
            Action::Abort => {
                self.end_create(omission);
                self.create = Create::Done;
            }
            Action::Lose if omission == Omission::CloseOnUnknown => {
                self.end_create(omission);
                self.create = Create::Loose(false);
            }
            Action::Lose => self.create = Create::Unknown(false),
            Action::Land => {
                self.db = 1;
                self.create = if self.create == Create::Loose(false) {
                    Create::Loose(true)
                } else {
                    Create::Unknown(true)
                };
            }
            Action::Close => {
                self.end_create(omission);
                self.create = if self.create == Create::Committed {
                    Create::Closed
                } else {
                    Create::Done
                };
            }
            Action::Acknowledge => (self.acknowledged, self.create) = (1, Create::Done),
            Action::Other => match self.other {
                Other::Opening => {
                    self.begin(omission);
                    self.other = Other::Running;
                }
                Other::Running | Other::Done => {
                    self.end_create(omission);
                    self.other = Other::Done;
                }
            },
            Action::LookUp(at) => {
                let bound = self.bound();
                match self.entry {
                    Some(Entry::Value) => self.answer(at, bound, 1),
                    Some(Entry::Absent(generation)) => {
                        self.readers[at] = Reader::Found(generation, bound);
                    }
                    None => self.readers[at] = Reader::Missed(bound),
                }
            }
            Action::Check(at) => {
                let Reader::Found(generation, bound) = self.readers[at] else {
                    unreachable!("enabled only for one that found")
                };
                if self.serves(omission, generation) {
                    self.answer(at, bound, 0);
                } else {
                    self.readers[at] = Reader::Missed(bound);
                }
            }
            Action::BypassCache(at) => self.readers[at] = Reader::Bypassing(self.bound()),
            Action::Ask(at) => self.ask(omission, at),
            Action::Answer(at) => match self.readers[at] {
                Reader::Bypassing(bound) => self.answer(at, bound, self.db),
                Reader::Waiting(load, bound) => {
                    let Load::Ended(version) = self.loads[usize::from(load)] else {
                        unreachable!("enabled only when the load has ended")
                    };
                    self.answer(at, bound, version);
                }
                _ => unreachable!("enabled only for one that waits"),
            },
            Action::Load(at) => {
                let Load::Started(generation) = self.loads[at] else {
                    unreachable!("enabled only for one that started")
                };
                self.loads[at] = Load::Read(generation, self.db);
            }
            Action::End(at) => self.end_load(omission, at),
            Action::Evict => self.entry = None,
        }
    }

    fn begin(&mut self, omission: Omission) {
        self.creates = self.creates.begin();
        if omission == Omission::OpenCreatesNotCounted {
            self.creates = self.creates.end();
        }
    }

    fn end_create(&mut self, omission: Omission) {
        if omission != Omission::OpenCreatesNotCounted {
            self.creates = self.creates.end();
        }
    }

    fn serves(&self, omission: Omission, generation: u64) -> bool {
        self.creates.allows_absence(generation) || omission == Omission::ServeOlderGeneration
    }

    fn ask(&mut self, omission: Omission, at: usize) {
        let Reader::Missed(bound) = self.readers[at] else {
            unreachable!("enabled only for one that missed")
        };
        match self.entry {
            Some(Entry::Value) => return self.answer(at, bound, 1),
            Some(Entry::Absent(generation)) if self.serves(omission, generation) => {
                return self.answer(at, bound, 0);
            }
            Some(Entry::Absent(_)) | None => {}
        }
        let creates = self.creates;
        let joinable = |load: &u8| match self.loads[usize::from(*load)] {
            Load::Started(generation) | Load::Read(generation, _) => {
                creates.allows_join(generation) || omission == Omission::JoinOlderGeneration
            }
            Load::None | Load::Ended(_) => false,
        };
        let is_open = creates.is_open() && omission != Omission::LoadInsideCreate;
        self.readers[at] = match self.progress.ask(is_open, joinable) {
            Ask::Join(load) => Reader::Waiting(load, bound),
            Ask::Bypass => Reader::Bypassing(bound),
            Ask::Start => {
                let load = u8::try_from(at).expect("there are few loads");
                self.progress.register(load);
                self.loads[at] = Load::Started(creates.generation());
                Reader::Waiting(load, bound)
            }
        };
    }

    fn end_load(&mut self, omission: Omission, at: usize) {
        let Load::Read(generation, version) = self.loads[at] else {
            unreachable!("enabled only for one that has read")
        };
        self.loads[at] = Load::Ended(version);
        if !self.progress.unregister(|load| usize::from(*load) == at) {
            return;
        }
        self.entry = match version {
            1 => Some(Entry::Value),
            _ if omission == Omission::StampedWhenStored => {
                Some(Entry::Absent(self.creates.generation()))
            }
            _ if self.creates.allows_absence(generation) => Some(Entry::Absent(generation)),
            _ => None,
        };
    }

    fn bound(&self) -> Bound {
        Bound {
            acknowledged: self.acknowledged,
            returned: self.returned.max(self.acknowledged),
        }
    }

    fn answer(&mut self, at: usize, bound: Bound, version: u8) {
        self.broken.judge(bound, version);
        self.returned = self.returned.max(version);
        self.readers[at] = Reader::Done;
    }
}

#[test]
fn an_absence_beside_creates_is_coherent() {
    let readers = if wide() { 4 } else { 3 };
    let name = format!("a create, another of its region, {readers} readers");
    assert_eq!(
        explore(
            &name,
            Bounds {
                readers,
                omission: Omission::None
            },
            None
        ),
        [""; 0]
    );
}

#[test]
fn each_rule_of_absence_left_out_breaks_a_claim() {
    let cases = [
        (Omission::OpenCreatesNotCounted, "C2"),
        (Omission::LoadInsideCreate, "C1"),
        (Omission::JoinOlderGeneration, "C1"),
        (Omission::ServeOlderGeneration, "C1"),
        (Omission::StampedWhenStored, "C1"),
        (Omission::CloseOnUnknown, "C2"),
    ];
    for (omission, claim) in cases {
        let name = format!("{omission:?}");
        assert!(
            explore(
                &name,
                Bounds {
                    readers: 3,
                    omission
                },
                Some(claim)
            )
            .contains(&claim),
            "{name} does not break {claim}"
        );
    }
}
