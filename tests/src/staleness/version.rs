//! The versions of one value, and the check that a read shows an allowed version.

use serde_json::Value;

use super::verdict::{Verdict, WrongRead};

/// The newest known and begun versions of one value. Only one writer at a time writes the value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The newest version that was acknowledged or read.
    known: u64,
    /// The newest version whose write has begun.
    begun: u64,
}

impl Version {
    /// Returns the versions of a value whose newest write was of version `version` and was
    /// acknowledged.
    pub fn acknowledged(version: u64) -> Self {
        Self {
            known: version,
            begun: version,
        }
    }

    /// Records that the write of the next version begins. Returns this version.
    pub fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// Records that a version was acknowledged or shown by a read.
    pub fn end(&mut self, version: u64) {
        self.known = self.known.max(version);
    }

    /// Checks that a read shows an allowed version. `before` holds the versions when the read
    /// began, and `shown` is the value in the response.
    ///
    /// `is_shown` returns `true` for each version that agrees with the response. The lowest of them
    /// that is not stale becomes known.
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
