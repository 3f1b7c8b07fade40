//! Typed ids. None is ever used twice, not even after a delete.

use std::{fmt, num::ParseIntError, str::FromStr};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// An agent, living or deleted.
    AgentId
    /// A room.
    RoomId
    /// A message. Within a room, ids rise in commit order; 0 is below all of them.
    MessageId
    /// A place in a room's log. Each message and each clear takes the next one, without gaps, in commit order; the first is 1.
    Seq
}
