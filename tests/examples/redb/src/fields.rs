//! The JSON form of fields whose types cannot be serialized by themselves.
//!
//! Each module is the argument of serde's attribute `with`.

use std::{fmt::Display, str::FromStr as _};

use domain::{
    AgentId, AgentName, GroupName, MessageId, ParticipantType, Role, RoomId, RoomName, Seq, UserId,
};

/// A value that is stored as its text.
pub(crate) trait Text: Display + Sized {
    fn from_text(text: &str) -> Result<Self, String>;
}

macro_rules! text {
    ($($type:ident: $parse:ident;)*) => {$(
        impl Text for $type {
            fn from_text(text: &str) -> Result<Self, String> {
                $type::$parse(text).map_err(|error| error.to_string())
            }
        }
    )*};
}

text! {
    AgentId: from_str;
    AgentName: parse;
    GroupName: parse;
    MessageId: from_str;
    ParticipantType: parse;
    Role: parse;
    RoomId: from_str;
    RoomName: parse;
    Seq: from_str;
    UserId: parse;
}

pub(crate) mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Text;

    pub(crate) fn serialize<T, S>(value: &T, to: S) -> Result<S::Ok, S::Error>
    where
        T: Text,
        S: Serializer,
    {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: Text,
        D: Deserializer<'de>,
    {
        T::from_text(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

pub(crate) mod optional_text {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use super::Text;

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(crate) fn serialize<T, S>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error>
    where
        T: Text,
        S: Serializer,
    {
        value.as_ref().map(T::to_string).serialize(to)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: Text,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(from)?;
        let value = text.as_deref().map(T::from_text).transpose();
        value.map_err(D::Error::custom)
    }
}

/// Defines a module that stores a list as pairs, because serde applies `remote` to fields only.
macro_rules! pairs {
    ($module:ident: $item:ident {
        $first:ident: $first_type:ty, $second:ident: $second_type:ty
    }) => {
        pub(crate) mod $module {
            use domain::$item;
            use serde::{Deserialize as _, Deserializer, Serializer};

            pub(crate) fn serialize<S>(items: &[$item], to: S) -> Result<S::Ok, S::Error>
            where
                S: Serializer,
            {
                to.collect_seq(items.iter().map(|item| (&item.$first, &item.$second)))
            }

            pub(crate) fn deserialize<'de, D>(from: D) -> Result<Vec<$item>, D::Error>
            where
                D: Deserializer<'de>,
            {
                let pairs = Vec::<($first_type, $second_type)>::deserialize(from)?;
                let items = pairs.into_iter();
                Ok(items
                    .map(|($first, $second)| $item { $first, $second })
                    .collect())
            }
        }
    };
}

pairs! { recent_events: RecentEvent { date: Option<chrono::NaiveDate>, text: String } }
pairs! { long_term_memories: LongTermMemory { title: String, text: String } }
