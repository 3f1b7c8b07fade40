//! The deletion of usage that is long ago.

use chrono::{Days, Utc};
use domain::{Error, Result};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use crate::sql::{
    database::Database,
    tables::usage::{Column, Entity},
};

/// The number of days for which usage is kept: a year, and some days to look back on it.
const KEPT_DAYS: Days = Days::new(400);

/// Deletes the usage of days that are long ago.
pub(crate) async fn delete_old_usage(database: &Database) -> Result<()> {
    let oldest = Utc::now().date_naive().checked_sub_days(KEPT_DAYS);
    let oldest = oldest.ok_or_else(|| Error::unavailable("the clock is wrong"))?;
    database
        .write(move |tx| {
            Box::pin(async move {
                let delete = Entity::delete_many().filter(Column::Day.lt(oldest.to_string()));
                tx.run(&delete).await.map(drop)
            })
        })
        .await
}
