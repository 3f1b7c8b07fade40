//! Checks that no crate has a circle of imports between its files.
//!
//! Two files that import each other, directly or through other files, can only be understood and
//! changed together. An edge `a.rs -> b.rs` means that the code of `a.rs`, without its tests, names
//! an item that `b.rs` defines. A re-exported item counts as an item of the file that defines it.

mod lexer;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use source::Module;

/// The maximum length of a chain of re-exports that is followed. A longer chain is an endless loop.
const MAX_REEXPORTS: usize = 32;

#[test]
fn no_crate_has_an_import_circle() {
    let circles: Vec<_> = crate_roots()
        .into_iter()
        .filter_map(|(name, root)| Some(format!("{name}: {}", find_circle(&root)?)))
        .collect();
    assert!(circles.is_empty(), "import circles: {circles:#?}");
}

/// Returns the name and the root file of each crate in the workspace. If a package has a library
/// and a program, the program is a separate crate.
fn crate_roots() -> Vec<(String, PathBuf)> {
    let top = tests::workspace();
    let mut folders = vec![top.join("tests"), top.join("xtask")];
    for parent in ["crates", "tests"] {
        let entries = fs::read_dir(top.join(parent)).unwrap();
        folders.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let mut roots = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap().to_str().unwrap();
        for file in ["lib.rs", "main.rs"] {
            let root = folder.join("src").join(file);
            if root.exists() {
                roots.push((name.to_owned(), root));
            }
        }
    }
    assert!(roots.len() >= 9, "the crates were not found: {roots:?}");
    roots
}

/// Returns the shortest import circle of a crate, formatted as `a.rs -> b.rs -> a.rs`; `None` if
/// there is none.
fn find_circle(root: &Path) -> Option<String> {
    let edges = Imports::read(root).edges();
    let circles = edges.keys().filter_map(|file| shortest(&edges, file));
    let circle = circles.min_by_key(Vec::len)?;
    let folder = root.parent().unwrap();
    let shown: Vec<_> = circle
        .iter()
        .map(|file| file.strip_prefix(folder).unwrap().display().to_string())
        .collect();
    Some(shown.join(" -> "))
}

type Edges = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

/// Returns the shortest circle through `start`, which is its first and its last file; `None` if
/// there is none.
fn shortest(edges: &Edges, start: &Path) -> Option<Vec<PathBuf>> {
    let mut reached_from: BTreeMap<&Path, &Path> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for next in edges.get(file).into_iter().flatten() {
            if reached_from.contains_key(next.as_path()) {
                continue;
            }
            reached_from.insert(next, file);
            queue.push_back(next);
        }
    }
    let mut circle = vec![start.to_owned()];
    let mut file = *reached_from.get(start)?;
    while file != start {
        circle.push(file.to_owned());
        file = reached_from[file];
    }
    circle.push(start.to_owned());
    circle.reverse();
    Some(circle)
}

/// The modules of a crate by their path. The path of the crate's root module is empty.
struct Imports(BTreeMap<Vec<String>, Module>);

/// The definition that a path leads to.
enum Target {
    /// A module of the crate, or an item that this module defines. The value is the module's path.
    Module(Vec<String>),
    /// An item of another crate.
    External,
}

impl Imports {
    fn read(root: &Path) -> Self {
        Self(source::modules(root))
    }

    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (from, module) in &self.0 {
            for path in &module.paths {
                let Target::Module(to) = self.resolve(from, path, 0) else {
                    continue;
                };
                let file = &self.0[&to].file;
                if *file != module.file {
                    let files = edges.entry(module.file.clone()).or_default();
                    files.insert(file.clone());
                }
            }
        }
        edges
    }

    /// Resolves a path as it is written in the module `from`. `depth` is the number of re-exports
    /// followed before.
    fn resolve(&self, from: &[String], path: &[String], depth: usize) -> Target {
        let mut place = from.to_vec();
        let mut rest = path;
        match rest.first().map(String::as_str) {
            Some("crate") => {
                place.clear();
                rest = &rest[1..];
            }
            Some("self") => rest = &rest[1..],
            Some("super") => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    place.pop();
                    rest = &rest[1..];
                }
            }
            Some(first) => {
                let module = &self.0[&place];
                if !module.children.contains(first) && !module.items.contains(first) {
                    return Target::External;
                }
            }
            None => {}
        }
        self.walk(place, rest, depth)
    }

    fn walk(&self, mut place: Vec<String>, path: &[String], depth: usize) -> Target {
        assert!(depth < MAX_REEXPORTS, "endless re-exports of {path:?}");
        for (index, segment) in path.iter().enumerate() {
            if segment == "*" || segment == "self" {
                break;
            }
            let module = &self.0[&place];
            if module.children.contains(segment) {
                place.push(segment.clone());
                continue;
            }
            if module.items.contains(segment) {
                break;
            }
            let rest = &path[index + 1..];
            if let Some(import) = module.imports.get(segment) {
                let path = [import, rest].concat();
                return self.resolve(&place, &path, depth + 1);
            }
            for glob in &module.globs {
                let Target::Module(source) = self.resolve(&place, glob, depth + 1) else {
                    continue;
                };
                if source != place && self.0[&source].offers(segment) {
                    return self.walk(source, &path[index..], depth + 1);
                }
            }
            // The segment names an item that a macro defines, or a variant of an enum.
            break;
        }
        Target::Module(place)
    }
}

