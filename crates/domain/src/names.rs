//! Names that are validated when they are parsed. A value of one of these types is always valid.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::{Error, Result};

/// The maximum length of an agent or group name, in bytes. File systems allow 255 bytes, and the
/// names of folders get suffixes.
pub const MAX_FOLDER_NAME_BYTES: usize = 120;
/// The maximum length of a room name, in characters. A longer name would not fit a list of rooms.
pub const MAX_ROOM_NAME_CHARS: usize = 200;
/// The maximum length of a user id, in bytes. The ids that the program creates are shorter.
pub const MAX_USER_ID_BYTES: usize = 100;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Returns the name as text.
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
    /// An agent's name, which is also the name of the agent's folder. It may be in any script. It
    /// cannot be a path to another folder.
    AgentName
}
name! {
    /// A group's name, which is also the name of the group's folder.
    GroupName
}
name! {
    /// A room's name: one line of text, not blank.
    RoomName
}
name! {
    /// A user's id: `admin`, or `guest-` and hexadecimal digits.
    UserId
}

impl AgentName {
    /// Returns the name without outer white space. Fails if a folder cannot have the name on every
    /// operating system.
    ///
    /// ```
    /// # use domain::AgentName;
    /// assert_eq!(AgentName::parse(" Zoë ")?.as_str(), "Zoë");
    /// assert!(AgentName::parse("../Zoë").is_err());
    /// # Ok::<_, domain::Error>(())
    /// ```
    pub fn parse(raw: &str) -> Result<Self> {
        parse_folder_name(raw, "an agent's name").map(Self)
    }

    /// Returns `true` if the names are equal, or differ only in case, in Unicode normalization, or
    /// in joining characters such as the zero-width joiner. Some file systems cannot keep folders
    /// with such names apart, and people cannot tell such names apart.
    ///
    /// ```
    /// # use domain::AgentName;
    /// let (composed, decomposed) = (AgentName::parse("Zoë")?, AgentName::parse("zoe\u{308}")?);
    /// assert!(composed.collides_with(&decomposed));
    /// assert!(!composed.collides_with(&AgentName::parse("Zoe")?));
    /// # Ok::<_, domain::Error>(())
    /// ```
    pub fn collides_with(&self, other: &Self) -> bool {
        // A fast path, because most names are ASCII, and a store may compare many names.
        if self.0.is_ascii() && other.0.is_ascii() {
            return self.0.eq_ignore_ascii_case(&other.0);
        }
        folded(&self.0) == folded(&other.0)
    }

    /// Fails if the name has no visible character. Check the name of a new agent with this method.
    /// [`AgentName::parse`] accepts such a name, because stored names may be older than the rule.
    ///
    /// ```
    /// # use domain::AgentName;
    /// assert!(AgentName::parse("Ada")?.require_visible().is_ok());
    /// assert!(AgentName::parse("\u{3164}")?.require_visible().is_err());
    /// # Ok::<_, domain::Error>(())
    /// ```
    pub fn require_visible(&self) -> Result<()> {
        if folded(&self.0).trim().is_empty() {
            return Err(Error::Invalid(
                "an agent's name must contain a visible character".into(),
            ));
        }
        Ok(())
    }
}

impl GroupName {
    /// Returns the name without outer white space. Fails if a folder cannot have the name on every
    /// operating system.
    ///
    /// ```
    /// assert!(domain::GroupName::parse("The crew").is_ok());
    /// ```
    pub fn parse(raw: &str) -> Result<Self> {
        parse_folder_name(raw, "a group's name").map(Self)
    }
}

impl RoomName {
    /// Returns the name without outer white space. Fails if the name is empty, contains control
    /// characters, or has more than [`MAX_ROOM_NAME_CHARS`] characters.
    ///
    /// ```
    /// assert!(domain::RoomName::parse("Tea & cake?").is_ok());
    /// assert!(domain::RoomName::parse(" ").is_err());
    /// ```
    pub fn parse(raw: &str) -> Result<Self> {
        let name = raw.trim();
        if name.is_empty() {
            return Err(Error::Invalid("a room's name must not be empty".into()));
        }
        if name.chars().any(char::is_control) {
            return Err(Error::Invalid(
                "a room's name must not contain control characters".into(),
            ));
        }
        if name.chars().count() > MAX_ROOM_NAME_CHARS {
            return Err(Error::Invalid(format!(
                "a room's name must have at most {MAX_ROOM_NAME_CHARS} characters"
            )));
        }
        Ok(Self(name.to_owned()))
    }
}

