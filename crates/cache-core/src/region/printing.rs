//! Printed keys, by which operators name the values of a region.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

/// The functions that print and parse the keys of one region.
pub(crate) struct Printing<K> {
    print: fn(&K, &mut fmt::Formatter<'_>) -> fmt::Result,
    parse: fn(&str) -> Option<K>,
}

impl<K: Display + FromStr> Printing<K> {
    pub(crate) fn new() -> Self {
        Self {
            print: K::fmt,
            parse: |text| text.parse().ok(),
        }
    }
}

impl<K> Printing<K> {
    pub(super) fn parse(&self, text: &str) -> Option<K> {
        (self.parse)(text)
    }
}

/// A key as events and patterns name it. Keys of a region that does not print them are empty.
pub(crate) struct PrintedKey<'a, K> {
    pub(super) key: Option<&'a K>,
    pub(super) printing: Option<&'a Printing<K>>,
}

impl<K> Display for PrintedKey<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key, self.printing) {
            (Some(key), Some(printing)) => (printing.print)(key, f),
            _ => Ok(()),
        }
    }
}
