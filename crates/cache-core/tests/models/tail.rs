//! The end of a log: appends, reads of the copy and past it, fills, eviction, and a clear under a window.

use cache_core::{
    log::{Fold, Log},
    progress::{Ask, Progress},
};
use stateright::{Model, Property};

use crate::{Bound, Broken, Judged, claims, explore, wide};

/// A rule left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    None,
    FloorNotRaisedByWrites,
    FloorNotRaisedByReads,
    /// Kept with the copy alone, so that a fill knows nothing of it.
    FloorForgotten,
    AppendOverAGap,
    BlindFill,
    /// An append of unknown outcome leaves the copy where it is: no claim breaks.
    UnknownLeavesTheCopy,
}

/// What is shown: entries above the last clear, so that a copy that missed one is told from the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shown {
    entries: Vec<u8>,
}

impl Fold for Shown {
    type Entry = u8;

    fn apply(&mut self, _: u64, entry: &u8) {
        self.entries.push(*entry);
    }
}

type Copy = Log<Shown, u8>;

#[derive(Clone)]
struct Bounds {
    appends: usize,
    readers: usize,
    /// A clear, which is a write under a window.
    clear: bool,
    /// An append whose outcome nobody knows at first.
    lost: bool,
    mutant: Mutant,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    head: u8,
    /// Places of the entries that stand in the log.
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
    /// A copy was served that shows what is not there, or misses some.
    ghost: bool,
}

/// One fill at a time; what was committed meanwhile collects beside it.
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
    /// The window is open; it may have landed.
    Open(bool),
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Reader {
    Start,
    Past(Bound),
    Seen(Bound, u8),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Append(usize),
    Clear,
    Lose,
    Land,
    Read(usize),
    ReadPast(usize),
    Fill,
    Evict,
}

impl Judged for State {
    fn broken(&self) -> Broken {
        self.broken
    }
}

impl Model for Bounds {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
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

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
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
                Reader::Start => actions.extend([Action::Read(at), Action::ReadPast(at)]),
                Reader::Past(_) | Reader::Seen(..) => actions.push(Action::ReadPast(at)),
                Reader::Done => {}
            }
        }
        let can_fill =
            state.fill != Fill::None || matches!(state.progress.ask(false, |_| false), Ask::Start);
        actions.extend(can_fill.then_some(Action::Fill));
        actions.extend(state.tail.is_some().then_some(Action::Evict));
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Append(at) => next.append(at, self.mutant),
            Action::Clear => next.clear(),
            Action::Lose => next.lose(self.mutant),
            Action::Land => {
                next.commit(true);
                next.lost = Lost::Open(true);
            }
            Action::Read(at) => next.read(at)?,
            Action::ReadPast(at) => next.read_past(at, self.mutant),
            Action::Fill => next.fill(self.mutant),
            Action::Evict => next.tail = None,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = claims();
        all.push(Property::always("ghost", |_, state: &State| !state.ghost));
        all
    }
}

impl State {
    fn commit(&mut self, is_entry: bool) -> u8 {
        self.head += 1;
        if is_entry {
            self.log.push(self.head);
        } else {
            self.log.clear();
        }
        self.head
    }

