//! An executor that is driven by hand. In each round, every woken task is polled once, in the order
//! in which the tasks were added. A run can be cut: its caller, or a task that it spawned, is
//! dropped at a given poll.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A task of the executor.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The point at which a run is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The run is not cut.
    Nowhere,
    /// The caller is dropped before a round.
    Caller {
        /// The number of the round; 0 is the round of the caller's first poll.
        round: usize,
    },
    /// A spawned task is dropped after a number of polls.
    Spawned {
        /// The number of the task, counted from [`Executor::mark`].
        task: usize,
        /// How often the task has been polled when it is dropped.
        polls: usize,
    },
}

/// The length of a run, from which its possible cuts follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunLength {
    /// The number of polls of the caller.
    pub polls: usize,
    /// The number of rounds before the caller ended or was dropped.
    pub rounds: usize,
    /// The number of polls of each task that was spawned since [`Executor::mark`].
    pub spawned: Vec<usize>,
}

/// An executor that polls its tasks in rounds, when it is told to.
#[derive(Default)]
pub struct Executor {
    tasks: Vec<Entry>,
    /// Tasks that were spawned and have not been polled.
    arrived: Arc<Mutex<Vec<Task>>>,
    /// Tasks with a lower index are never cut.
    mark: usize,
}

struct Entry {
    /// `None` when the task has ended or was dropped.
    task: Option<Task>,
    woken: Arc<Woken>,
    polls: usize,
    spawned: bool,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Executor {
    /// Returns a function that spawns tasks on this executor.
    pub fn spawner(&self) -> impl Fn(Task) + Send + Sync + 'static {
        let arrived = self.arrived.clone();
        move |task| arrived.lock().expect("no holder panics").push(task)
    }

    /// Adds a task and returns its index.
    pub fn add(&mut self, task: impl Future<Output = ()> + Send + 'static) -> usize {
        self.push(Box::pin(task), false)
    }

    /// Runs a task, and everything that it spawns, until no task is woken.
    pub fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.add(task);
        self.run_until_idle();
    }

    /// Runs until no task is woken.
    pub fn run_until_idle(&mut self) {
        while self.round() {}
    }

    /// Restricts cuts of spawned tasks to those that are spawned from now on.
    pub fn mark(&mut self) {
        self.mark = self.tasks.len();
    }

    /// Runs until no task is woken, and drops the task that `cut` names at its point. `caller` is
    /// the index of the caller's task.
    pub fn run_cut(&mut self, caller: usize, cut: Cut) -> RunLength {
        let mut length = RunLength::default();
        loop {
            match cut {
                Cut::Caller { round } if round == length.rounds => self.tasks[caller].task = None,
                Cut::Spawned { task, polls } => {
                    let index = self.spawned().nth(task);
                    if let Some(index) = index.filter(|index| self.tasks[*index].polls == polls) {
                        self.tasks[index].task = None;
                    }
                }
                Cut::Nowhere | Cut::Caller { .. } => {}
            }
            let caller_was_there = self.tasks[caller].task.is_some();
            if !self.round() {
                break;
            }
            length.rounds += usize::from(caller_was_there);
        }
        length.polls = self.tasks[caller].polls;
        length.spawned = self
            .spawned()
            .map(|index| self.tasks[index].polls)
            .collect();
        length
    }

    /// Returns how many tasks have not ended.
    pub fn unfinished(&self) -> usize {
        self.tasks
            .iter()
            .filter(|entry| entry.task.is_some())
            .count()
    }

    /// Polls each woken task once. Tasks that are spawned meanwhile are polled in the next round.
    /// Returns `false` if no task was woken.
    pub fn round(&mut self) -> bool {
        self.take_arrived();
        let mut any = false;
        for index in 0..self.tasks.len() {
            let entry = &mut self.tasks[index];
            let Some(task) = entry
                .task
                .as_mut()
                .filter(|_| entry.woken.0.swap(false, Ordering::SeqCst))
            else {
                continue;
            };
            any = true;
            entry.polls += 1;
            let waker = Waker::from(entry.woken.clone());
            if let Poll::Ready(()) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
                entry.task = None;
            }
            self.take_arrived();
        }
        any
    }

    fn spawned(&self) -> impl Iterator<Item = usize> + '_ {
        (self.mark..self.tasks.len()).filter(|index| self.tasks[*index].spawned)
    }

    fn push(&mut self, task: Task, spawned: bool) -> usize {
        self.tasks.push(Entry {
            task: Some(task),
            woken: Arc::new(Woken(AtomicBool::new(true))),
            polls: 0,
            spawned,
        });
        self.tasks.len() - 1
    }

    fn take_arrived(&mut self) {
        let arrived = std::mem::take(&mut *self.arrived.lock().expect("no holder panics"));
        for task in arrived {
            self.push(task, true);
        }
    }
}

/// Yields once, so that every other woken task is polled.
pub async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
