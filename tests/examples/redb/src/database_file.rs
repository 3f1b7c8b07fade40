//! The open database file, and the errors of its transactions.

use std::sync::{PoisonError, RwLock};

use domain::{Error, Result};
use redb::{
    CommitError, Database, DatabaseError, ReadTransaction, ReadableDatabase as _, StorageError,
    TableError, TransactionError, WriteTransaction,
};

/// A function that opens the file.
pub(crate) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// An open database file, which can be opened again.
///
/// After an I/O error, redb refuses every write until the file is closed and opened again. The next
/// write does so, and the store recovers without a restart, for example when a full disk has space
/// again.
pub(crate) struct DatabaseFile {
    opener: Opener,
    /// `None` if the last attempt to open the file again failed.
    database: RwLock<Option<Database>>,
}

impl DatabaseFile {
    /// Opens the file. Fails with `Conflict` if it is open already, in this process or another.
    pub(crate) fn open(opener: Opener) -> Result<Self> {
        let database = opener().map_err(open_error)?;
        Ok(Self {
            opener,
            database: RwLock::new(Some(database)),
        })
    }

    /// Begins a read of the newest committed snapshot.
    pub(crate) fn begin_read(&self) -> Result<ReadTransaction> {
        self.begin(Database::begin_read)
    }

    /// Begins a write. If redb refuses to, opens the file again and tries once more.
    ///
    /// Only one write may run at a time, so the caller holds the permit of `RedbStore`.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction> {
        self.begin(Database::begin_write).or_else(|_| {
            self.reopen()?;
            self.begin(Database::begin_write)
        })
    }

    /// Returns `true` if redb begins a write, or would begin it after the write in progress.
    pub(crate) fn accepts_writes(&self) -> bool {
        let begun = self.begin(|database| match database.try_begin_write() {
            Err(TransactionError::WouldBlock) => Ok(()),
            // The dropped transaction is aborted.
            other => other.map(drop),
        });
        begun.is_ok()
    }

    fn begin<T>(&self, begin: impl Fn(&Database) -> Result<T, TransactionError>) -> Result<T> {
        // A poisoned lock can be used, because each holder changes the value in one step.
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else {
            return Err(Error::unavailable("the database file could not be opened"));
        };
        begin(database).map_err(Error::unavailable)
    }

    /// Closes the file and opens it again. Reads in progress fail with `Unavailable`.
    ///
    /// redb repairs the file when it is opened. The repair decides if a write whose commit failed
    /// was applied.
    fn reopen(&self) -> Result<()> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Closes the file first, because redb refuses to open a file twice.
        drop(database.take());
        let reopened = (self.opener)().map_err(|error| Error::unavailable(open_error(error)))?;
        *database = Some(reopened);
        Ok(())
    }
}

/// Commits a transaction. The error says if the changes may have been applied.
pub(crate) fn commit(transaction: WriteTransaction) -> Result<()> {
    transaction.commit().map_err(|error| match error {
        // redb has rolled the transaction back.
        CommitError::TransactionPoisoned => Error::unavailable(error),
        // The changes may be in the file, completely or not at all. redb refuses further writes,
        // so the next `begin_write` opens the file again, which decides it.
        _ => Error::unknown(error),
    })
}

fn open_error(error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            Error::Conflict(format!("the database file is in use: {error}"))
        }
        DatabaseError::UpgradeRequired(_) => Error::Invalid(error.to_string()),
        DatabaseError::Storage(StorageError::Corrupted(reason)) => Error::Corrupt {
            place: "the database file".into(),
            reason,
        },
        other => Error::unavailable(other),
    }
}

/// The result of the statements in a transaction.
pub(crate) type TxResult<T> = Result<T, TxError>;

/// An error inside a transaction. The transaction is dropped, so nothing was applied.
///
/// Errors of redb cannot be converted to [`domain::Error`] by `?`, because both types belong to
/// other crates.
#[derive(Debug)]
pub(crate) enum TxError {
    /// A refusal, which the caller gets as it is.
    Port(Error),
    /// A failure of redb.
    Redb(redb::Error),
}

impl From<Error> for TxError {
    fn from(error: Error) -> Self {
        Self::Port(error)
    }
}

impl From<StorageError> for TxError {
    fn from(error: StorageError) -> Self {
        Self::Redb(error.into())
    }
}

impl From<TableError> for TxError {
    fn from(error: TableError) -> Self {
        Self::Redb(error.into())
    }
}

impl From<TxError> for Error {
    fn from(error: TxError) -> Self {
        match error {
            TxError::Port(error) => error,
            TxError::Redb(redb::Error::Corrupted(reason)) => Self::Corrupt {
                place: "the database file".into(),
                reason,
            },
            TxError::Redb(other) => Self::unavailable(other),
        }
    }
}
