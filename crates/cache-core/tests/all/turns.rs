//! An executor that is moved on by hand: in each round every woken task is polled once, in the order of their making.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where one run is cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nowhere.
    Nowhere,
    /// The caller goes away before this round; 0 is before its first poll.
    Caller { round: usize },
    /// A spawned task, by its number since the caller came, is dropped after so many polls.
    Spawned { task: usize, polls: usize },
}

/// What one run was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Polls of the caller.
    pub(crate) polls: usize,
    /// Rounds in which the caller was still there.
    pub(crate) rounds: usize,
    /// Polls of each task that was spawned since the first turn that was asked for.
    pub(crate) spawned: Vec<usize>,
}

/// The executor.
#[derive(Default)]
pub(crate) struct Turns {
    tasks: Vec<Turn>,
    arrived: Arc<Mutex<Vec<Task>>>,
    /// Tasks before this number are not cut.
    mark: usize,
}

struct Turn {
    /// `None` when it has ended or was dropped.
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

impl Turns {
    /// The way to spawn that a cache takes from outside.
    pub(crate) fn spawner(&self) -> impl Fn(Task) + Send + Sync + 'static {
        let arrived = self.arrived.clone();
        move |task| arrived.lock().unwrap().push(task)
    }

    /// Adds a task and gives its number.
    pub(crate) fn add(&mut self, task: impl Future<Output = ()> + Send + 'static) -> usize {
        self.push(Box::pin(task), false)
    }

    /// Runs a task, and all that it spawns, until nothing is woken.
    pub(crate) fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.add(task);
        self.settle();
    }

    /// Runs until nothing is woken.
    pub(crate) fn settle(&mut self) {
        while self.round() {}
    }

    /// What is spawned from now on may be cut.
    pub(crate) fn mark(&mut self) {
        self.mark = self.tasks.len();
    }

    /// Runs until nothing is woken, and cuts the caller or what was spawned on the way.
    pub(crate) fn run_cut(&mut self, caller: usize, cut: Cut) -> Ran {
        let mut ran = Ran::default();
        loop {
            match cut {
                Cut::Caller { round } if round == ran.rounds => self.tasks[caller].task = None,
                Cut::Spawned { task, polls } => {
                    let cut = self.spawned().nth(task);
                    if let Some(at) = cut.filter(|at| self.tasks[*at].polls == polls) {
                        self.tasks[at].task = None;
                    }
                }
                Cut::Nowhere | Cut::Caller { .. } => {}
            }
            let was_there = self.tasks[caller].task.is_some();
            if !self.round() {
                break;
            }
            ran.rounds += usize::from(was_there);
        }
        ran.polls = self.tasks[caller].polls;
        ran.spawned = self.spawned().map(|at| self.tasks[at].polls).collect();
        ran
    }

    /// Tasks that have not ended.
    pub(crate) fn unfinished(&self) -> usize {
        self.tasks.iter().filter(|turn| turn.task.is_some()).count()
    }

    fn spawned(&self) -> impl Iterator<Item = usize> + '_ {
        (self.mark..self.tasks.len()).filter(|at| self.tasks[*at].spawned)
    }

    fn push(&mut self, task: Task, spawned: bool) -> usize {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.tasks.push(Turn {
            task: Some(task),
            woken,
            polls: 0,
            spawned,
        });
        self.tasks.len() - 1
    }

    fn take_arrived(&mut self) {
        let arrived = std::mem::take(&mut *self.arrived.lock().unwrap());
        for task in arrived {
            self.push(task, true);
        }
    }

    /// Polls each woken task once; those that are spawned in this round have their first turn in the next. Whether there
    /// was one.
    pub(crate) fn round(&mut self) -> bool {
        self.take_arrived();
        let mut any = false;
        for at in 0..self.tasks.len() {
            let turn = &mut self.tasks[at];
            let Some(task) = turn
                .task
                .as_mut()
                .filter(|_| turn.woken.0.swap(false, Ordering::SeqCst))
            else {
                continue;
            };
            any = true;
            turn.polls += 1;
            let waker = Waker::from(turn.woken.clone());
            if let Poll::Ready(()) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
                turn.task = None;
            }
            self.take_arrived();
        }
        any
    }
}

/// Lets every other task have a turn.
pub(crate) async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
