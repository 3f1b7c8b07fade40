//! The scenarios: the tasks that run at once, the situations that they must visit, and the faults
//! that they must find.

use std::{future::Future, pin::Pin, time::Duration};

use cache_core::{Fault, Policy};
use shuttle::future::JoinHandle;

use crate::{
    elsewhere::{BOUND, others, others_and_bypasses, others_and_writes, others_at_a_log},
    logs::{
        cleared_tail, evicted_tail, filled_tail, guarded_tail, tail, tail_and_recognized_keys,
        tail_and_removals, tail_and_windows, tail_glances, tail_glances_and_bypasses,
    },
    world::{
        ScheduleWorld, Setting, Situation,
        Situation::{Bypass, Contended, Evicted, Hit, Join, Overtaken, Stale, Unknown},
        TTL, policy,
    },
};

type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(ScheduleWorld) -> Run,
    pub(crate) setting: Setting,
    pub(crate) must_visit: &'static [Situation],
    pub(crate) finds: &'static [Fault],
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario(
        "one key",
        |s| Box::pin(one_key(s)),
        &[Hit, Overtaken, Join, Bypass, Contended],
        &[
            Fault::BlindStore,
            Fault::LoadInsideWindow,
            Fault::ContendedStore,
        ],
    ),
    scenario(
        "one write",
        |s| Box::pin(one_write(s)),
        &[Hit, Bypass],
        &[Fault::LateInvalidation],
    ),
    scenario(
        "two keys",
        |s| Box::pin(two_keys(s)),
        &[Hit, Overtaken, Bypass, Contended],
        &[],
    ),
    scenario(
        "failing loads",
        |s| Box::pin(failing_loads(s)),
        &[Overtaken, Join, Bypass],
        &[],
    ),
    scenario(
        "cancelled callers",
        |s| Box::pin(cancelled(s)),
        &[Hit, Overtaken, Bypass],
        &[Fault::JoinedOlderLoad, Fault::CallerOwnsGuard],
    ),
    scenario(
        "unknown outcomes",
        |s| Box::pin(unknown(s)),
        &[Bypass, Unknown, Contended],
        &[Fault::UnknownCloses],
    ),
    scenario(
        "eviction",
        |s| Box::pin(eviction(s)),
        &[Overtaken, Bypass, Evicted],
        &[],
    ),
    scenario(
        "expiry",
        |s| Box::pin(expiry(s)),
        &[Hit, Overtaken, Bypass],
        &[],
    ),
    scenario(
        "refresh-ahead",
        |s| Box::pin(refresh(s)),
        &[Hit, Overtaken],
        &[],
    ),
    scenario("fail-safe", |s| Box::pin(fail_safe(s)), &[Stale], &[]),
    scenario(
        "bulk and edits",
        |s| Box::pin(bulk(s)),
        &[Hit, Overtaken],
        &[Fault::BulkLeavesLoads],
    ),
    scenario(
        "bulk and writes",
        |s| Box::pin(bulk_and_writes(s)),
        &[Hit, Contended],
        &[Fault::BulkLeavesWindows],
    ),
    scenario(
        "absence",
        |s| Box::pin(absence(s)),
        &[Overtaken, Bypass],
        &[Fault::UncountedCreates, Fault::OldAbsence],
    ),
    scenario(
        "tail",
        |s| Box::pin(tail(s)),
        &[Hit, Join],
        &[
            Fault::FloorNotRaisedByWrites,
            Fault::FloorNotRaisedByReads,
            Fault::BlindFill,
        ],
    ),
    scenario(
        "tail and fill",
        |s| Box::pin(filled_tail(s)),
        &[Hit, Join],
        &[Fault::FloorForgotten],
    ),
    scenario(
        "tail and eviction",
        |s| Box::pin(evicted_tail(s)),
        &[Hit, Evicted],
        &[Fault::FloorForgotten],
    ),
    scenario(
        "leases",
        |s| Box::pin(leases(s)),
        &[Hit, Join, Bypass, Contended],
        &[Fault::ChangesUncounted],
    ),
    scenario(
        "glances",
        |s| Box::pin(glances(s)),
        &[Hit, Bypass, Contended],
        &[Fault::ChangesUncounted],
    ),
    scenario(
        "glances and eviction",
        |s| Box::pin(glances_and_eviction(s)),
        &[Hit, Evicted],
        &[],
    ),
    scenario(
        "glances at a tail",
        |s| Box::pin(tail_glances(s)),
        &[Hit],
        &[Fault::ChangesUncounted, Fault::CountedLate],
    ),
    scenario(
        "glances at a tail and bypasses",
        |s| Box::pin(tail_glances_and_bypasses(s)),
        &[Hit],
        &[Fault::ChangesUncounted],
    ),
    scenario(
        "weighed tail and clear",
        |s| Box::pin(cleared_tail(s)),
        &[Hit, Join],
        &[Fault::RemovalUndone],
    ),
    scenario(
        "weighed tail and region guard",
        |s| Box::pin(guarded_tail(s)),
        &[Hit, Join, Bypass],
        &[Fault::RemovalUndone],
    ),
    scenario(
        "weighed tail and other removals",
        |s| Box::pin(tail_and_removals(s)),
        &[Hit, Join],
        &[Fault::RemovalUndone],
    ),
    scenario(
        "weighed tail and recognized keys",
        |s| Box::pin(tail_and_recognized_keys(s)),
        &[Hit, Join, Bypass],
        &[],
    ),
    scenario(
        "upserts",
        |s| Box::pin(upserts(s)),
        &[Hit, Overtaken, Bypass, Contended],
        &[Fault::ContendedStore],
    ),
    scenario(
        "recognized keys",
        |s| Box::pin(recognized_keys(s)),
        &[Hit, Overtaken, Join, Bypass, Contended],
        &[],
    ),
    scenario(
        "tags and edits",
        |s| Box::pin(tags_and_edits(s)),
        &[Hit, Overtaken],
        &[Fault::JoinedOverTag, Fault::BlindTag],
    ),
    scenario(
        "tags and writes",
        |s| Box::pin(tags_and_writes(s)),
        &[Hit, Overtaken, Bypass],
        &[Fault::BlindTag],
    ),
    scenario(
        "tickets",
        |s| Box::pin(tickets(s)),
        &[Hit, Overtaken, Bypass],
        &[Fault::BlindStore],
    ),
    scenario(
        "batches",
        |s| Box::pin(batches(s)),
        &[Hit, Overtaken, Bypass, Contended],
        &[],
    ),
    scenario("one permit", |s| Box::pin(one_permit(s)), &[Hit, Join], &[]).with_one_permit(),
    scenario(
        "tail and windows",
        |s| Box::pin(tail_and_windows(s)),
        &[Overtaken, Bypass, Unknown],
        &[],
    ),
    scenario(
        "others",
        |s| Box::pin(others(s)),
        &[Hit, Overtaken, Join],
        &[
            Fault::ElsewhereLeavesLoads,
            Fault::JoinedUnreported,
            Fault::ServedUnreported,
        ],
    )
    .beside_others(),
    scenario(
        "others and writes",
        |s| Box::pin(others_and_writes(s)),
        &[Hit, Bypass, Contended],
        &[Fault::ElsewhereLeavesWindows],
    )
    .beside_others(),
    scenario(
        "others and bypasses",
        |s| Box::pin(others_and_bypasses(s)),
        &[Hit, Bypass],
        &[Fault::UnstoredLeavesValue],
    )
    .beside_others(),
    scenario(
        "others at a log",
        |s| Box::pin(others_at_a_log(s)),
        &[Hit],
        &[],
    )
    .beside_others(),
];

