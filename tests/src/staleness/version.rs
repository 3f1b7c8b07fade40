//! Versions of one value, and which of them a read may show.

use serde_json::Value;

use super::verdict::{Verdict, WrongRead};

/// The versions of one value, which one writer at a time increments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The newest version that was acknowledged or read.
    known: u64,
    /// The newest version whose write has begun.
    begun: u64,
}

impl Version {
    /// Returns the versions of a value whose newest version is `version` and is acknowledged.
    pub fn acknowledged(version: u64) -> Self {
        Self {
            known: version,
            begun: version,
        }
    }

    /// Begins to write the next version and returns it.
    pub fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// Records that a version was acknowledged or read.
    pub fn end(&mut self, version: u64) {
        self.known = self.known.max(version);
    }

    /// Checks a read that began when the versions were `before` and showed `shown`.
    ///
    /// `is_shown` returns `true` for the versions that the read may have shown. The least of them
    /// that is not stale then counts as read.
    pub(super) fn check_read(
        &mut self,
        before: Self,
        field: &str,
        shown: &Value,
        is_shown: impl Fn(u64) -> bool,
    ) -> Verdict {
        let found = (before.known..=self.begun).find(|version| is_shown(*version));
        let Some(version) = found else {
            return Err(WrongRead::Stale(format!(
                "{field} is {shown}, but version {} was known and {} begun",
                before.known, self.begun
            )));
        };
        self.end(version);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_older_than_a_known_one_is_stale_and_a_read_makes_its_version_known() {
        let mut version = Version::acknowledged(3);
        let before = version;
        version.begin();
        let mut read = |before, shown: u64| {
            let checked = version.check_read(before, "it", &Value::Null, |known| known == shown);
            (checked.is_ok(), version)
        };
        assert!(!read(before, 2).0);
        assert!(!read(before, 5).0);
        let (is_ok, later) = read(before, 4);
        assert!(is_ok);
        assert!(!read(later, 3).0);
    }
}
