//! Tables of redb whose values are entities in JSON, and reads of ranges of keys.

use std::{fmt::Debug, marker::PhantomData, ops::Bound};

use domain::Error;
use redb::{
    AccessGuard, Key, ReadTransaction, ReadableTable, StorageError, TableDefinition,
    TableHandle as _, Value, WriteTransaction,
};

use crate::{database_file::TxResult, rows::Stored};

/// The two bounds of a range of keys.
pub(crate) type Span<K> = (Bound<K>, Bound<K>);

/// The tables of one snapshot, as a read or a write sees them.
pub(crate) trait Tables {
    /// Opens a table for reading.
    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> TxResult<impl ReadableTable<K, V>>;
}

impl Tables for ReadTransaction {
    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> TxResult<impl ReadableTable<K, V>> {
        Ok(self.open_table(definition)?)
    }
}

impl Tables for WriteTransaction {
    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> TxResult<impl ReadableTable<K, V>> {
        Ok(self.open_table(definition)?)
    }
}

/// A table with keys of type `K` and entities of type `E`.
///
/// Each method opens the table and closes it before it returns, because a write can open a table
/// only once at a time.
pub(crate) struct JsonTable<K: Key + 'static, E> {
    pub(crate) definition: TableDefinition<'static, K, &'static [u8]>,
    entity: PhantomData<fn() -> E>,
}

impl<K: Key + 'static, E: Stored> JsonTable<K, E> {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            definition: TableDefinition::new(name),
            entity: PhantomData,
        }
    }

    pub(crate) fn get(&self, tables: &impl Tables, key: K::SelfType<'_>) -> TxResult<Option<E>> {
        let table = tables.table(self.definition)?;
        let Some(value) = table.get(&key)? else {
            return Ok(None);
        };
        self.decode(&key, value.value()).map(Some)
    }

    /// Returns the entities with these keys, in the order of `keys`. Skips keys without an entity.
    pub(crate) fn get_many<'k>(
        &self,
        tables: &impl Tables,
        keys: impl IntoIterator<Item = K::SelfType<'k>>,
    ) -> TxResult<Vec<(K::SelfType<'k>, E)>> {
        let table = tables.table(self.definition)?;
        let mut found = Vec::new();
        for key in keys {
            if let Some(value) = table.get(&key)? {
                let entity = self.decode(&key, value.value())?;
                found.push((key, entity));
            }
        }
        Ok(found)
    }

    /// Returns the first `limit` entities of a range, in ascending order of keys.
    pub(crate) fn first(
        &self,
        tables: &impl Tables,
        span: Span<K::SelfType<'_>>,
        limit: usize,
    ) -> TxResult<Vec<E>> {
        first_entries(tables, self.definition, span, limit, |key, value| {
            self.decode(&key, value)
        })
    }

    /// Returns the last `limit` entities of a range, in ascending order of keys.
    pub(crate) fn last(
        &self,
        tables: &impl Tables,
        span: Span<K::SelfType<'_>>,
        limit: usize,
    ) -> TxResult<Vec<E>> {
        self.last_while(tables, span, limit, |_| true)
    }

    /// Returns the last entities of a range, at most `limit`, back to the first one that fails
    /// `test`, which is left out. They are in ascending order of keys.
    pub(crate) fn last_while(
        &self,
        tables: &impl Tables,
        span: Span<K::SelfType<'_>>,
        limit: usize,
        test: impl Fn(&E) -> bool,
    ) -> TxResult<Vec<E>> {
        let table = tables.table(self.definition)?;
        let mut found = Vec::new();
        for entry in table.range(span)?.rev().take(limit) {
            let (key, value) = entry?;
            let entity = self.decode(&key.value(), value.value())?;
            if !test(&entity) {
                break;
            }
            found.push(entity);
        }
        found.reverse();
        Ok(found)
    }

    /// Sets the entity of a key.
    pub(crate) fn insert(
        &self,
        write: &WriteTransaction,
        key: K::SelfType<'_>,
        entity: &E,
    ) -> TxResult<()> {
        let json = entity.to_json().map_err(|error| {
            Error::Invalid(format!("{} cannot be stored: {error}", self.place(&key)))
        })?;
        set_entry(write, self.definition, key, &json)
    }

    /// Removes a key, if it is there.
    pub(crate) fn remove(&self, write: &WriteTransaction, key: K::SelfType<'_>) -> TxResult<()> {
        remove_entry(write, self.definition, key)
    }

    fn decode(&self, key: &impl Debug, json: &[u8]) -> TxResult<E> {
        let decoded = E::from_json(json).map_err(|error| Error::Corrupt {
            place: self.place(key),
            reason: error.to_string(),
        });
        Ok(decoded?)
    }

    fn place(&self, key: &impl Debug) -> String {
        format!("table {}, row {key:?}", self.definition.name())
    }
}

