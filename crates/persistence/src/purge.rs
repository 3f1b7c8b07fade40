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
use tokio::{sync::Notify, task::AbortHandle, time::sleep};

use crate::sql::{connection::Tx, database::Database, rows::Row};

/// The number of messages that the first transaction deletes.
const FIRST_BATCH: u64 = 100;

/// The maximum number of messages that one transaction deletes. With more messages, the time per
/// message no longer falls.
const MAX_BATCH: u64 = 1_000;

/// The time that one transaction may take. The next transaction deletes half as many messages if
/// this one took longer, and twice as many if it took less than half of this time. Another write
/// waits at most this long for the purge.
const BATCH_TIME: Duration = Duration::from_millis(10);

/// The pause after a transaction that failed, for example because the database did not respond.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Starts and wakes the task that deletes messages. The task ends when the value is dropped.
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

    /// Continues the purges that earlier processes did not finish.
    pub(crate) async fn resume(&self, database: &Database) -> Result<()> {
        if next_garbage(database).await?.is_some() {
            self.wake();
        }
        Ok(())
    }

    /// Tells the task that a room was cleared or deleted.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
        self.task.get_or_init(|| {
            tokio::spawn(run(self.database.clone(), self.wake.clone())).abort_handle()
        });
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
    /// The messages with ids up to this one are to be deleted.
    cleared_id: i64,
    /// `true` if the room itself is to be deleted after its messages.
    is_deleted: bool,
}

async fn run(database: Weak<Database>, wake: Arc<Notify>) {
    let mut batch = FIRST_BATCH;
    loop {
        // The database is held only during a transaction, so that it is closed when the store is
        // dropped.
        let Some(open) = database.upgrade() else {
            return;
        };
        let began = Instant::now();
        let purged = purge_batch(&open, batch).await;
        drop(open);
        let took = began.elapsed();
        match purged {
            Ok(true) => {
                batch = next_batch(batch, took);
                // Leaves at least half of the time to other writes.
                sleep(took).await;
            }
            Ok(false) => wake.notified().await,
            Err(error) => {
                tracing::warn!(%error, "cannot delete the messages of a cleared room; will retry");
                sleep(RETRY_PAUSE).await;
            }
        }
    }
}

fn next_batch(batch: u64, took: Duration) -> u64 {
    if took > BATCH_TIME {
        (batch / 2).max(1)
    } else if took < BATCH_TIME / 2 {
        (batch * 2).min(MAX_BATCH)
    } else {
        batch
    }
}

/// Returns the first room with messages to delete.
async fn next_garbage(database: &Database) -> Result<Option<Garbage>> {
    let sql = "SELECT id, cleared_id, deleted_at IS NOT NULL AS is_deleted FROM rooms \
               WHERE has_garbage ORDER BY id LIMIT 1";
    let rows = database.read().all(sql, []).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let row = Row::new("rooms", "id", row);
    Ok(Some(Garbage {
        room: row.get("id")?,
        cleared_id: row.get("cleared_id")?,
        is_deleted: row.get("is_deleted")?,
    }))
}

/// Deletes at most `batch` messages of one room in one transaction. Returns `false` if no room has
/// messages to delete.
async fn purge_batch(database: &Database, batch: u64) -> Result<bool> {
    let Some(garbage) = next_garbage(database).await? else {
        return Ok(false);
    };
    database
        .write(move |tx| Box::pin(async move { delete_batch(tx, &garbage, batch).await }))
        .await?;
    Ok(true)
}

async fn delete_batch(tx: &Tx<'_>, garbage: &Garbage, batch: u64) -> Result<()> {
    let (room, cleared_id) = (garbage.room, garbage.cleared_id);
    let limit = i64::try_from(batch).unwrap_or(i64::MAX);
    let sql = "DELETE FROM messages WHERE id IN (SELECT id FROM messages \
               WHERE room_id = $1 AND id <= $2 ORDER BY id LIMIT $3)";
    let values = [room.into(), cleared_id.into(), limit.into()];
    if tx.run(sql, values).await? == batch {
        return Ok(());
    }
    // These were the last messages. If the room was cleared or deleted again since its row was read,
    // its mark has changed, and the next transaction continues.
    let sql = if garbage.is_deleted {
        "DELETE FROM rooms WHERE id = $1 AND cleared_id = $2"
    } else {
        "UPDATE rooms SET has_garbage = FALSE WHERE id = $1 AND cleared_id = $2"
    };
    tx.run(sql, [room.into(), cleared_id.into()]).await?;
    Ok(())
}
