//! The end of a log: appends, reads of the copy and of the source, fills, evictions, and a clear.

use cache_core::protocol::{
    log::{Fold, Log},
    progress::{Ask, Progress},
};
use stateright::{Model, Property};

use crate::{Bound, Broken, Judged, claims, explore, wide};

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Omission {
    None,
    FloorNotRaisedByWrites,
    FloorNotRaisedByReads,
    /// Only the copy in memory has a floor, not the one that is filled.
    FloorForgotten,
    AppendOverAGap,
    BlindFill,
    /// An append of unknown outcome leaves the copy in memory: no claim breaks.
    UnknownLeavesTheCopy,
}

/// The entries since the last clear, so that a copy which missed one differs from the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entries {
    seqs: Vec<u8>,
}

impl Fold for Entries {
    type Entry = u8;

    fn apply(&mut self, _: u64, seq: &u8) {
        self.seqs.push(*seq);
    }
}

type Copy = Log<Entries, u8>;

#[derive(Clone)]
struct Bounds {
    appends: usize,
    readers: usize,
    /// `true` if the model includes a clear, which is a write under a window.
    clear: bool,
    /// `true` if the model includes an append whose outcome is unknown until it is settled.
    lost: bool,
    omission: Omission,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TailState {
    head: u8,
    /// The sequence numbers of the entries in the source.
    log: Vec<u8>,
    tail: Option<Copy>,
    progress: Progress<u8>,
    fill: Fill,
    appends: Vec<Append>,
    clear: Clear,
    lost: Lost,
    readers: Vec<Reader>,
    acknowledged: u8,
    returned: u8,
    broken: Broken,
    /// A copy was served that had too many or too few entries.
    ghost: bool,
}

/// A fill, one at a time, with the copy that collects entries meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Fill {
    None,
    Begun(Copy),
    Read(Copy, u8, Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Append {
    Start,
    Committed(u8),
    Applied(u8),
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Clear {
    Start,
    Open,
    Committed(u8),
    Closed(u8),
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Lost {
    Start,
    /// Its window is open; `true` if it has landed.
    Open(bool),
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Reader {
    Start,
    /// Reads the source itself.
    Bypassing(Bound),
    /// Has read the source, and has yet to raise the floor.
    Read(Bound, u8),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Append(usize),
    Clear,
    Lose,
    Land,
    Read(usize),
    BypassCache(usize),
    Fill,
    Evict,
}

impl Judged for TailState {
    fn broken(&self) -> Broken {
        self.broken
    }
}

impl Model for Bounds {
    type State = TailState;
    type Action = Action;

    fn init_states(&self) -> Vec<TailState> {
        vec![TailState {
            head: 0,
            log: Vec::new(),
            tail: None,
            progress: Progress::default(),
            fill: Fill::None,
            appends: vec![Append::Start; self.appends],
            clear: if self.clear {
                Clear::Start
            } else {
                Clear::Done
            },
            lost: if self.lost { Lost::Start } else { Lost::Done },
            readers: vec![Reader::Start; self.readers],
            acknowledged: 0,
            returned: 0,
            broken: Broken::default(),
            ghost: false,
        }]
    }

    fn actions(&self, state: &TailState, actions: &mut Vec<Action>) {
        actions.extend(
            (0..self.appends)
                .filter(|at| state.appends[*at] != Append::Done)
                .map(Action::Append),
        );
        actions.extend((state.clear != Clear::Done).then_some(Action::Clear));
        match state.lost {
            Lost::Start => actions.push(Action::Lose),
            Lost::Open(landed) => {
                actions.push(Action::Lose);
                actions.extend((!landed).then_some(Action::Land));
            }
            Lost::Done => {}
        }
        for (at, reader) in state.readers.iter().enumerate() {
            match reader {
                Reader::Start => actions.extend([Action::Read(at), Action::BypassCache(at)]),
                Reader::Bypassing(_) | Reader::Read(..) => actions.push(Action::BypassCache(at)),
                Reader::Done => {}
            }
        }
        let can_fill =
            state.fill != Fill::None || matches!(state.progress.ask(false, |_| false), Ask::Start);
        actions.extend(can_fill.then_some(Action::Fill));
        actions.extend(state.tail.is_some().then_some(Action::Evict));
    }

    fn next_state(&self, state: &TailState, action: Action) -> Option<TailState> {
        let mut next = state.clone();
        match action {
            Action::Append(at) => next.append(at, self.omission),
            Action::Clear => next.clear(),
            Action::Lose => next.lose(self.omission),
            Action::Land => {
                next.commit(true);
                next.lost = Lost::Open(true);
            }
            Action::Read(at) => next.read(at)?,
            Action::BypassCache(at) => next.bypass_cache(at, self.omission),
            Action::Fill => next.fill(self.omission),
            Action::Evict => next.tail = None,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = claims();
        all.push(Property::always("ghost", |_, state: &TailState| {
            !state.ghost
        }));
        all
    }
}

impl TailState {
    fn commit(&mut self, is_entry: bool) -> u8 {
        self.head += 1;
        if is_entry {
            self.log.push(self.head);
        } else {
            self.log.clear();
        }
        self.head
    }

    fn append(&mut self, at: usize, omission: Omission) {
        self.appends[at] = match self.appends[at] {
            Append::Start => Append::Committed(self.commit(true)),
            Append::Committed(seq) => {
                let filling = match &mut self.fill {
                    Fill::None => None,
                    Fill::Begun(copy) | Fill::Read(copy, ..) => Some(copy),
                };
                for (copy, is_fill) in self
                    .tail
                    .iter_mut()
                    .map(|copy| (copy, false))
                    .chain(filling.map(|copy| (copy, true)))
                {
                    let raises = omission != Omission::FloorNotRaisedByWrites
                        && !(is_fill && omission == Omission::FloorForgotten);
                    if raises {
                        copy.raise_floor(seq.into());
                    }
                    let skipped_to = copy
                        .head()
                        .filter(|_| omission == Omission::AppendOverAGap)
                        .map(|head| head + 1);
                    match skipped_to {
                        Some(next) if next < u64::from(seq) => {
                            copy.append(next, seq);
                            // The skipped entries count as applied.
                            let seqs = copy.current().map(|copy| copy.seqs.clone());
                            *copy = Log::filled(
                                seq.into(),
                                Entries {
                                    seqs: seqs.unwrap_or_default(),
                                },
                            );
                        }
                        _ => drop(copy.append(seq.into(), seq)),
                    }
                }
                Append::Applied(seq)
            }
            Append::Applied(seq) => {
                self.acknowledged = self.acknowledged.max(seq);
                Append::Done
            }
            Append::Done => Append::Done,
        };
    }

    /// Opens a window, which removes the copy and the fill.
    fn open(&mut self) {
        self.progress.open(false);
        self.tail = None;
        self.fill = Fill::None;
    }

    fn clear(&mut self) {
        self.clear = match self.clear {
            Clear::Start => {
                self.open();
                Clear::Open
            }
            Clear::Open => Clear::Committed(self.commit(false)),
            Clear::Committed(seq) => {
                self.progress.close(false);
                Clear::Closed(seq)
            }
            Clear::Closed(seq) => {
                self.acknowledged = self.acknowledged.max(seq);
                Clear::Done
            }
            Clear::Done => Clear::Done,
        };
    }

    /// Loses the outcome of an append, and then settles it.
    fn lose(&mut self, omission: Omission) {
        self.lost = match self.lost {
            Lost::Start => {
                if omission != Omission::UnknownLeavesTheCopy {
                    self.open();
                }
                Lost::Open(false)
            }
            Lost::Open(_) => {
                if omission != Omission::UnknownLeavesTheCopy {
                    self.progress.close(false);
                }
                Lost::Done
            }
            Lost::Done => Lost::Done,
        };
    }

    fn bound(&self) -> Bound {
        Bound {
            acknowledged: self.acknowledged,
            returned: self.returned.max(self.acknowledged),
        }
    }

    fn answer(&mut self, at: usize, bound: Bound, head: u8) {
        self.broken.judge(bound, head);
        self.returned = self.returned.max(head);
        self.readers[at] = Reader::Done;
    }

    /// Reads the copy, if it may be served.
    fn read(&mut self, at: usize) -> Option<()> {
        let copy = self.tail.as_ref()?;
        let copied = copy.current()?.seqs.clone();
        let head = u8::try_from(copy.head()?).expect("there are few loads");
        // A copy has the entries that the log had when its head was the same.
        let wanted: Vec<_> = self
            .log
            .iter()
            .copied()
            .filter(|seq| *seq <= head)
            .collect();
        self.ghost |= copied != wanted;
        self.answer(at, self.bound(), head);
        Some(())
    }

    /// Reads the source. The floor is raised before the highest entry is returned.
    fn bypass_cache(&mut self, at: usize, omission: Omission) {
        match self.readers[at].clone() {
            Reader::Start => self.readers[at] = Reader::Bypassing(self.bound()),
            Reader::Bypassing(bound) => self.readers[at] = Reader::Read(bound, self.head),
            Reader::Read(bound, head) => {
                if omission != Omission::FloorNotRaisedByReads {
                    if let Some(copy) = &mut self.tail {
                        copy.raise_floor(head.into());
                    }
                    if let (Fill::Begun(copy) | Fill::Read(copy, ..), true) =
                        (&mut self.fill, omission != Omission::FloorForgotten)
                    {
                        copy.raise_floor(head.into());
                    }
                }
                self.answer(at, bound, head);
            }
            Reader::Done => {}
        }
    }

    fn fill(&mut self, omission: Omission) {
        self.fill = match std::mem::replace(&mut self.fill, Fill::None) {
            Fill::None => {
                self.progress.register(0);
                Fill::Begun(Log::unfilled(self.tail.as_ref().map_or(0, Log::floor)))
            }
            Fill::Begun(copy) => Fill::Read(copy, self.head, self.log.clone()),
            Fill::Read(mut copy, head, seqs) => {
                let was_registered = self.progress.unregister(|_| true);
                let is_current = if omission == Omission::BlindFill {
                    copy = Log::filled(head.into(), Entries { seqs });
                    true
                } else {
                    copy.fill(head.into(), Entries { seqs })
                };
                if was_registered && is_current {
                    self.tail = Some(copy);
                }
                Fill::None
            }
        };
    }
}

fn bounds(omission: Omission) -> Bounds {
    Bounds {
        appends: 2,
        readers: 2,
        clear: false,
        lost: false,
        omission,
    }
}

#[test]
fn appends_and_readers_are_coherent() {
    let appends = if wide() { 3 } else { 2 };
    let name = format!("{appends} appends, 2 readers");
    assert_eq!(
        explore(
            &name,
            Bounds {
                appends,
                ..bounds(Omission::None)
            },
            None
        ),
        [""; 0]
    );
}

#[test]
fn appends_beside_a_clear_are_coherent() {
    assert_eq!(
        explore(
            "2 appends, a clear, 2 readers",
            Bounds {
                clear: true,
                ..bounds(Omission::None)
            },
            None
        ),
        [""; 0]
    );
}

#[test]
fn appends_beside_one_of_unknown_outcome_are_coherent() {
    assert_eq!(
        explore(
            "2 appends, one lost, 2 readers",
            Bounds {
                lost: true,
                ..bounds(Omission::None)
            },
            None
        ),
        [""; 0]
    );
}

/// A lost append leaves a gap: the copy is not served once a later entry is appended or seen.
/// Removing the copy spares readers from bypassing it until it expires, and is not needed for a
/// claim.
#[test]
fn removing_the_copy_after_an_unknown_outcome_carries_no_claim() {
    let bounds = Bounds {
        appends: 1,
        lost: true,
        ..bounds(Omission::UnknownLeavesTheCopy)
    };
    assert_eq!(
        explore(
            "1 append, one lost that leaves the copy, 2 readers",
            bounds,
            None
        ),
        [""; 0]
    );
}

#[test]
fn each_rule_left_out_breaks_a_claim() {
    let cases = [
        (bounds(Omission::FloorNotRaisedByWrites), "C1"),
        (bounds(Omission::FloorNotRaisedByReads), "C2"),
        (bounds(Omission::FloorForgotten), "C2"),
        (
            Bounds {
                appends: 3,
                ..bounds(Omission::AppendOverAGap)
            },
            "ghost",
        ),
        (bounds(Omission::BlindFill), "C1"),
    ];
    for (bounds, claim) in cases {
        let name = format!("{:?}", bounds.omission);
        assert!(
            explore(&name, bounds, Some(claim)).contains(&claim),
            "{name} does not break {claim}"
        );
    }
}
