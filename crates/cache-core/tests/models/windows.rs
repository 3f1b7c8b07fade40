//! Keys, their windows, their loads and their bypass queues.

use cache_core::protocol::progress::{Ask, AskBypass, Progress};
use stateright::{Model, Property};

use crate::{Bound, Broken, Judged, claims, explore, wide};

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Omission {
    None,
    LoadNotDetached,
    LoadInsideWindow,
    JoinOlderLoad,
    /// A reader joins a bypassing load that has been polled.
    JoinPolledBypass,
    StoreBlindly,
    RemoveOnlyAtClose,
    StoreAlthoughContended,
    /// The windows of a write of unknown outcome close at once. They would also close early if the
    /// caller owned the guard and was dropped.
    CloseOnUnknown,
    BulkLeavesLoad,
    BulkLeavesWindows,
}

/// The writers and readers of a model, and the rule that is left out.
#[derive(Clone)]
struct Bounds {
    keys: usize,
    /// The keys of each writer.
    writers: Vec<Vec<usize>>,
    /// The key of each reader.
    readers: Vec<usize>,
    refresh: bool,
    /// `true` if readers inside a window share a bypass queue. Otherwise each reads the source
    /// itself, which leaves fewer states to visit.
    bypass_queue: bool,
    /// `true` if the model includes an edit that bypasses the cache, followed by a bulk
    /// invalidation. Reads of an edited key satisfy C1 only.
    edit: bool,
    omission: Omission,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct WindowsState {
    keys: Vec<Key>,
    writers: Vec<Writer>,
    readers: Vec<Reader>,
    loads: Vec<Load>,
    edit: Edit,
    broken: Broken,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Key {
    db: u8,
    entry: Option<u8>,
    progress: Progress<u8>,
    /// `true` if a task runs the bypass queue, and is between two loads.
    queue_is_idle: bool,
    acknowledged: u8,
    returned: u8,
}

/// The progress of a writer. The number is the next of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Writer {
    Opening(usize),
    Running,
    /// Committed, with the versions of its keys.
    Closing(usize, Vec<u8>),
    Aborting(usize),
    /// Of unknown outcome; `true` if it has landed.
    Unknown(bool),
    Settling(usize),
    /// With a rule left out: closed, although it may still land.
    Loose(usize, bool),
    Closed(Vec<u8>),
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Reader {
    Start,
    Missed(Bound),
    /// Found an open write, and has yet to join or queue a bypassing load.
    InWindow(Bound),
    Waiting(u8, Bound),
    /// Reads the source itself.
    Bypassing(Bound),
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Load {
    None,
    Started(usize),
    Read(usize, u8),
    /// A load of this key is in the bypass queue, and readers may join it.
    Queued(usize),
    /// A bypassing load of this key has been polled, so no further reader may join it. It has not
    /// read the source yet.
    Polled(usize),
    /// A bypassing load of this key has read this version from the source.
    PolledRead(usize, u8),
    Ended(u8),
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Edit {
    None,
    Made(u8),
    Invalidated(u8),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Open(usize),
    Commit(usize),
    Abort(usize),
    Lose(usize),
    Land(usize),
    Settle(usize),
    Close(usize),
    Acknowledge(usize),
    LookUp(usize),
    BypassCache(usize),
    Ask(usize),
    /// Joins or queues a bypassing load.
    AskBypass(usize),
    /// Takes the next load from the bypass queue of a key.
    RunQueue(usize),
    Answer(usize),
    Load(usize),
    Fail(usize),
    End(usize),
    Refresh(usize),
    Evict(usize),
    Edit,
}

impl Judged for WindowsState {
    fn broken(&self) -> Broken {
        self.broken
    }
}

impl Model for Bounds {
    type State = WindowsState;
    type Action = Action;

    fn init_states(&self) -> Vec<WindowsState> {
        vec![WindowsState {
            keys: vec![Key::default(); self.keys],
            writers: vec![Writer::Opening(0); self.writers.len()],
            readers: vec![Reader::Start; self.readers.len()],
            // One load for each reader, and one for a refresh.
            loads: vec![Load::None; self.readers.len() + 1],
            edit: Edit::None,
            broken: Broken::default(),
        }]
    }

    fn actions(&self, state: &WindowsState, actions: &mut Vec<Action>) {
        for (at, writer) in state.writers.iter().enumerate() {
            match writer {
                Writer::Opening(_) => actions.push(Action::Open(at)),
                Writer::Running => {
                    actions.extend([Action::Commit(at), Action::Abort(at), Action::Lose(at)]);
                }
                Writer::Closing(..) | Writer::Aborting(_) | Writer::Settling(_) => {
                    actions.push(Action::Close(at));
                }
                Writer::Unknown(landed) => {
                    actions.push(Action::Settle(at));
                    actions.extend((!landed).then_some(Action::Land(at)));
                }
                Writer::Loose(next, landed) => {
                    actions.extend((*next < self.writers[at].len()).then_some(Action::Close(at)));
                    actions.extend((!landed).then_some(Action::Land(at)));
                }
                Writer::Closed(_) => actions.push(Action::Acknowledge(at)),
                Writer::Done => {}
            }
        }
        for (at, reader) in state.readers.iter().enumerate() {
            match reader {
                Reader::Start => actions.extend([Action::LookUp(at), Action::BypassCache(at)]),
                Reader::Missed(_) => actions.push(Action::Ask(at)),
                Reader::InWindow(_) => actions.push(Action::AskBypass(at)),
                Reader::Waiting(load, _) => {
                    let is_over = matches!(
                        state.loads[usize::from(*load)],
                        Load::Ended(_) | Load::Failed
                    );
                    actions.extend(is_over.then_some(Action::Answer(at)));
                }
                Reader::Bypassing(_) => actions.push(Action::Answer(at)),
                Reader::Done => {}
            }
        }
        for (at, load) in state.loads.iter().enumerate() {
            match load {
                Load::Started(_) => actions.extend([Action::Load(at), Action::Fail(at)]),
                Load::Polled(_) => actions.push(Action::Load(at)),
                Load::Read(..) | Load::PolledRead(..) => actions.push(Action::End(at)),
                Load::None | Load::Queued(_) | Load::Ended(_) | Load::Failed => {}
            }
        }
        for (at, key) in state.keys.iter().enumerate() {
            actions.extend(key.queue_is_idle.then_some(Action::RunQueue(at)));
            if key.entry.is_some() {
                actions.push(Action::Evict(at));
                let is_free = self.refresh && state.loads.last() == Some(&Load::None);
                actions.extend(
                    (is_free && !key.progress.is_open(false) && key.progress.load().is_none())
                        .then_some(Action::Refresh(at)),
                );
            }
        }
        actions.extend((self.edit && state.edit != Edit::Done).then_some(Action::Edit));
    }

    fn next_state(&self, state: &WindowsState, action: Action) -> Option<WindowsState> {
        let mut next = state.clone();
        next.step(self, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        claims()
    }
}

impl WindowsState {
    fn step(&mut self, bounds: &Bounds, action: Action) {
        let omission = bounds.omission;
        match action {
            Action::Open(at) => {
                let Writer::Opening(next) = self.writers[at] else {
                    unreachable!("enabled only for one that opens")
                };
                self.keys[bounds.writers[at][next]].open(omission);
                self.writers[at] = if next + 1 < bounds.writers[at].len() {
                    Writer::Opening(next + 1)
                } else {
                    Writer::Running
                };
            }
            Action::Commit(at) => {
                self.writers[at] = Writer::Closing(0, self.commit(&bounds.writers[at]));
            }
            Action::Abort(at) => self.writers[at] = Writer::Aborting(0),
            Action::Lose(at) => {
                self.writers[at] = if omission == Omission::CloseOnUnknown {
                    Writer::Loose(0, false)
                } else {
                    Writer::Unknown(false)
                };
            }
            Action::Land(at) => {
                self.commit(&bounds.writers[at]);
                self.writers[at] = match self.writers[at] {
                    Writer::Loose(next, _) => Writer::Loose(next, true),
                    _ => Writer::Unknown(true),
                };
            }
            // From now on it has landed, or never will.
            Action::Settle(at) => self.writers[at] = Writer::Settling(0),
            Action::Close(at) => self.close(bounds, at),
            Action::Acknowledge(at) => {
                let Writer::Closed(versions) =
                    std::mem::replace(&mut self.writers[at], Writer::Done)
                else {
                    unreachable!("enabled only for one that closed")
                };
                for (key, version) in bounds.writers[at].iter().zip(versions) {
                    self.keys[*key].acknowledge(version);
                }
            }
            Action::LookUp(at) => {
                let key = bounds.readers[at];
                let bound = self.keys[key].bound();
                match self.keys[key].entry {
                    Some(version) => self.answer(at, key, bound, version),
                    None => self.readers[at] = Reader::Missed(bound),
                }
            }
            Action::BypassCache(at) => {
                self.readers[at] = Reader::Bypassing(self.keys[bounds.readers[at]].bound());
            }
            Action::Ask(at) => self.ask(bounds, at),
            Action::AskBypass(at) => self.ask_bypass(bounds, at),
            Action::RunQueue(key) => {
                self.keys[key].queue_is_idle = false;
                if let Some(load) = self.keys[key].progress.next_bypass() {
                    self.loads[usize::from(load)] = Load::Polled(key);
                }
            }
            Action::Answer(at) => {
                let key = bounds.readers[at];
                match self.readers[at].clone() {
                    Reader::Bypassing(bound) => self.answer(at, key, bound, self.keys[key].db),
                    Reader::Waiting(load, bound) => match self.loads[usize::from(load)] {
                        Load::Ended(version) => self.answer(at, key, bound, version),
                        _ => self.readers[at] = Reader::Done,
                    },
                    _ => unreachable!("enabled only for one that waits"),
                }
            }
            Action::Load(at) => {
                self.loads[at] = match self.loads[at] {
                    Load::Started(key) => Load::Read(key, self.keys[key].db),
                    Load::Polled(key) => Load::PolledRead(key, self.keys[key].db),
                    _ => unreachable!("enabled only for one that started"),
                };
            }
            Action::Fail(at) => {
                let Load::Started(key) = self.loads[at] else {
                    unreachable!("enabled only for one that started")
                };
                self.keys[key]
                    .progress
                    .unregister(|load| usize::from(*load) == at);
                self.loads[at] = Load::Failed;
            }
            Action::End(at) => self.end_load(at, omission),
            Action::Refresh(key) => {
                let at = self.loads.len() - 1;
                self.keys[key]
                    .progress
                    .register(u8::try_from(at).expect("there are few loads"));
                self.loads[at] = Load::Started(key);
            }
            Action::Evict(key) => self.keys[key].entry = None,
            Action::Edit => self.edit(omission),
        }
    }

    fn end_load(&mut self, at: usize, omission: Omission) {
        let version = match self.loads[at] {
            Load::Read(key, version) => {
                let key = &mut self.keys[key];
                let was_registered = key.progress.unregister(|load| usize::from(*load) == at);
                if was_registered || omission == Omission::StoreBlindly {
                    key.entry = Some(version);
                }
                version
            }
            Load::PolledRead(key, version) => {
                self.keys[key].queue_is_idle = true;
                version
            }
            _ => unreachable!("enabled only for one that has read"),
        };
        self.loads[at] = Load::Ended(version);
    }

    fn commit(&mut self, keys: &[usize]) -> Vec<u8> {
        keys.iter()
            .map(|key| {
                self.keys[*key].db += 1;
                self.keys[*key].db
            })
            .collect()
    }

    fn close(&mut self, bounds: &Bounds, at: usize) {
        let keys = &bounds.writers[at];
        let (next, version) = match &self.writers[at] {
            Writer::Closing(next, versions) => (*next, Some(versions[*next])),
            Writer::Aborting(next) | Writer::Settling(next) | Writer::Loose(next, _) => {
                (*next, None)
            }
            _ => unreachable!("enabled only for one that closes"),
        };
        self.keys[keys[next]].close(version, bounds.omission);
        let is_last = next + 1 == keys.len();
        self.writers[at] = match self.writers[at].clone() {
            Writer::Closing(_, versions) if is_last => Writer::Closed(versions),
            Writer::Closing(_, versions) => Writer::Closing(next + 1, versions),
            Writer::Loose(_, landed) => Writer::Loose(next + 1, landed),
            _ if is_last => Writer::Done,
            Writer::Aborting(_) => Writer::Aborting(next + 1),
            _ => Writer::Settling(next + 1),
        };
    }

    fn ask(&mut self, bounds: &Bounds, at: usize) {
        let Reader::Missed(bound) = self.readers[at] else {
            unreachable!("enabled only for one that missed")
        };
        let key = bounds.readers[at];
        if let Some(version) = self.keys[key].entry {
            return self.answer(at, key, bound, version);
        }
        let is_open = bounds.omission != Omission::LoadInsideWindow;
        let asked = match self.keys[key].progress.ask(false, |_| true) {
            Ask::Bypass if !is_open => Ask::Start,
            asked => asked,
        };
        let older = self
            .loads
            .iter()
            .position(|load| matches!(load, Load::Started(of) | Load::Read(of, _) if *of == key));
        self.readers[at] = match (asked, older) {
            (Ask::Start, Some(older)) if bounds.omission == Omission::JoinOlderLoad => {
                Reader::Waiting(u8::try_from(older).expect("there are few loads"), bound)
            }
            (Ask::Join(load), _) => Reader::Waiting(load, bound),
            (Ask::Bypass, _) if bounds.bypass_queue => Reader::InWindow(bound),
            (Ask::Bypass, _) => Reader::Bypassing(bound),
            (Ask::Start, _) => {
                let load = u8::try_from(at).expect("there are few loads");
                self.keys[key].progress.register(load);
                self.loads[at] = Load::Started(key);
                Reader::Waiting(load, bound)
            }
        };
    }

    fn ask_bypass(&mut self, bounds: &Bounds, at: usize) {
        let Reader::InWindow(bound) = self.readers[at] else {
            unreachable!("enabled only for one in a window")
        };
        let key = bounds.readers[at];
        let polled = self.loads.iter().position(
            |load| matches!(load, Load::Polled(of) | Load::PolledRead(of, _) if *of == key),
        );
        if let Some(polled) = polled.filter(|_| bounds.omission == Omission::JoinPolledBypass) {
            let load = u8::try_from(polled).expect("there are few loads");
            self.readers[at] = Reader::Waiting(load, bound);
            return;
        }
        let own = u8::try_from(at).expect("there are few loads");
        let ask = self.keys[key].progress.ask_bypass();
        let load = match ask {
            AskBypass::Join(load) => load,
            AskBypass::Queue | AskBypass::Run => {
                self.keys[key].queue_is_idle |= ask == AskBypass::Run;
                self.keys[key].progress.queue_bypass(own);
                self.loads[at] = Load::Queued(key);
                own
            }
        };
        self.readers[at] = Reader::Waiting(load, bound);
    }

    fn answer(&mut self, at: usize, key: usize, mut bound: Bound, version: u8) {
        if self.edit != Edit::None {
            bound.returned = 0;
        }
        self.broken.judge(bound, version);
        self.keys[key].returned = self.keys[key].returned.max(version);
        self.readers[at] = Reader::Done;
    }

    fn edit(&mut self, omission: Omission) {
        let key = &mut self.keys[0];
        self.edit = match self.edit {
            Edit::None => {
                key.db += 1;
                Edit::Made(key.db)
            }
            Edit::Made(version) => {
                let is_open = key.progress.is_open(false);
                match omission {
                    Omission::BulkLeavesWindows if is_open => {}
                    Omission::BulkLeavesLoad => key
                        .progress
                        .invalidate()
                        .into_iter()
                        .for_each(|load| key.progress.register(load)),
                    _ => drop(key.progress.invalidate()),
                }
                key.entry = None;
                Edit::Invalidated(version)
            }
            Edit::Invalidated(version) => {
                key.acknowledge(version);
                Edit::Done
            }
            Edit::Done => Edit::Done,
        };
    }
}

impl Key {
    fn bound(&self) -> Bound {
        Bound {
            acknowledged: self.acknowledged,
            returned: self.returned.max(self.acknowledged),
        }
    }

    fn acknowledge(&mut self, version: u8) {
        self.acknowledged = self.acknowledged.max(version);
    }

    fn open(&mut self, omission: Omission) {
        let load = self.progress.open(false);
        if let Some(load) = load.filter(|_| omission == Omission::LoadNotDetached) {
            self.progress.register(load);
        }
        if omission != Omission::RemoveOnlyAtClose {
            self.entry = None;
        }
    }

    fn close(&mut self, version: Option<u8>, omission: Omission) {
        let alone = self.progress.close(false);
        if omission == Omission::RemoveOnlyAtClose {
            self.entry = None;
        }
        if let Some(version) =
            version.filter(|_| alone || omission == Omission::StoreAlthoughContended)
        {
            self.entry = Some(version);
        }
    }
}

/// Returns two writers of one key and three readers.
fn one_key(omission: Omission) -> Bounds {
    Bounds {
        keys: 1,
        writers: vec![vec![0], vec![0]],
        readers: vec![0, 0, 0],
        refresh: false,
        bypass_queue: false,
        edit: false,
        omission,
    }
}

/// Returns two writers of one key and two readers that share a bypass queue.
fn queued(omission: Omission) -> Bounds {
    Bounds {
        readers: vec![0, 0],
        bypass_queue: true,
        ..one_key(omission)
    }
}

/// Returns a writer, an edit and three readers.
fn edited(omission: Omission) -> Bounds {
    Bounds {
        writers: vec![vec![0]],
        edit: true,
        ..one_key(omission)
    }
}

#[test]
fn two_writers_and_readers_of_one_key_are_coherent() {
    let readers = vec![0; if wide() { 3 } else { 2 }];
    let name = format!("2 writers, {} readers, 1 key", readers.len());
    assert_eq!(
        explore(
            &name,
            Bounds {
                readers,
                ..one_key(Omission::None)
            },
            None
        ),
        [""; 0]
    );
}

#[test]
fn a_writer_over_two_keys_and_one_over_one_are_coherent() {
    let bounds = Bounds {
        keys: 2,
        writers: vec![vec![0, 1], vec![0]],
        readers: vec![0, 1],
        refresh: true,
        ..one_key(Omission::None)
    };
    assert_eq!(
        explore("writers of 2 keys and 1, 2 readers, refresh", bounds, None),
        [""; 0]
    );
}

#[test]
fn a_refresh_beside_writers_is_coherent() {
    let bounds = Bounds {
        readers: vec![0, 0],
        refresh: true,
        ..one_key(Omission::None)
    };
    assert_eq!(
        explore("2 writers, 2 readers, refresh", bounds, None),
        [""; 0]
    );
}

#[test]
fn readers_that_share_a_bypass_queue_are_coherent() {
    let readers = vec![0; if wide() { 3 } else { 2 }];
    let name = format!("2 writers, {} readers, bypass queue", readers.len());
    let bounds = Bounds {
        readers,
        ..queued(Omission::None)
    };
    assert_eq!(explore(&name, bounds, None), [""; 0]);
}

#[test]
fn an_edit_is_read_from_its_bulk_invalidation_on() {
    let readers = vec![0; if wide() { 3 } else { 2 }];
    let name = format!("1 writer, {} readers, edit and bulk", readers.len());
    assert_eq!(
        explore(
            &name,
            Bounds {
                readers,
                ..edited(Omission::None)
            },
            None
        ),
        [""; 0]
    );
}

#[test]
fn each_rule_left_out_breaks_a_claim() {
    let cases = [
        (one_key(Omission::LoadNotDetached), "C1"),
        (one_key(Omission::LoadInsideWindow), "C1"),
        (one_key(Omission::JoinOlderLoad), "C1"),
        (queued(Omission::JoinPolledBypass), "C1"),
        (one_key(Omission::StoreBlindly), "C1"),
        (one_key(Omission::RemoveOnlyAtClose), "C2"),
        (one_key(Omission::StoreAlthoughContended), "C2"),
        (one_key(Omission::CloseOnUnknown), "C2"),
        (edited(Omission::BulkLeavesLoad), "C1"),
        (edited(Omission::BulkLeavesWindows), "C1"),
    ];
    for (bounds, claim) in cases {
        let name = format!("{:?}", bounds.omission);
        assert!(
            explore(&name, bounds, Some(claim)).contains(&claim),
            "{name} does not break {claim}"
        );
    }
}