#[cfg(test)]
mod planted {
    use super::*;

    /// Writes a crate with these files, and returns its shortest circle.
    fn circle(files: &[(&str, &str)]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        find_circle(&folder.path().join("lib.rs"))
    }

    #[test]
    fn a_straight_tree_has_no_circle() {
        let files = [
            (
                "lib.rs",
                "mod a; mod b; mod c;\npub use a::A;\npub use b::B;",
            ),
            (
                "a.rs",
                "use crate::b::B; pub struct A(B, crate::c::C); mod leaf;",
            ),
            ("a/leaf.rs", "use crate::c::C; pub struct Leaf(C);"),
            ("b.rs", "use super::c::{C, self}; pub struct B(C);"),
            ("c.rs", "pub struct C;"),
        ];
        assert_eq!(circle(&files), None);
    }

    #[test]
    fn a_circle_is_found_through_uses_and_inline_paths() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::{b::B, c};\npub struct A(B);"),
            ("b.rs", "pub struct B(crate::c::C);"),
            ("c.rs", "pub struct C; fn f() { let _ = super::a::A; }"),
        ];
        assert_eq!(circle(&files).as_deref(), Some("a.rs -> c.rs -> a.rs"));
    }

    #[test]
    fn a_reexport_counts_as_the_file_that_defines_the_item() {
        let through_root = [
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("a.rs", "use crate::B; pub struct A(B);"),
            ("b.rs", "use crate::A; pub struct B(A);"),
        ];
        assert_eq!(
            circle(&through_root).as_deref(),
            Some("a.rs -> b.rs -> a.rs")
        );
        let through_globs = [
            ("lib.rs", "mod a; mod b; pub use a::*; pub use b::*;"),
            ("a.rs", "use crate::B; pub struct A(B);"),
            ("b.rs", "pub struct B;"),
        ];
        assert_eq!(circle(&through_globs), None);
    }

    #[test]
    fn a_child_must_not_use_what_its_parent_builds_from_it() {
        let files = [
            ("lib.rs", "mod a;"),
            (
                "a/mod.rs",
                "mod part; use part::Part; pub struct Whole(Part);",
            ),
            (
                "a/part.rs",
                "use super::Whole; pub struct Part(Box<Whole>);",
            ),
        ];
        assert_eq!(
            circle(&files).as_deref(),
            Some("a/mod.rs -> a/part.rs -> a/mod.rs")
        );
    }

    #[test]
    fn tests_comments_strings_and_other_crates_make_no_edges() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B; pub struct A(B);"),
            (
                "b.rs",
                "//! See crate::a::A.\n\
                 /* crate::a::A /* nested */ crate::a::A */\n\
                 use std::sync::Arc;\n\
                 pub struct B<'a>(&'a str, Arc<()>);\n\
                 const TEXT: &str = r#\"crate::a::A \" \"#;\n\
                 const CHARS: [char; 2] = ['\"', '\\''];\n\
                 #[cfg(test)]\n\
                 use crate::a::A;\n\
                 #[cfg(test)]\n\
                 mod tests { use crate::a::A; fn f() { if true { super::super::a::A; } } }",
            ),
        ];
        assert_eq!(circle(&files), None);
    }

    #[test]
    fn modules_inside_a_file_belong_to_it() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "pub mod inner { use super::Own; pub struct I(Own); } pub struct Own(crate::b::B);",
            ),
            ("b.rs", "pub struct B(Box<crate::a::inner::I>);"),
        ];
        assert_eq!(circle(&files).as_deref(), Some("a.rs -> b.rs -> a.rs"));
    }
}