const fn scenario(
    name: &'static str,
    run: fn(ScheduleWorld) -> Run,
    must_visit: &'static [Situation],
    finds: &'static [Fault],
) -> Scenario {
    Scenario {
        name,
        run,
        setting: Setting {
            loads: 1_024,
            others_write: None,
        },
        must_visit,
        finds,
    }
}

impl Scenario {
    const fn with_one_permit(mut self) -> Self {
        self.setting.loads = 1;
        self
    }

    const fn beside_others(mut self) -> Self {
        self.setting.others_write = Some(BOUND);
        self
    }
}

pub(super) async fn all(tasks: impl IntoIterator<Item = JoinHandle<()>>) {
    for task in tasks {
        task.await.unwrap_or_else(|error| panic!("{error:?}"));
    }
}

async fn one_key(s: ScheduleWorld) {
    let n = s.numbers(policy());
    let readers = [
        s.reader(&n, 1, 2, 0),
        s.reader(&n, 1, 2, 0),
        s.bypasser(&n, 1, 3),
    ];
    let writers = [
        s.writer(&n, &[1]),
        s.writer(&n, &[1]),
        s.refused_writer(&n, 1),
    ];
    all(readers.into_iter().chain(writers)).await;
    // The state that they leave is coherent, too.
    all([s.reader(&n, 1, 2, 0)]).await;
}

