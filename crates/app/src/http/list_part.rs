//! The parameters of a list that can grow.

use domain::LIST_LIMIT;
use utoipa::IntoParams;

use super::{error::ApiResult, query::Query};

/// The part of a list that a request asks for.
#[derive(Clone, Copy)]
pub(crate) struct ListPart {
    /// The highest id of the part before; `None` asks for the newest rows.
    pub(crate) after: Option<i64>,
    pub(crate) limit: usize,
}

/// The query parameters of a list, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `list_part` reads")]
pub(crate) struct ListQuery {
    /// The highest id of the part before: only ids above it are returned, beginning with the
    /// lowest. Without it, the highest ids are returned
    #[param(minimum = 0)]
    after: Option<i64>,
    /// The maximum number of entries, 1000 by default; a value above 1000 counts as 1000
    #[param(minimum = 1)]
    limit: Option<u64>,
}

impl Query {
    /// Reads the parameters `after` and `limit`.
    pub(crate) fn list_part(&self) -> ApiResult<ListPart> {
        let [after, limit] = self.params(["after", "limit"]);
        Ok(ListPart {
            after: after.number(0, i64::MAX)?,
            limit: limit.number(1, LIST_LIMIT)?.unwrap_or(LIST_LIMIT),
        })
    }
}