    fn append(&mut self, at: usize, mutant: Mutant) {
        self.appends[at] = match self.appends[at] {
            Append::Start => Append::Committed(self.commit(true)),
            Append::Committed(place) => {
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
                    let raises = mutant != Mutant::FloorNotRaisedByWrites
                        && !(is_fill && mutant == Mutant::FloorForgotten);
                    if raises {
                        copy.saw(place.into());
                    }
                    let over = copy
                        .head()
                        .filter(|_| mutant == Mutant::AppendOverAGap)
                        .map(|head| head + 1);
                    match over {
                        Some(next) if next < u64::from(place) => {
                            copy.append(next, place);
                            // What it skipped is taken for known.
                            let entries = copy.current().map(|shown| shown.entries.clone());
                            *copy = Log::of(
                                place.into(),
                                Shown {
                                    entries: entries.unwrap_or_default(),
                                },
                            );
                        }
                        _ => drop(copy.append(place.into(), place)),
                    }
                }
                Append::Applied(place)
            }
            Append::Applied(place) => {
                self.acknowledged = self.acknowledged.max(place);
                Append::Done
            }
            Append::Done => Append::Done,
        };
    }

    /// The window takes the copy and the fill out.
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
            Clear::Committed(place) => {
                self.progress.close(false);
                Clear::Closed(place)
            }
            Clear::Closed(place) => {
                self.acknowledged = self.acknowledged.max(place);
                Clear::Done
            }
            Clear::Done => Clear::Done,
        };
    }

    /// The answer is lost, and then it is settled.
    fn lose(&mut self, mutant: Mutant) {
        self.lost = match self.lost {
            Lost::Start => {
                if mutant != Mutant::UnknownLeavesTheCopy {
                    self.open();
                }
                Lost::Open(false)
            }
            Lost::Open(_) => {
                if mutant != Mutant::UnknownLeavesTheCopy {
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

    /// From the copy, if it may be served.
    fn read(&mut self, at: usize) -> Option<()> {
        let copy = self.tail.as_ref()?;
        let shown = copy.current()?.entries.clone();
        let head = u8::try_from(copy.head()?).expect("there are few");
        // A copy shows what stood in the log when its head was the log's.
        let wanted: Vec<_> = self
            .log
            .iter()
            .copied()
            .filter(|place| *place <= head)
            .collect();
        self.ghost |= shown != wanted;
        self.answer(at, self.bound(), head);
        Some(())
    }

    /// From the store: what is highest is seen before it is returned.
    fn read_past(&mut self, at: usize, mutant: Mutant) {
        match self.readers[at].clone() {
            Reader::Start => self.readers[at] = Reader::Past(self.bound()),
            Reader::Past(bound) => self.readers[at] = Reader::Seen(bound, self.head),
            Reader::Seen(bound, head) => {
                if mutant != Mutant::FloorNotRaisedByReads {
                    if let Some(copy) = &mut self.tail {
                        copy.saw(head.into());
                    }
                    if let (Fill::Begun(copy) | Fill::Read(copy, ..), true) =
                        (&mut self.fill, mutant != Mutant::FloorForgotten)
                    {
                        copy.saw(head.into());
                    }
                }
                self.answer(at, bound, head);
            }
            Reader::Done => {}
        }
    }

    fn fill(&mut self, mutant: Mutant) {
        self.fill = match std::mem::replace(&mut self.fill, Fill::None) {
            Fill::None => {
                self.progress.start(0);
                Fill::Begun(Log::unfilled(self.tail.as_ref().map_or(0, Log::floor)))
            }
            Fill::Begun(copy) => Fill::Read(copy, self.head, self.log.clone()),
            Fill::Read(mut copy, head, entries) => {
                let stood = self.progress.end(|_| true);
                let is_current = if mutant == Mutant::BlindFill {
                    copy = Log::of(head.into(), Shown { entries });
                    true
                } else {
                    copy.fill(head.into(), Shown { entries })
                };
                if stood && is_current {
                    self.tail = Some(copy);
                }
                Fill::None
            }
        };
    }
}

fn bounds(mutant: Mutant) -> Bounds {
    Bounds {
        appends: 2,
        readers: 2,
        clear: false,
        lost: false,
        mutant,
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
                ..bounds(Mutant::None)
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
                ..bounds(Mutant::None)
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
                ..bounds(Mutant::None)
            },
            None
        ),
        [""; 0]
    );
}

/// An append that is lost leaves a gap that bars the copy as soon as anybody appends behind it or sees it, so that the copy
/// is dropped for the readers' sake, who would else go past it until it expires, and not for a claim.
#[test]
fn dropping_the_copy_when_an_outcome_is_unknown_carries_no_claim() {
    let bounds = Bounds {
        appends: 1,
        lost: true,
        ..bounds(Mutant::UnknownLeavesTheCopy)
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
        (bounds(Mutant::FloorNotRaisedByWrites), "C1"),
        (bounds(Mutant::FloorNotRaisedByReads), "C2"),
        (bounds(Mutant::FloorForgotten), "C2"),
        (
            Bounds {
                appends: 3,
                ..bounds(Mutant::AppendOverAGap)
            },
            "ghost",
        ),
        (bounds(Mutant::BlindFill), "C1"),
    ];
    for (bounds, claim) in cases {
        let name = format!("{:?}", bounds.mutant);
        assert!(
            explore(&name, bounds, Some(claim)).contains(&claim),
            "{name} does not break {claim}"
        );
    }
}
