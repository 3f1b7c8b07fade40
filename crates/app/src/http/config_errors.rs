//! What is wrong with agents' files now, for the administrator.

use std::collections::BTreeMap;

use axum::Json;
use serde_json::{Value, json};

use super::{error::Answer, extract::Access};

/// By name; what is wrong with folders of one name stands in lines.
pub(crate) async fn config_errors(access: Access) -> Answer<Json<Value>> {
    access.admin()?;
    let mut errors: BTreeMap<String, String> = BTreeMap::new();
    for problem in access.ports().configs.problems().await? {
        let text = errors.entry(problem.name).or_default();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&problem.text);
    }
    Ok(Json(json!({ "errors": errors })))
}
