//! Typed ids. An id is never reused, not even after a deletion.

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
    /// The id of an agent, living or deleted.
    AgentId
    /// The id of a room.
    RoomId
    /// The id of a message. Within a room, ids increase in commit order. All ids are greater than
    /// 0.
    MessageId
    /// A sequence number in a room's log. Each message and each clear gets the next number, in
    /// commit order and without gaps. The first number is 1.
    Seq
}