async fn one_write(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([s.writer(&n, &[1])]).await;
    all([
        s.writer(&n, &[1]),
        s.bypasser(&n, 1, 2),
        s.reader(&n, 1, 3, 0),
        s.reader(&n, 1, 3, 0),
    ])
    .await;
}

async fn tags_and_edits(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([
        s.tagged_reader(&n, 1, 4),
        s.tagged_reader(&n, 1, 4),
        s.tag_editor(&n, 1),
        s.tag_editor(&n, 1),
    ])
    .await;
    all([s.tagged_reader(&n, 1, 2)]).await;
}

async fn tags_and_writes(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([
        s.tagged_reader(&n, 1, 3),
        s.tagged_reader(&n, 1, 3),
        s.bypasser(&n, 1, 2),
        s.tag_writer(&n, 1),
        s.tag_writer(&n, 1),
    ])
    .await;
    all([s.tagged_reader(&n, 1, 2)]).await;
}

async fn tickets(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([
        s.ticket_holder(&n, 1, 3),
        s.ticket_holder(&n, 1, 3),
        s.reader(&n, 1, 2, 0),
        s.writer(&n, &[1]),
        s.cancelled_writer(&n, 1),
    ])
    .await;
    all([s.reader(&n, 1, 2, 0)]).await;
}

async fn batches(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([
        s.batch_reader(&n, &[1, 2], 3),
        s.batch_reader(&n, &[2, 1], 3),
        s.bypasser(&n, 1, 2),
        s.writer(&n, &[1]),
        s.writer(&n, &[1, 2]),
    ])
    .await;
    all([s.batch_reader(&n, &[1, 2], 2)]).await;
}

async fn two_keys(s: ScheduleWorld) {
    let n = s.numbers(policy());
    let readers = [
        s.reader(&n, 1, 2, 0),
        s.reader(&n, 2, 2, 0),
        s.reader(&n, 1, 1, 0),
    ];
    all(readers.into_iter().chain([
        s.writer(&n, &[1, 2]),
        s.writer(&n, &[2, 1]),
        s.writer(&n, &[1]),
    ]))
    .await;
    all([s.reader(&n, 1, 2, 0), s.reader(&n, 2, 2, 0)]).await;
}

async fn failing_loads(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([
        s.reader(&n, 1, 2, 50),
        s.reader(&n, 1, 2, 50),
        s.reader(&n, 1, 2, 50),
        s.writer(&n, &[1]),
        s.refused_writer(&n, 1),
    ])
    .await;
}

async fn cancelled(s: ScheduleWorld) {
    let n = s.numbers(policy());
    let readers = [
        s.reader(&n, 1, 4, 0),
        s.reader(&n, 1, 3, 0),
        s.bypasser(&n, 1, 4),
    ];
    all(readers
        .into_iter()
        .chain([s.cancelled_writer(&n, 1), s.cancelled_writer(&n, 1)]))
    .await;
}

async fn unknown(s: ScheduleWorld) {
    let n = s.numbers(policy());
    let readers = [
        s.reader(&n, 1, 3, 0),
        s.reader(&n, 1, 2, 0),
        s.bypasser(&n, 1, 3),
    ];
    all(readers
        .into_iter()
        .chain([s.lost_writer(&n, 1), s.writer(&n, &[1])]))
    .await;
    all([s.reader(&n, 1, 2, 0)]).await;
}

async fn eviction(s: ScheduleWorld) {
    let n = s.numbers(Policy::new(TTL, 1));
    let readers = [
        s.reader(&n, 1, 2, 0),
        s.reader(&n, 2, 2, 0),
        s.reader(&n, 3, 2, 0),
        s.reader(&n, 1, 2, 0),
    ];
    all(readers
        .into_iter()
        .chain([s.writer(&n, &[1]), s.writer(&n, &[1, 2])]))
    .await;
}

async fn expiry(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([
        s.reader(&n, 1, 3, 0),
        s.reader(&n, 1, 2, 0),
        s.writer(&n, &[1]),
        s.time(TTL + Duration::from_secs(1)),
        s.writer(&n, &[1]),
    ])
    .await;
}

