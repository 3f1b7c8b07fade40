//! Invalidation by hand, over all regions, for edits that bypass the cache.

use wildmatch::WildMatch;

use super::Manager;
use crate::sync::Arc;

/// Invalidation by hand, for edits of the source that no guard covers. Each call returns how many
/// entries it removed.
///
/// All but [`Manager::invalidate_key`] and [`Manager::invalidate_tag`] visit every entry of every
/// region they concern. Printed keys are those of regions with
/// [`RegionBuilder::printed_keys`](crate::RegionBuilder::printed_keys).
impl Manager {
    /// Removes everything.
    pub fn clear(&self) -> usize {
        self.all().iter().map(|region| region.clear()).sum()
    }

    /// Removes everything in one region. Returns `None` if there is no such region.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// assert_eq!(manager.clear_region("names"), Some(1));
    /// assert_eq!(manager.clear_region("rooms"), None);
    /// ```
    pub fn clear_region(&self, name: &str) -> Option<usize> {
        Some(self.find(name)?.clear())
    }

    /// Removes one printed key, such as `names:7`. Returns 0 or 1.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// let names = manager.region_builder("names", policy).printed_keys().build();
    /// names.insert(7, "Ada");
    /// assert_eq!(manager.invalidate_key("names:7"), 1);
    /// ```
    pub fn invalidate_key(&self, printed: &str) -> usize {
        let Some((region, key)) = printed.split_once(':') else {
            return 0;
        };
        self.find(region)
            .map_or(0, |region| usize::from(region.invalidate_key(key)))
    }

    /// Removes the printed keys that begin with `prefix`, if the prefix ends at the end of a part:
    /// `names:5` removes key 5 and never key 50, and `names:` removes the whole region.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// let names = manager.region_builder("names", policy).printed_keys().build();
    /// names.insert(5, "Ada");
    /// names.insert(50, "Grace");
    /// assert_eq!(manager.invalidate_prefix("names:5"), 1);
    /// ```
    pub fn invalidate_prefix(&self, prefix: &str) -> usize {
        let region = prefix.split(':').next().unwrap_or_default();
        let is_concerned = |name: &str| name == region;
        self.invalidate(is_concerned, &|printed| has_prefix(printed, prefix))
    }

    /// Removes the printed keys that match a glob of `*` and `?`, such as `*:7`.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// let names = manager.region_builder("names", policy).printed_keys().build();
    /// names.insert(7, "Ada");
    /// assert_eq!(manager.invalidate_glob("*:7"), 1);
    /// ```
    pub fn invalidate_glob(&self, pattern: &str) -> usize {
        let glob = WildMatch::new(pattern);
        self.invalidate(|_| true, &|printed| glob.matches(printed))
    }

    /// Removes every entry that carries a tag, in all regions. The cost grows with the number of
    /// these entries only. A load that is in progress is not stored any more if its value turns out
    /// to carry the tag.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// # let posts = manager.region("posts", Policy::new(Duration::from_secs(60), 100));
    /// names.insert_entry(7, Entry::new("Ada").tag("user 7"));
    /// posts.insert_entry(1, Entry::new("Hello").tag("user 7"));
    /// assert_eq!(manager.invalidate_tag("user 7"), 2);
    /// ```
    pub fn invalidate_tag(&self, tag: impl Into<Arc<str>>) -> usize {
        let tag = tag.into();
        self.all()
            .iter()
            .map(|region| region.invalidate_tag(&tag))
            .sum()
    }

    fn invalidate(
        &self,
        is_concerned: impl Fn(&str) -> bool,
        test: &(dyn Fn(&str) -> bool + Sync),
    ) -> usize {
        self.all()
            .iter()
            .filter(|region| is_concerned(region.name()))
            .map(|region| region.invalidate(test))
            .sum()
    }

    /// Switches a region on or off, and empties it. Reads bypass a region that is off. Returns
    /// `false` if there is no such region.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// assert!(manager.set_enabled("names", false));
    /// assert!(!names.insert(7, "Ada"));
    /// ```
    pub fn set_enabled(&self, name: &str, enabled: bool) -> bool {
        let region = self.find(name);
        if let Some(region) = &region {
            region.set_enabled(enabled);
        }
        region.is_some()
    }

    /// Switches all regions on or off, and empties them.
    pub fn set_all_enabled(&self, enabled: bool) {
        self.all()
            .iter()
            .for_each(|region| region.set_enabled(enabled));
    }
}

fn has_prefix(printed: &str, prefix: &str) -> bool {
    let Some(rest) = printed.strip_prefix(prefix) else {
        return false;
    };
    let ends_part = |c: char| c == ':' || c == '/';
    rest.is_empty() || prefix.ends_with(ends_part) || rest.starts_with(ends_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_the_end_of_an_id() {
        assert!(has_prefix("room_messages:5", "room_messages:5"));
        assert!(has_prefix("reads:5/7", "reads:5"));
        assert!(has_prefix("room_obj:50", "room_obj:"));
        assert!(!has_prefix("room_messages:50", "room_messages:5"));
        assert!(!has_prefix("room_obj:5", "room_o"));
    }
}
