//! Fuzz tests of the parsers of external input, on the stable toolchain. Each target runs for some
//! seconds, or for a minute if `GREENROOM_PROOF` is set. `cargo bolero test fuzz::…` runs the same
//! targets with coverage guidance.
//!
//! The parser of the agents' YAML files has a fuzz test in its own crate.

use std::{
    collections::BTreeSet,
    env,
    fmt::Display,
    fs,
    panic::RefUnwindSafe,
    path::{Component, Path},
    str::FromStr,
    time::Duration,
};

use app::{Flags, Settings};
use bolero::{check, generator::*};
use cache_core::{Key, Manager, Policy, Region, Runtime, Unknown};
use domain::{AgentName, GroupName, RoomName, UserId};

/// Cache keys in their printed form, grouped by region. Some ids are prefixes of others, such as 5
/// of 50.
const KEYS: [&str; 16] = [
    "room_obj:1",
    "room_obj:5",
    "room_obj:50",
    "room_obj:-5",
    "room_messages:5",
    "room_messages:55",
    "room_messages:7",
    "rooms_of:admin",
    "rooms_of:guest-5",
    "rooms_of:guest-50",
    "read_state:admin/5",
    "read_state:admin/50",
    "read_state:guest-5/5",
    "read_state:guest-5/7",
    "read_state:guest-50/7",
    "room_list:all",
];

/// Returns the time for which each target runs.
fn test_time() -> Duration {
    Duration::from_secs(if env::var_os("GREENROOM_PROOF").is_some() {
        60
    } else {
        3
    })
}

/// Joins the words at the indices in `picks`. Indices wrap around.
fn join(words: &[&str], picks: &[u8]) -> String {
    picks
        .iter()
        .map(|pick| words[usize::from(*pick) % words.len()])
        .collect()
}

/// Generates indices of words, and a text to append to the words.
fn words_and_text() -> impl ValueGenerator<Output = (Vec<u8>, String)> {
    (
        produce_with::<Vec<u8>>().len(0..8_usize),
        produce_with::<String>().len(0..3_usize),
    )
}

#[test]
fn a_printed_key_a_prefix_and_a_glob_remove_exactly_the_keys_that_they_name() {
    const WORDS: [&str; 26] = [
        "room_obj",
        "room_messages",
        "rooms_of",
        "read_state",
        "room_list",
        "room_",
        "r",
        ":",
        ":",
        "/",
        "*",
        "*",
        "?",
        "**",
        "1",
        "5",
        "50",
        "-5",
        "+5",
        "05",
        "admin",
        "guest-5",
        "guest-50",
        "all",
        "\\",
        "[5]",
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let regions = Regions::new();
    check!()
        .with_test_time(test_time())
        .with_generator(words_and_text())
        .for_each(|(picks, rest)| {
            let text = join(&WORDS, picks) + rest;
            let by_key = regions.removed(|manager| manager.invalidate_key(&text));
            let named = keys_where(|key| is_same_key(key, &text));
            assert_eq!(by_key, named, "key {text:?}");
            let by_prefix = regions.removed(|manager| manager.invalidate_prefix(&text));
            let named = keys_where(|key| prefixes(key).contains(text.as_str()));
            assert_eq!(by_prefix, named, "prefix {text:?}");
            let by_glob = regions.removed(|manager| manager.invalidate_glob(&text));
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let glob = chars(&text);
            let named = keys_where(|key| matches(&glob, &chars(key)));
            assert_eq!(by_glob, named, "glob {text:?}");
        });
}

/// Returns the keys of [`KEYS`] that meet a condition.
fn keys_where(condition: impl Fn(&str) -> bool) -> BTreeSet<&'static str> {
    KEYS.into_iter().filter(|key| condition(key)).collect()
}