async fn refresh(s: ScheduleWorld) {
    let n = s.numbers(policy().refresh_after(0.5));
    all([s.reader(&n, 1, 1, 0)]).await;
    all([
        s.reader(&n, 1, 3, 20),
        s.reader(&n, 1, 3, 20),
        s.writer(&n, &[1]),
        s.time(TTL * 51 / 100),
    ])
    .await;
}

async fn fail_safe(s: ScheduleWorld) {
    let n = s.numbers(policy().fail_safe(TTL * 10));
    all([s.reader(&n, 1, 1, 0)]).await;
    all([
        s.reader(&n, 1, 3, 60),
        s.reader(&n, 1, 2, 60),
        s.bypasser(&n, 1, 3),
        s.writer(&n, &[1]),
        s.time(TTL + Duration::from_secs(1)),
    ])
    .await;
}

async fn leases(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([s.writer(&n, &[1])]).await;
    let readers = [
        s.leaser(&n, 1, 4),
        s.leaser(&n, 1, 4),
        s.reader(&n, 1, 2, 0),
        s.bypasser(&n, 1, 2),
    ];
    all(readers
        .into_iter()
        .chain([s.writer(&n, &[1]), s.writer(&n, &[1, 2])]))
    .await;
    all([s.leaser(&n, 1, 2)]).await;
}

async fn glances(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([s.writer(&n, &[1])]).await;
    let readers = [
        s.glancer(&n, 1, 6),
        s.glancer(&n, 1, 6),
        s.reader(&n, 1, 2, 0),
        s.bypasser(&n, 1, 2),
    ];
    all(readers
        .into_iter()
        .chain([s.writer(&n, &[1]), s.writer(&n, &[1, 2])]))
    .await;
    all([s.glancer(&n, 1, 4)]).await;
}

async fn glances_and_eviction(s: ScheduleWorld) {
    let n = s.numbers(Policy::new(TTL, 1));
    all([s.writer(&n, &[1, 2])]).await;
    all([
        s.glancer(&n, 1, 6),
        s.glancer(&n, 2, 4),
        s.reader(&n, 2, 3, 0),
        s.writer(&n, &[1]),
        s.time(TTL + Duration::from_secs(1)),
    ])
    .await;
}

/// An edit from outside is not a guarded write: only C1 is claimed of it, from the invalidation on.
async fn bulk(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([s.editor(1), s.warmer(&n, 1), s.warmer(&n, 1)]).await;
    all([s.reader(&n, 1, 1, 0)]).await;
}

async fn bulk_and_writes(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([s.writer(&n, &[1]), s.editor(1), s.warmer(&n, 1)]).await;
    all([s.reader(&n, 1, 1, 0)]).await;
}

async fn absence(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([
        s.reader(&n, 1, 3, 0),
        s.reader(&n, 1, 3, 0),
        s.bypasser(&n, 1, 3),
        s.creator(&n, 1),
    ])
    .await;
    all([s.reader(&n, 1, 1, 0)]).await;
}

async fn upserts(s: ScheduleWorld) {
    let n = s.numbers(policy());
    let readers = [s.reader(&n, 1, 2, 0), s.reader(&n, 1, 2, 0)];
    let upserts = [s.upserter(&n, 1), s.upserter(&n, 1), s.writer(&n, &[1])];
    all(readers.into_iter().chain(upserts)).await;
    all([s.reader(&n, 1, 2, 0)]).await;
}

async fn recognized_keys(s: ScheduleWorld) {
    let n = s.numbers(policy());
    let readers = [
        s.reader(&n, 1, 3, 0),
        s.reader(&n, 1, 2, 0),
        s.reader(&n, 2, 2, 0),
        s.bypasser(&n, 1, 2),
    ];
    all(readers
        .into_iter()
        .chain([s.recognizing_writer(&n, 1), s.writer(&n, &[1])]))
    .await;
    all([s.reader(&n, 1, 2, 0)]).await;
}

/// A load that has no reader any more is given up. No reader that joins it later may receive its
/// error.
async fn one_permit(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([
        s.reader(&n, 2, 1, 0),
        s.dropping_reader(&n, 1, 1),
        s.dropping_reader(&n, 3, 1),
        s.reader(&n, 1, 1, 0),
        s.reader(&n, 3, 1, 0),
    ])
    .await;
    all([s.reader(&n, 1, 1, 0)]).await;
}
