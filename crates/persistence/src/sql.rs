//! What the SQL repositories share.

use std::sync::Arc;

use sea_orm::Value;

use crate::{db::Db, files::Files};

/// All ports over one database and one agents' folder.
#[derive(Clone)]
pub(crate) struct SqlStore {
    pub(crate) db: Arc<Db>,
    pub(crate) files: Arc<Files>,
}

/// A limit as SQL takes it.
pub(crate) fn limit_of(limit: usize) -> Value {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}