impl UserId {
    /// Returns the id of the administrator, who may enter every room.
    pub fn admin() -> Self {
        Self("admin".into())
    }

    /// Returns the id. Fails unless it has 1 to [`MAX_USER_ID_BYTES`] lower-case letters, digits
    /// and hyphens.
    ///
    /// ```
    /// assert!(domain::UserId::parse("guest-0af3").is_ok());
    /// assert!(domain::UserId::parse("Guest").is_err());
    /// ```
    pub fn parse(raw: &str) -> Result<Self> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if raw.is_empty() || raw.len() > MAX_USER_ID_BYTES || !raw.chars().all(is_plain) {
            return Err(Error::Invalid(format!(
                "a user id must have 1 to {MAX_USER_ID_BYTES} letters a-z, digits or hyphens"
            )));
        }
        Ok(Self(raw.to_owned()))
    }
}

fn parse_folder_name(raw: &str, what: &str) -> Result<String> {
    let name = raw.trim();
    let refuse = |rule: &str| Err(Error::Invalid(format!("{what} {rule}")));
    if name.is_empty() {
        return refuse("must not be empty");
    }
    if name.len() > MAX_FOLDER_NAME_BYTES {
        return refuse(&format!("must have at most {MAX_FOLDER_NAME_BYTES} bytes"));
    }
    if name
        .chars()
        .any(|c| c.is_control() || r#"/\:*?"<>|"#.contains(c))
    {
        return refuse(
            "must not contain path separators, control characters or any of : * ? \" < > |",
        );
    }
    if name.chars().any(reorders_text) {
        return refuse("must not contain characters that reorder or hide text");
    }
    if name.starts_with('.') || name.ends_with('.') {
        return refuse("must not begin or end with a full stop");
    }
    // Windows reserves these names with any extension. They are refused on every operating system,
    // because the files may be moved to Windows.
    let stem = name
        .split('.')
        .next()
        .unwrap_or(name)
        .trim_end()
        .to_ascii_uppercase();
    let is_port = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|n| n.len() == 1 && n != "0" && n.as_bytes()[0].is_ascii_digit())
    };
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || is_port("COM") || is_port("LPT") {
        return refuse("must not be a reserved device name");
    }
    Ok(name.to_owned())
}

/// Returns `true` for characters that reorder text, or separate it without being visible.
fn reorders_text(c: char) -> bool {
    matches!(
        c,
        '\u{200B}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}'
            | '\u{FEFF}'
    )
}

/// Returns `true` for characters that are not visible themselves. Some of them change how their
/// neighbours are drawn, and some scripts and emoji need them.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'
            | '\u{1160}'
            | '\u{17B4}'
            | '\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200C}'
            | '\u{200D}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FFA0}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// Returns a form of a name that is equal for names that collide.
fn folded(name: &str) -> String {
    let lower: String = name
        .chars()
        .filter(|c| !is_invisible(*c))
        .nfd()
        // Upper case first: some letters, such as sigma, have two lower-case forms.
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    lower.nfc().collect()
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
    fn names_that_look_alike_or_share_a_folder_on_some_systems_collide() {
        let name = |name: &str| AgentName::parse(name).unwrap();
        for (one, other) in [
            ("Ada", "ADA"),
            ("Zoë", "Zoe\u{308}"),
            ("하늘", "\u{1112}\u{1161}\u{1102}\u{1173}\u{11AF}"),
            ("Ada", "A\u{200D}da"),
            ("Ada", "Ad\u{AD}a"),
            ("ΣΑΣ", "σας"),
        ] {
            assert!(name(one).collides_with(&name(other)), "{one} {other}");
        }
        assert!(!name("Ada").collides_with(&name("Adа")), "another script");
    }

    #[test]
    fn a_new_agents_name_has_a_visible_character() {
        for name in ["\u{3164}", "\u{2060}", "\u{200D}", "\u{FE0F}\u{200C}"] {
            let name = AgentName::parse(name).unwrap();
            assert!(name.require_visible().is_err(), "{name:?}");
        }
        for name in ["👩\u{200D}🚀", "葛\u{E0100}"] {
            assert!(AgentName::parse(name).unwrap().require_visible().is_ok());
        }
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
