//! The generated blocks of a document.

use crate::error::BenchError;

/// Replaces the text between `<!-- name -->` and `<!-- /name -->`. Fails if the document lacks one
/// of these markers.
pub fn replace_block(document: &str, name: &str, text: &str) -> Result<String, BenchError> {
    let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let (Some(start), Some(end)) = (document.find(&open), document.find(&close)) else {
        return Err(BenchError::MissingBlock {
            name: name.to_owned(),
        });
    };
    Ok(format!(
        "{}\n{text}\n{}",
        &document[..start + open.len()],
        &document[end..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_block_replaces_the_old_one() {
        let document = "a\n<!-- x -->\nold\n<!-- /x -->\nb";
        assert_eq!(
            replace_block(document, "x", "new").unwrap(),
            "a\n<!-- x -->\nnew\n<!-- /x -->\nb"
        );
        assert!(replace_block(document, "y", "new").is_err());
    }
}
