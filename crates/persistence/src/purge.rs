//! Deletes the messages of cleared and deleted rooms in the background.
//!
//! A clear or a deletion only sets marks in the room's row, and reads return no message up to the
//! marks. So both take the same time for a long room as for a short one. The purge deletes the rows
//! later, in many short transactions. Other writes run between these transactions. A purge that did
//! not finish continues when the store is opened again.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::{Duration, Instant},
};

use domain::Result;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, sea_query::Expr,
};
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{sleep, timeout_at},
};

use crate::{
    messages::sends::delete_free,
    sql::{
        connection::Tx,
        database::Database,
        error::DbError,
        rows::{first_value, model},
        tables::{messages, rooms},
    },
    usage::old::delete_old_usage,
};

/// The smallest limit on the messages that one transaction deletes. The first transaction has this
/// limit. With a smaller one, BEGIN and COMMIT would take most of the time.
const MIN_BATCH: u64 = 100;

/// The largest limit on the messages that one transaction deletes. With a larger one, the time per
/// message no longer falls.
const MAX_BATCH: u64 = 1_000;

/// The maximum number of images that one transaction deletes. An image can have several megabytes,
/// so a limit on the messages alone would not bound the time.
const MAX_IMAGES: u64 = 4;

/// The time that one DELETE should take. After a longer one, the limit is halved. After one that
/// took less than half of this time, the limit is doubled. On SQLite, another write waits about
/// this long for the purge.
const BATCH_TIME: Duration = Duration::from_millis(10);

/// The interval at which keys of sent messages are deleted that are free again, and old usage.
const OLD_ROWS_INTERVAL: Duration = Duration::from_hours(1);

/// The pause after a transaction that failed, for example because the database did not respond.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// A handle of the task that deletes messages. Dropping the handle ends the task.
pub(crate) struct Purge {
    database: Weak<Database>,
    wake: Arc<Notify>,
    task: OnceLock<AbortHandle>,
}

impl Purge {
    pub(crate) fn new(database: &Arc<Database>) -> Self {
        Self {
            database: Arc::downgrade(database),
            wake: Arc::default(),
            task: OnceLock::new(),
        }
    }

    /// Starts the task. Wakes it if earlier processes left a purge unfinished.
    pub(crate) async fn resume(&self, database: &Database) -> Result<()> {
        if next_garbage(database).await?.is_some() {
            self.wake();
        }
        self.start();
        Ok(())
    }

    /// Wakes the task, because a room may have been cleared or deleted.
    fn wake(&self) {
        self.wake.notify_one();
        self.start();
    }

    /// Starts the task unless it runs.
    fn start(&self) {
        self.task.get_or_init(|| {
            tokio::spawn(run(self.database.clone(), self.wake.clone())).abort_handle()
        });
    }

    /// Returns a guard that wakes the task when it is dropped. A write holds the guard, so that the
    /// task is also woken if the write is cancelled or its outcome is unknown.
    pub(crate) fn wake_on_drop(&self) -> impl Drop + '_ {
        WakeOnDrop(self)
    }
}

struct WakeOnDrop<'a>(&'a Purge);

impl Drop for WakeOnDrop<'_> {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl Drop for Purge {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// A room with messages to delete.
struct Garbage {
    room: i64,
    /// The highest id of the messages to delete.
    cleared_id: i64,
    /// `true` if the room itself is to be deleted after its messages.
    is_deleted: bool,
}

/// The progress of the purge in one room, and the limit of the next batch.
struct PurgedPart {
    room: i64,
    /// The highest id up to which all messages of the room are deleted.
    deleted_id: i64,
    /// The limit on the messages of the next batch.
    batch: u64,
}