/// Reads the value of a key with `read`.
pub(crate) fn get_entry<K: Key + 'static, V: Value + 'static, T>(
    tables: &impl Tables,
    definition: TableDefinition<'_, K, V>,
    key: K::SelfType<'_>,
    read: impl Fn(V::SelfType<'_>) -> T,
) -> TxResult<Option<T>> {
    let table = tables.table(definition)?;
    let value = table.get(&key)?;
    Ok(value.map(|value| read(value.value())))
}

/// Reads the first `limit` entries of a range with `read`, in ascending order of keys.
pub(crate) fn first_entries<K: Key + 'static, V: Value + 'static, T>(
    tables: &impl Tables,
    definition: TableDefinition<'_, K, V>,
    span: Span<K::SelfType<'_>>,
    limit: usize,
    read: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> TxResult<T>,
) -> TxResult<Vec<T>> {
    let table = tables.table(definition)?;
    collect(table.range(span)?.take(limit), read)
}

/// Reads the last `limit` entries of a range with `read`, in ascending order of keys.
pub(crate) fn last_entries<K: Key + 'static, V: Value + 'static, T>(
    tables: &impl Tables,
    definition: TableDefinition<'_, K, V>,
    span: Span<K::SelfType<'_>>,
    limit: usize,
    read: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> TxResult<T>,
) -> TxResult<Vec<T>> {
    let table = tables.table(definition)?;
    let mut found = collect(table.range(span)?.rev().take(limit), read)?;
    found.reverse();
    Ok(found)
}

/// Reads entries with `read`, in their order.
fn collect<'a, K: Key + 'static, V: Value + 'static, T>(
    entries: impl Iterator<Item = Result<(AccessGuard<'a, K>, AccessGuard<'a, V>), StorageError>>,
    read: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> TxResult<T>,
) -> TxResult<Vec<T>> {
    let mut found = Vec::new();
    for entry in entries {
        let (key, value) = entry?;
        found.push(read(key.value(), value.value())?);
    }
    Ok(found)
}

/// Sets the value of a key.
pub(crate) fn set_entry<K: Key + 'static, V: Value + 'static>(
    write: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
    key: K::SelfType<'_>,
    value: V::SelfType<'_>,
) -> TxResult<()> {
    write.open_table(definition)?.insert(&key, &value)?;
    Ok(())
}

/// Removes a key, if it is there.
pub(crate) fn remove_entry<K: Key + 'static, V: Value + 'static>(
    write: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
    key: K::SelfType<'_>,
) -> TxResult<()> {
    write.open_table(definition)?.remove(&key)?;
    Ok(())
}

/// Removes all entries of a range, and returns their number.
pub(crate) fn remove_span<K: Key + 'static, V: Value + 'static>(
    write: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
    span: Span<K::SelfType<'_>>,
) -> TxResult<u64> {
    let mut removed = 0;
    write.open_table(definition)?.retain_in(span, |_, _| {
        removed += 1;
        false
    })?;
    Ok(removed)
}
