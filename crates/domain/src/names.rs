//! Names, parsed once at the edge.

use std::fmt;

use crate::{Error, Result};

/// Longest agent or group name in bytes, so that it and a suffix fit a file name everywhere.
pub const MAX_FOLDER_NAME_BYTES: usize = 120;
/// Longest room name in characters.
pub const MAX_ROOM_NAME_CHARS: usize = 200;
/// Longest user id in bytes.
pub const MAX_USER_ID_BYTES: usize = 100;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(raw: &str) -> Result<Self> {
                Self::parse(raw)
            }
        }
    };
}

name! {
    /// An agent's name, which is also its folder's: any script, and never a way out of the agents' folder.
    AgentName
}
name! {
    /// A group's name, which is also its folder's.
    GroupName
}
name! {
    /// A room's name: any text in one line, not blank.
    RoomName
}
name! {
    /// Whoever calls: `admin`, or `guest-` and hexadecimal digits.
    UserId
}

impl AgentName {
    /// The name without outer white space, if it can be a folder's everywhere.
    pub fn parse(raw: &str) -> Result<Self> {
        folder_name(raw, "an agent's name").map(Self)
    }
}

impl GroupName {
    /// The name without outer white space, if it can be a folder's everywhere.
    pub fn parse(raw: &str) -> Result<Self> {
        folder_name(raw, "a group's name").map(Self)
    }
}

impl RoomName {
    /// The name without outer white space, if it is not empty, has no control characters and at most
    /// [`MAX_ROOM_NAME_CHARS`] characters.
    pub fn parse(raw: &str) -> Result<Self> {
        let name = raw.trim();
        if name.is_empty() {
            return Err(Error::Invalid("a room's name must not be empty".into()));
        }
        if name.chars().any(char::is_control) {
            return Err(Error::Invalid(
                "a room's name must not hold control characters".into(),
            ));
        }
        if name.chars().count() > MAX_ROOM_NAME_CHARS {
            return Err(Error::Invalid(format!(
                "a room's name has at most {MAX_ROOM_NAME_CHARS} characters"
            )));
        }
        Ok(Self(name.to_owned()))
    }
}

impl UserId {
    /// The one who sees and may do everything.
    pub fn admin() -> Self {
        Self("admin".into())
    }

    /// Lower-case letters, digits and hyphens, at most [`MAX_USER_ID_BYTES`].
    pub fn parse(raw: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if raw.is_empty() || raw.len() > MAX_USER_ID_BYTES || !raw.chars().all(plain) {
            return Err(Error::Invalid(
                "a user id is made of lower-case letters, digits and hyphens".into(),
            ));
        }
        Ok(Self(raw.to_owned()))
    }
}

fn folder_name(raw: &str, what: &str) -> Result<String> {
    let name = raw.trim();
    let refuse = |why: &str| Err(Error::Invalid(format!("{what} {why}")));
    if name.is_empty() {
        return refuse("must not be empty");
    }
    if name.len() > MAX_FOLDER_NAME_BYTES {
        return refuse(&format!("has at most {MAX_FOLDER_NAME_BYTES} bytes"));
    }
    if name
        .chars()
        .any(|c| c.is_control() || r#"/\:*?"<>|"#.contains(c) || is_invisible(c))
    {
        return refuse(
            "must not hold path separators, control characters or any of : * ? \" < > |",
        );
    }
    if name.starts_with('.') || name.ends_with('.') {
        return refuse("must not begin or end with a full stop");
    }
    let stem = name
        .split('.')
        .next()
        .unwrap_or(name)
        .trim_end()
        .to_ascii_uppercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|n| n.len() == 1 && n != "0" && n.as_bytes()[0].is_ascii_digit())
    };
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
    {
        return refuse("must not be a reserved device name");
    }
    Ok(name.to_owned())
}

/// Characters that reorder or hide text, so that two different names would look alike.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_names_admit_any_script() {
        for name in ["Ada", "하늘", "葛飾 北斎", "Zoë", "عمر", "Mr. O'Neil-2"] {
            assert_eq!(AgentName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn agent_names_never_leave_their_folder() {
        for name in [
            "",
            "  ",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "a\0",
            "a\nb",
            ".deleted",
            "CON",
            "nul.txt",
            "com1",
            "a\u{202E}b",
            "x.",
        ] {
            assert!(AgentName::parse(name).is_err(), "{name:?}");
        }
        assert!(AgentName::parse(&"가".repeat(41)).is_err());
    }

    #[test]
    fn a_room_name_is_one_line_that_is_not_blank() {
        assert_eq!(RoomName::parse("  tea  ").unwrap().as_str(), "tea");
        for name in ["", " ", "a\nb"] {
            assert!(RoomName::parse(name).is_err(), "{name:?}");
        }
        assert!(RoomName::parse(&"x".repeat(MAX_ROOM_NAME_CHARS + 1)).is_err());
    }

    #[test]
    fn a_user_id_is_plain() {
        assert!(UserId::parse("guest-0af3").is_ok());
        for id in ["", "Admin", "a b", "a/b", "a:b"] {
            assert!(UserId::parse(id).is_err(), "{id:?}");
        }
    }
}
