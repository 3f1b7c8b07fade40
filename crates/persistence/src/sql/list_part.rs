//! Lists that are read in parts.

use domain::{Error, Result};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait, IdenStatic as _, QueryFilter as _,
    QueryOrder as _, QueryResult, QuerySelect as _, Select,
};

use super::connection::{Connection, row_limit};

/// Returns the first `limit` rows of `query` with ids above `after`, or the last ones if `after` is
/// `None`, in ascending order of ids.
///
/// A row that cannot be read is logged and left out, so that it does not hide the other rows.
/// Another statement reads further rows in its place. So a part has fewer rows than `limit` only at
/// the end of the list, and is one snapshot unless rows cannot be read.
pub(crate) async fn list_part<C: ConnectionTrait, E: EntityTrait, T>(
    connection: &Connection<'_, C>,
    (query, id): (Select<E>, E::Column),
    after: Option<i64>,
    limit: usize,
    convert: impl Fn(&QueryResult) -> Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    let mut last = after;
    loop {
        let wanted = limit - found.len();
        let mut part = query.clone().limit(row_limit(wanted));
        part = match (after, last) {
            (Some(_), Some(last)) => part.filter(id.gt(last)).order_by_asc(id),
            (_, Some(last)) => part.filter(id.lt(last)).order_by_desc(id),
            (_, None) => part.order_by_desc(id),
        };
        let rows = connection.select(part).await?;
        for row in &rows {
            match convert(row) {
                Ok(value) => found.push(value),
                Err(error @ Error::Corrupt { .. }) => {
                    tracing::error!(%error, "a row cannot be read, and is left out of a list");
                }
                Err(error) => return Err(error),
            }
        }
        if rows.len() < wanted || found.len() == limit {
            break;
        }
        let row = rows.last().map(|row| row.try_get::<i64>("", id.as_str()));
        last = row.transpose().map_err(Error::unavailable)?;
    }
    if after.is_none() {
        found.reverse();
    }
    Ok(found)
}
