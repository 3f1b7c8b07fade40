//! The tables in the documentation that are generated from the code.
//!
//! A test compares the pages with the generated tables. The command
//! `cargo run -p tests --example tables -- --write` updates the pages.

use std::{fmt::Write, fs, io};

use crate::workspace;

/// The command that rewrites the tables, for failure messages.
pub const WRITE_COMMAND: &str = "cargo run -p tests --example tables -- --write";

/// The page with the tables of cached data, relative to the workspace's top folder.
pub const ARCHITECTURE: &str = "docs/architecture.md";

/// A generated table of a page. In the page, it is between the markers `<!-- name -->` and
/// `<!-- /name -->`.
#[derive(Clone, Debug)]
pub struct DocTable {
    /// The page's path, relative to the workspace's top folder.
    pub page: &'static str,
    /// The name in the page's markers.
    pub name: &'static str,
    /// The table generated from the code, in Markdown, with a final line break.
    pub text: String,
}

/// Returns all tables that are generated from the code.
pub fn tables() -> Vec<DocTable> {
    let mut stale = "| write | makes stale |\n|---|---|\n".to_owned();
    for (write, keys) in cache_adapter::stale_table() {
        writeln!(stale, "| `{write}` | {keys} |").expect("writing to a String cannot fail");
    }
    let regions = cache_adapter::regions_table();
    [("regions", regions), ("stale", stale)]
        .map(|(name, text)| DocTable {
            page: ARCHITECTURE,
            name,
            text,
        })
        .into()
}

impl DocTable {
    /// Reads the table that the page contains. The error names a missing page or marker.
    pub fn read(&self) -> io::Result<String> {
        let page = fs::read_to_string(workspace().join(self.page))?;
        let (_, shown, _) = self.split(&page)?;
        Ok(shown.to_owned())
    }

    /// Writes the table into its page. Does nothing if the page already contains it.
    pub fn write(&self) -> io::Result<()> {
        let path = workspace().join(self.page);
        let page = fs::read_to_string(&path)?;
        let (above, shown, below) = self.split(&page)?;
        if shown == self.text {
            return Ok(());
        }
        fs::write(path, [above, &self.text, below].concat())
    }

    /// Compares the page with the code. Returns the rows that only the page has, each after `-`,
    /// and the rows that only the code has, each after `+`. Returns an empty text if they are
    /// equal.
    pub fn diff(&self) -> io::Result<String> {
        let shown = self.read()?;
        let only_in = |text: &str, other: &str, sign: char| {
            text.lines()
                .filter(|row| !other.lines().any(|other| other == *row))
                .fold(String::new(), |rows, row| rows + &format!("{sign}{row}\n"))
        };
        let rows = only_in(&shown, &self.text, '-') + &only_in(&self.text, &shown, '+');
        if rows.is_empty() && shown != self.text {
            return Ok("(the rows are in another order)\n".into());
        }
        Ok(rows)
    }

    /// Splits a page into the text above the table, the table, and the text below it.
    fn split<'a>(&self, page: &'a str) -> io::Result<(&'a str, &'a str, &'a str)> {
        let (begin, end) = (
            format!("<!-- {} -->\n", self.name),
            format!("<!-- /{} -->", self.name),
        );
        let missing = |marker: &str| {
            let marker = marker.trim_end();
            io::Error::other(format!("{} has no marker {marker}", self.page))
        };
        let first = page.find(&begin).ok_or_else(|| missing(&begin))? + begin.len();
        let length = page[first..].find(&end).ok_or_else(|| missing(&end))?;
        let (above, rest) = page.split_at(first);
        let (shown, below) = rest.split_at(length);
        Ok((above, shown, below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_split_at_the_markers_of_the_table() {
        let table = DocTable {
            page: "page.md",
            name: "b",
            text: String::new(),
        };
        let page = "<!-- a -->\n1\n<!-- /a -->\n<!-- b -->\n2\n<!-- /b -->\nend\n";
        let (above, shown, below) = table.split(page).unwrap();
        assert_eq!(above, "<!-- a -->\n1\n<!-- /a -->\n<!-- b -->\n");
        assert_eq!(shown, "2\n");
        assert_eq!(below, "<!-- /b -->\nend\n");
        let error = table.split("<!-- b -->\n2\n").unwrap_err();
        assert_eq!(error.to_string(), "page.md has no marker <!-- /b -->");
    }
}
