//! The creates of a region whose keys nobody knows beforehand: pure transitions of the one word that the cache keeps.

/// The low bits hold the open creates, the others the generation.
const GENERATION: u64 = 1 << 20;

/// How many creates are open, and the generation that the last of them began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Creates(pub(crate) u64);

impl Creates {
    /// A create begins, and a generation with it.
    pub fn begin(self) -> Self {
        Self(self.0 + GENERATION + 1)
    }

    /// A create's outcome is known.
    pub fn end(self) -> Self {
        Self(self.0 - 1)
    }

    /// The generation of a load that begins now.
    pub fn generation(self) -> u64 {
        self.0 / GENERATION
    }

    /// Whether a create is open, so that whoever misses loads past the cache.
    pub fn is_open(self) -> bool {
        !self.0.is_multiple_of(GENERATION)
    }

    /// Whether a reader may wait for a load of this generation.
    pub fn joins(self, generation: u64) -> bool {
        self.generation() == generation
    }

    /// Whether an absence that a load of this generation found may be stored, or served.
    pub fn knows(self, generation: u64) -> bool {
        !self.is_open() && self.joins(generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_is_known_until_a_create_begins_and_never_again() {
        let creates = Creates::default();
        assert!(creates.knows(0));
        let open = creates.begin();
        assert_eq!((open.is_open(), open.generation()), (true, 1));
        assert!(!open.knows(0) && !open.knows(1));
        assert!(open.joins(1) && !open.joins(0));
        let two = open.begin();
        assert!(two.end().is_open());
        let closed = two.end().end();
        assert!(!closed.is_open() && closed.knows(2) && !closed.knows(0));
    }
}
