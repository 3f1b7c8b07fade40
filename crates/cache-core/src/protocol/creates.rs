//! The open creates of a region, packed into one word so that one atomic step reads or changes it.

/// The lowest bit of the generation. The 20 bits below it count open creates: many more than the
/// manager grants write permits (256 by default).
const GENERATION: u64 = 1 << 20;

/// The number of open creates of a region, and its generation: the number of creates ever begun.
///
/// A create writes a key that no caller can name beforehand. No window can cover such a key, so the
/// generation decides whether a cached absence may still be served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Creates(pub(crate) u64);

impl Creates {
    /// Returns the state after a create has begun, which also begins a generation.
    pub fn begin(self) -> Self {
        Self(self.0 + GENERATION + 1)
    }

    /// Returns the state after the outcome of a create has become known.
    pub fn end(self) -> Self {
        Self(self.0 - 1)
    }

    /// Returns the generation of a load that begins now.
    pub fn generation(self) -> u64 {
        self.0 / GENERATION
    }

    /// Returns `true` while a create is open. Misses then bypass the cache.
    pub fn is_open(self) -> bool {
        !self.0.is_multiple_of(GENERATION)
    }

    /// Returns `true` if a reader may wait for a load of this generation.
    pub fn allows_join(self, generation: u64) -> bool {
        self.generation() == generation
    }

    /// Returns `true` if an absence found by a load of this generation may be stored or served.
    pub fn allows_absence(self, generation: u64) -> bool {
        !self.is_open() && self.allows_join(generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_is_served_until_a_create_begins_and_never_again() {
        let creates = Creates::default();
        assert!(creates.allows_absence(0));
        let open = creates.begin();
        assert_eq!((open.is_open(), open.generation()), (true, 1));
        assert!(!open.allows_absence(0) && !open.allows_absence(1));
        assert!(open.allows_join(1) && !open.allows_join(0));
        let two = open.begin();
        assert!(two.end().is_open());
        let closed = two.end().end();
        assert!(!closed.is_open() && closed.allows_absence(2) && !closed.allows_absence(0));
    }
}
