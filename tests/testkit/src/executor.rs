//! A deterministic executor that a test drives by hand. In each round, it polls every woken task
//! once, in the order in which the tasks were added.
//!
//! To test cancellation, a run can be cut: the executor drops the caller's task, or a task that the
//! caller spawned, at a chosen poll.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A boxed future that the executor runs as a task.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The point of a run at which the executor drops a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// No task is dropped.
    Nowhere,
    /// The caller's task is dropped before a round.
    Caller {
        /// The number of this round. The caller's task is first polled in round 0.
        round: usize,
    },
    /// A spawned task is dropped after a number of polls.
    Spawned {
        /// The index of the task among those that were spawned after [`Executor::mark`].
        task: usize,
        /// The number of polls after which the task is dropped.
        polls: usize,
    },
}

/// The length of a run. A test derives from it all points at which the run can be cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunLength {
    /// The number of polls of the caller's task.
    pub polls: usize,
    /// The number of the executor's rounds until the caller's task ended or was dropped.
    pub rounds: usize,
    /// The number of polls of each task that was spawned after [`Executor::mark`].
    pub spawned: Vec<usize>,
}

/// A single-threaded executor that polls its tasks in rounds. Tasks run only while the test calls
/// one of its methods.
#[derive(Default)]
pub struct Executor {
    tasks: Vec<Entry>,
    /// Spawned tasks that are not in `tasks` yet.
    arrived: Arc<Mutex<Vec<Task>>>,
    /// The number of tasks at the call of [`Executor::mark`]. Spawned tasks with a lower index are
    /// never cut.
    mark: usize,
}

struct Entry {
    /// The task; `None` once it has ended or was dropped.
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
    /// Returns a function that spawns tasks on this executor. A spawned task is first polled in the
    /// next round.
    pub fn spawner(&self) -> impl Fn(Task) + Send + Sync + 'static {
        let arrived = self.arrived.clone();
        move |task| arrived.lock().expect("no holder panics").push(task)
    }

    /// Adds a task and returns its index.
    pub fn add(&mut self, task: impl Future<Output = ()> + Send + 'static) -> usize {
        self.push(Box::pin(task), false)
    }

    /// Adds a task, then runs all tasks until none is woken.
    pub fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.add(task);
        self.run_until_idle();
    }

    /// Runs rounds until no task is woken.
    pub fn run_until_idle(&mut self) {
        while self.round() {}
    }

    /// Excludes the tasks that exist now from [`Cut::Spawned`], which selects only tasks that are
    /// spawned later.
    pub fn mark(&mut self) {
        self.mark = self.tasks.len();
    }

    /// Runs rounds until no task is woken, and drops the task that `cut` selects when its point is
    /// reached. `caller` is the index of the caller's task. Returns the length of the run.
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

    /// Returns the number of tasks that have neither ended nor been dropped.
    pub fn unfinished(&self) -> usize {
        self.tasks
            .iter()
            .filter(|entry| entry.task.is_some())
            .count()
    }

    /// Polls each woken task once. Tasks that are spawned during the round are polled in the next
    /// one. Returns `false` if no task was woken.
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

/// Returns control to the executor once, so that it polls every other woken task before this one.
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