/// Regions that are filled with [`KEYS`].
struct Regions {
    manager: Manager,
    /// Regions whose keys are numbers.
    numbered: Vec<(&'static str, Region<i64, ()>)>,
    /// Regions whose keys are texts.
    named: Vec<(&'static str, Region<String, ()>)>,
}

/// Creates a region whose keys can be named.
fn printed<K: Key + Display + FromStr>(manager: &Manager, name: &'static str) -> Region<K, ()> {
    let policy = Policy::new(Duration::from_hours(1), 1_000);
    let region = manager.region_builder(name, policy);
    region.printed_keys().build()
}

/// Unwind safety is asserted without a check, because a panic ends the test. No code uses the
/// regions afterwards.
impl RefUnwindSafe for Regions {}

impl Regions {
    fn new() -> Self {
        let manager = Manager::new(Runtime::tokio(), Unknown::Never);
        let numbered = ["room_obj", "room_messages"]
            .map(|name| (name, printed(&manager, name)))
            .into();
        let named = ["rooms_of", "read_state", "room_list"]
            .map(|name| (name, printed(&manager, name)))
            .into();
        Self {
            manager,
            numbered,
            named,
        }
    }

    /// Fills the regions, runs `remove`, and returns the keys that it removed. Asserts that
    /// `remove` returns their number.
    fn removed(&self, remove: impl Fn(&Manager) -> usize) -> BTreeSet<&'static str> {
        for (name, region) in &self.numbered {
            keys_of(name).for_each(|(_, id)| assert!(region.insert(id.parse().unwrap(), ())));
        }
        for (name, region) in &self.named {
            keys_of(name).for_each(|(_, id)| assert!(region.insert(id.to_owned(), ())));
        }
        let count = remove(&self.manager);
        let mut removed = BTreeSet::new();
        for (name, region) in &self.numbered {
            removed.extend(
                keys_of(name)
                    .filter(|(_, id)| region.get(&id.parse().unwrap()).is_none())
                    .map(|(key, _)| key),
            );
        }
        for (name, region) in &self.named {
            removed.extend(
                keys_of(name)
                    .filter(|(_, id)| region.get(&(*id).to_owned()).is_none())
                    .map(|(key, _)| key),
            );
        }
        assert_eq!(removed.len(), count);
        removed
    }
}

/// Returns the keys of a region, each with the part of the key after its colon.
fn keys_of(region: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.into_iter()
        .filter_map(move |key| Some((key, key.strip_prefix(region)?.strip_prefix(':')?)))
}

/// Returns `true` if `text` is the printed form of this key. Numeric ids are compared by value.
fn is_same_key(key: &str, text: &str) -> bool {
    let (Some((region, id)), Some((other_region, other))) =
        (key.split_once(':'), text.split_once(':'))
    else {
        return false;
    };
    let value = |id: &str| id.parse::<i64>().ok();
    region == other_region && (id == other || value(id).is_some() && value(id) == value(other))
}

/// Returns the prefixes that name a key: the whole key, and the text before each separator, with
/// and without this separator.
fn prefixes(key: &str) -> BTreeSet<&str> {
    let ends = key
        .match_indices([':', '/'])
        .flat_map(|(at, _)| [&key[..at], &key[..=at]]);
    ends.chain([key]).collect()
}

/// Returns `true` if a glob matches a text. This is the definition, without optimization.
fn matches(glob: &[char], text: &[char]) -> bool {
    match (glob.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), None) => matches(rest, text),
        (Some(('*', rest)), Some((_, shorter))) => matches(rest, text) || matches(glob, shorter),
        (Some((one, rest)), Some((first, shorter))) => {
            (*one == '?' || one == first) && matches(rest, shorter)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[test]
fn an_accepted_name_parses_to_itself_again_and_stays_in_its_folder() {
    const WORDS: [&str; 34] = [
        ".", "..", "/", "\\", "../", "..\\", "a", "Ada", " ", "\t", "\n", "\0", "\u{7f}", "\u{85}",
        "\u{a0}", "\u{200b}", "\u{202e}", "\u{2028}", "\u{3000}", "\u{feff}", "CON", "nul", "COM1",
        "com9", ".txt", ":", "*", "?", "하늘", "e\u{301}", "~", "-", "guest-5", "ﬁ",
    ];
    check!()
        .with_test_time(test_time())
        .with_generator(words_and_text())
        .for_each(|(picks, rest)| {
            let words = join(&WORDS, picks);
            for text in [words.clone() + rest, rest.clone() + &words, words.repeat(9)] {
                if let Ok(name) = AgentName::parse(&text) {
                    assert_eq!(
                        AgentName::parse(name.as_str()).as_ref(),
                        Ok(&name),
                        "{text:?}"
                    );
                    assert_is_one_folder(name.as_str());
                }
                if let Ok(name) = GroupName::parse(&text) {
                    assert_eq!(
                        GroupName::parse(name.as_str()).as_ref(),
                        Ok(&name),
                        "{text:?}"
                    );
                    assert_is_one_folder(name.as_str());
                }
                if let Ok(name) = RoomName::parse(&text) {
                    assert_eq!(
                        RoomName::parse(name.as_str()).as_ref(),
                        Ok(&name),
                        "{text:?}"
                    );
                }
                if let Ok(id) = UserId::parse(&text) {
                    assert_eq!(id.as_str(), text);
                }
            }
        });
}

/// Asserts that an agent with this name has a folder directly below the agents' folder.
fn assert_is_one_folder(name: &str) {
    let folder = Path::new("agents").join(name);
    let below: Vec<_> = folder.components().skip(1).collect();
    assert_eq!(below, [Component::Normal(name.as_ref())], "{name:?}");
    assert!(
        folder.starts_with("agents") && !name.contains(['/', '\\', '\0']) && name.len() <= 120,
        "{name:?}"
    );
}

#[test]
fn a_settings_file_is_read_or_refused_with_its_name_or_the_unknown_region() {
    const WORDS: [&str; 46] = [
        "listen",
        "database",
        "agents",
        "preset",
        "regions",
        "max_body_bytes",
        "samples",
        "room_obj",
        "agent_list",
        "ttl",
        "capacity",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "- ",
        "|\n  ",
        "\"",
        "'",
        "&a ",
        "*a",
        "!!int ",
        "# ",
        "~",
        "true",
        "classic",
        "coherent",
        "127.0.0.1:0",
        "[::1]:8001",
        "sqlite:x.db",
        "5s",
        "1year",
        "0s",
        "-1",
        "18446744073709551615",
        "18446744073709551616s",
        "1e9",
        "584years",
        "\t",
        "---\n",
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("greenroom.yaml");
    let picks = produce_with::<Vec<u8>>().len(0..24_usize);
    check!()
        .with_test_time(test_time())
        .with_generator((picks, produce_with::<Vec<u8>>().len(0..3_usize), 0..4_u8))
        .for_each(|(picks, bytes, frame)| {
            let text = join(&WORDS, picks);
            let text = match frame {
                0 => text,
                1 => format!("regions: {{room_obj: {{ttl: {text}}}}}"),
                2 => format!("regions:\n  room_obj:\n    {text}"),
                _ => format!("max_body_bytes: 5\n{text}"),
            };
            fs::write(&path, [text.as_bytes(), bytes].concat()).unwrap();
            match Settings::read(Flags {
                config: Some(path.clone()),
                ..Flags::default()
            }) {
                Ok(settings) => drop(settings.unsuitable_ttls()),
                Err(why) => {
                    let why = why.to_string();
                    assert!(
                        why.contains("greenroom.yaml") || why.starts_with("unknown region "),
                        "{why}"
                    );
                }
            }
        });
}
