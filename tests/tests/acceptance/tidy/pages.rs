//! Checks that every page is linked from another page, and that every link to a file leads to an
//! existing file.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::tree::{pages, read, rust_files, shown};

/// The page that explains the project's words.
const GLOSSARY: &str = "/docs/glossary.md";

/// Pages that need no link, because GitHub and package registries show them.
const ENTRY_PAGES: [&str; 1] = ["README.md"];

#[test]
fn the_front_page_of_every_crate_links_the_glossary() {
    let front_pages = rust_files()
        .into_iter()
        .filter(|file| shown(file).starts_with("crates/") && shown(file).ends_with("/src/lib.rs"));
    let mut count = 0;
    for page in front_pages {
        count += 1;
        let links_glossary = read(&page)
            .lines()
            .any(|line| line.starts_with("//! [glossary]: https://") && line.ends_with(GLOSSARY));
        assert!(links_glossary, "{} does not link {GLOSSARY}", shown(&page));
    }
    assert!(count > 0, "no crate was found");
}

#[test]
fn every_page_is_linked_from_another_page() {
    let pages = pages();
    let mut linked = BTreeSet::new();
    for page in &pages {
        linked.extend(links(page).into_iter().filter(|target| target != page));
    }
    let lost: Vec<_> = pages
        .iter()
        .filter(|page| !linked.contains(*page))
        .map(|page| shown(page))
        .filter(|page| !ENTRY_PAGES.contains(&page.as_str()) && !page.ends_with("/README.md"))
        .collect();
    assert!(lost.is_empty(), "no other page links to {lost:#?}");
}

#[test]
fn every_link_between_files_leads_to_a_file() {
    let mut broken = Vec::new();
    for page in pages() {
        for target in links(&page) {
            if !target.exists() {
                broken.push(format!("{} -> {}", shown(&page), shown(&target)));
            }
        }
    }
    assert!(broken.is_empty(), "links lead nowhere: {broken:#?}");
}

/// A page names a test as a link: [`file::test`](path of the file).
#[test]
fn every_test_that_a_page_links_is_in_its_file() {
    let (mut count, mut missing) = (0, Vec::new());
    for page in pages() {
        for link in read(&page).split("[`").skip(1) {
            let Some((named, rest)) = link.split_once("`](") else {
                continue;
            };
            let (Some((_, test)), Some((path, _))) =
                (named.rsplit_once("::"), rest.split_once(')'))
            else {
                continue;
            };
            if !path.contains("/tests/") {
                continue;
            }
            count += 1;
            let file = page.parent().unwrap().join(path);
            if !read(&file).contains(&format!("fn {test}(")) {
                missing.push(format!("{}: {named}", shown(&page)));
            }
        }
    }
    assert!(count > 30, "{count} tests are linked");
    assert!(missing.is_empty(), "these tests do not exist: {missing:#?}");
}

/// Returns the local files that a page links to.
fn links(page: &Path) -> Vec<PathBuf> {
    let text = read(page);
    let folder = page.parent().expect("a page lies in a folder");
    let mut targets = Vec::new();
    for (at, _) in text.match_indices("](") {
        let Some(target) = text[at + 2..].split(')').next() else {
            continue;
        };
        let target = target.split('#').next().unwrap_or_default();
        if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
            targets.push(normalized(&folder.join(target)));
        }
    }
    targets
}

/// Returns a path without `.` and `..`.
fn normalized(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                normal.pop();
            }
            std::path::Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}