async fn run(database: Weak<Database>, wake: Arc<Notify>) {
    let mut purged_part = PurgedPart {
        room: 0,
        deleted_id: 0,
        batch: MIN_BATCH,
    };
    let mut next_old_rows = tokio::time::Instant::now() + OLD_ROWS_INTERVAL;
    loop {
        let is_woken = timeout_at(next_old_rows, wake.notified()).await.is_ok();
        if !is_woken {
            next_old_rows = tokio::time::Instant::now() + OLD_ROWS_INTERVAL;
        }
        loop {
            // The task holds the database only during a transaction. Otherwise the database would
            // stay open after the store is dropped.
            let Some(open) = database.upgrade() else {
                return;
            };
            let began = Instant::now();
            let purged = if is_woken {
                purge_batch(&open, &mut purged_part).await
            } else {
                delete_old_rows(&open).await.map(|()| false)
            };
            drop(open);
            match purged {
                // Pauses as long as the batch took, so other writes have at least half of the time.
                Ok(true) => sleep(began.elapsed()).await,
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "cannot delete old rows; will retry");
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }
}

/// Deletes the rows whose time is over.
async fn delete_old_rows(database: &Database) -> Result<()> {
    delete_free(database).await?;
    delete_old_usage(database).await
}

/// Returns the limit of the next batch. `took` is the time of the last DELETE.
fn next_batch(batch: u64, took: Duration) -> u64 {
    if took > BATCH_TIME {
        (batch / 2).max(MIN_BATCH)
    } else if took < BATCH_TIME / 2 {
        (batch * 2).min(MAX_BATCH)
    } else {
        batch
    }
}

/// Returns the first room whose purge is not complete, or `None`.
async fn next_garbage(database: &Database) -> Result<Option<Garbage>> {
    let query = rooms::Entity::find()
        .filter(Expr::col(rooms::Column::HasGarbage))
        .order_by_asc(rooms::Column::Id);
    let row = database.read().select_one(query).await?;
    let row = row.as_ref().map(model::<rooms::Entity>).transpose()?;
    Ok(row.map(|row| Garbage {
        room: row.id,
        cleared_id: row.cleared_id,
        is_deleted: row.deleted_at.is_some(),
    }))
}

/// Deletes messages of one room in one transaction. Returns `false` if no room has messages to
/// delete.
async fn purge_batch(database: &Database, part: &mut PurgedPart) -> Result<bool> {
    let Some(garbage) = next_garbage(database).await? else {
        return Ok(false);
    };
    if garbage.room != part.room {
        part.room = garbage.room;
        part.deleted_id = 0;
    }
    let (from, batch) = (part.deleted_id, part.batch);
    let deleted = database
        .write(move |tx| Box::pin(async move { delete_batch(tx, &garbage, from, batch).await }))
        .await?;
    if let Some(deleted) = deleted {
        part.deleted_id = deleted.last_id;
        part.batch = next_batch(batch, deleted.took);
    }
    Ok(true)
}

/// The outcome of one batch.
struct Deleted {
    last_id: i64,
    /// The time of the DELETE statement. It does not include BEGIN and COMMIT, which a smaller
    /// batch would not make faster.
    took: Duration,
}

/// Deletes the oldest messages with ids above `from`, up to the room's mark.
///
/// If there are none, completes the purge and returns `None`: removes the row of a deleted room, or
/// resets `has_garbage` of a cleared one.
async fn delete_batch(
    tx: &Tx<'_>,
    garbage: &Garbage,
    from: i64,
    batch: u64,
) -> Result<Option<Deleted>> {
    let (room, cleared_id) = (garbage.room, garbage.cleared_id);
    // The search begins above the deleted ids, because PostgreSQL keeps deleted rows in the index
    // for a while.
    let select = "SELECT MAX(id) AS last_id FROM (\
                  SELECT id, SUM(CASE WHEN image_media_type IS NULL THEN 0 ELSE 1 END) \
                  OVER (ORDER BY id) AS images FROM (\
                  SELECT id, image_media_type FROM messages \
                  WHERE room_id = $1 AND id > $2 AND id <= $3 ORDER BY id LIMIT $4) oldest) batch \
                  WHERE images <= $5";
    let values = [room, from, cleared_id, signed(batch), signed(MAX_IMAGES)];
    let rows = tx.query_text(select, values.map(Into::into)).await;
    let rows = rows.map_err(DbError::into_error)?;
    let last_id = rows.first().map(first_value::<Option<i64>>).transpose()?;
    if let Some(last_id) = last_id.flatten() {
        let began = Instant::now();
        let delete = messages::Entity::delete_many()
            .filter(messages::Column::RoomId.eq(room))
            .filter(messages::Column::Id.gt(from))
            .filter(messages::Column::Id.lte(last_id));
        tx.run(&delete).await?;
        let took = began.elapsed();
        return Ok(Some(Deleted { last_id, took }));
    }
    // Both statements compare the mark. If the room was cleared or deleted since its row was read,
    // the mark differs, and the next transaction continues with the new mark.
    let (id, mark) = (rooms::Column::Id, rooms::Column::ClearedId);
    if garbage.is_deleted {
        let delete = rooms::Entity::delete_many()
            .filter(id.eq(room))
            .filter(mark.eq(cleared_id));
        tx.run(&delete).await?;
    } else {
        let update = rooms::Entity::update_many()
            .filter(id.eq(room))
            .filter(mark.eq(cleared_id))
            .col_expr(rooms::Column::HasGarbage, Expr::value(false));
        tx.run(&update).await?;
    }
    Ok(None)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
