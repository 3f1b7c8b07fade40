//! Checks that the source tree follows the rules of docs/architecture.md and CONTRIBUTING.md.

mod examples;
mod pages;
mod prose;
mod tree;

use std::{collections::BTreeSet, env, fs, path::PathBuf, process::Command};

use serde_json::Value;

use tree::{above_tests, code, crates, files, packages, read, short, shown};

/// The allowed dependencies of each crate on other crates of this workspace, without
/// dev-dependencies.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("contract", &["domain"]),
    ("cache-core", &[]),
    ("cache-adapter", &["cache-core", "domain"]),
    ("yaml-in-place", &[]),
    ("persistence", &["domain", "yaml-in-place"]),
    ("interchange", &["domain", "yaml-in-place"]),
    ("responders", &["domain"]),
    ("web", &[]),
    (
        "app",
        &[
            "cache-adapter",
            "cache-core",
            "domain",
            "interchange",
            "persistence",
            "responders",
            "web",
        ],
    ),
    (
        "bench",
        &[
            "app",
            "cache-adapter",
            "cache-core",
            "conformance",
            "contract",
            "domain",
            "persistence",
            "tests",
        ],
    ),
    ("conformance", &["cache-core"]),
    (
        "instructions",
        &["cache-adapter", "cache-core", "contract", "domain"],
    ),
    ("page", &[]),
    ("redb-backend", &["domain"]),
    ("shared-lines", &["app", "cache-core", "contract", "domain"]),
    ("testkit", &[]),
    ("xtask", &[]),
];

/// The allowed external dependencies of `domain`. None of them is a runtime, a store, a cache, a
/// server or a serializer.
const DOMAIN_USES: [&str; 5] = [
    "async-trait",
    "chrono",
    "futures-core",
    "thiserror",
    // Compares names.
    "unicode-normalization",
];

/// Other cache libraries, and the packages that may depend on them: `conformance` contains their
/// adapters, and `bench` reads a hot key of some.
const PEERS: [(&str, &[&str]); 6] = [
    ("cached", &["conformance"]),
    ("dashmap", &["bench"]),
    ("foyer", &["conformance"]),
    ("mini-moka", &["conformance"]),
    ("moka", &["bench", "conformance"]),
    ("papaya", &["bench"]),
];

/// The maximum length of a file above its tests, in lines.
const MAX_LINES: usize = 400;

#[test]
fn each_crate_uses_exactly_the_crates_that_the_design_names() {
    let packages = packages();
    let ours: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    for &(name, wanted) in ARROWS {
        let used: BTreeSet<&str> = uses(&packages[name])
            .map(|(used, _)| used)
            .filter(|used| ours.contains(used))
            .collect();
        assert_eq!(
            used,
            wanted.iter().copied().collect(),
            "what {name} uses of ours"
        );
    }
    let known: BTreeSet<&str> = ARROWS
        .iter()
        .map(|(name, _)| *name)
        .chain(["tests"])
        .collect();
    assert_eq!(ours, known, "a new crate needs its row");
}

#[test]
fn the_domain_knows_no_runtime_store_cache_or_serialisation() {
    let packages = packages();
    let needed: BTreeSet<&str> = uses(&packages["domain"])
        .filter(|(_, optional)| !optional)
        .map(|(used, _)| used)
        .collect();
    assert_eq!(needed, DOMAIN_USES.into());
    let by_default = &packages["domain"]["features"]["default"];
    assert!(
        by_default.is_null(),
        "domain has default features: {by_default}"
    );
}

#[test]
fn no_crate_but_the_wiring_names_a_concrete_backend() {
    let found = lines(&["app", "cache-adapter", "cache-core", "domain"], |line| {
        [
            "persistence::",
            "use persistence",
            "use responders",
            "responders::Model",
            "responders::Scripted",
            "sea_orm",
            "sqlx",
        ]
        .iter()
        .any(|name| code(line).contains(name))
    });
    let outside: Vec<_> = found
        .iter()
        .filter(|line| !line.starts_with("crates/app/src/wiring"))
        .collect();
    assert!(outside.is_empty(), "{outside:#?}");
    assert!(
        !found.is_empty(),
        "the wiring names the backend, or this test looks for the wrong words"
    );
}

#[test]
fn no_port_mentions_a_transaction() {
    let files = fs::read_dir(crates().join("domain/src/ports")).expect("the ports are a folder");
    for file in files.map(|file| file.expect("the folder can be read").path()) {
        let ports = read(&file).to_lowercase();
        for word in ["transaction", "commit", "rollback", "unit of work"] {
            assert!(!ports.contains(word), "{}: {word}", file.display());
        }
    }
}

#[test]
fn every_package_inherits_the_lints_and_unsafe_code_is_forbidden() {
    for manifest in manifests() {
        let text = read(&manifest);
        let lints: Vec<_> = section(&text, "lints").collect();
        assert_eq!(
            lints,
            ["workspace = true"],
            "[lints] of {}",
            manifest.display()
        );
    }
    let workspace = read(&tests::workspace().join("Cargo.toml"));
    assert!(
        section(&workspace, "workspace.lints.rust").any(|line| line == "unsafe_code = \"forbid\"")
    );
}

#[test]
fn versions_stand_once() {
    for manifest in manifests() {
        let text = read(&manifest);
        let sections = ["dependencies", "dev-dependencies", "build-dependencies"]
            .iter()
            .flat_map(|name| section(&text, name));
        let literal: Vec<_> = sections
            .filter(|line| !line.contains("workspace = true"))
            .collect();
        assert!(
            literal.is_empty(),
            "{} has versions of its own: {literal:#?}",
            manifest.display()
        );
        assert!(
            !text.contains("dependencies."),
            "{} writes a dependency as a table, which this test cannot read",
            manifest.display()
        );
    }
}

#[test]
fn other_caches_are_dependencies_of_what_compares_them_alone() {
    for (name, package) in packages() {
        let peers = PEERS.map(|(peer, _)| peer);
        let used: BTreeSet<&str> = all_uses(&package)
            .filter(|used| peers.contains(used))
            .collect();
        let wanted = PEERS
            .iter()
            .filter(|(_, users)| users.contains(&name.as_str()))
            .map(|(peer, _)| *peer)
            .collect();
        assert_eq!(used, wanted, "what {name} uses of other caches");
    }
}

#[test]
fn only_sync_names_locks_atomics_and_channels_in_the_cache() {
    let found = lines(&["cache-core"], |line| {
        [
            "std::sync",
            "tokio::sync",
            "core::sync",
            "parking_lot",
            "std::thread",
        ]
        .iter()
        .any(|name| code(line).contains(name))
    });
    let outside: Vec<_> = found
        .iter()
        .filter(|line| !line.starts_with("crates/cache-core/src/sync.rs:"))
        .collect();
    assert!(outside.is_empty(), "{outside:#?}");
}

#[test]
fn the_cache_reads_no_clock_but_its_own() {
    let found = lines(&["cache-core", "cache-adapter"], |line| {
        [
            "SystemTime",
            "std::time::Instant",
            "Instant::now",
            "Utc::now",
            "Local::now",
        ]
        .iter()
        .any(|name| code(line).contains(name))
    });
    let outside = |found: &[String]| -> Vec<String> {
        found
            .iter()
            .filter(|line| !line.starts_with("crates/cache-core/src/clock"))
            .cloned()
            .collect()
    };
    assert!(outside(&found).is_empty(), "{found:#?}");
    let real = lines(&["cache-core"], |line| {
        code(line).contains("rustix::") || code(line).contains("tokio::time")
    });
    assert!(outside(&real).is_empty(), "{real:#?}");
}

/// The lint `incompatible_msrv` checks the calls of the standard library.
#[test]
fn no_dependency_of_cache_core_needs_a_newer_rust_version_than_it_states() {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--offline", "--format-version", "1"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(tests::workspace())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let by_id = |list: &Value, id: &Value| {
        let mut entries = list.as_array().unwrap().iter();
        entries.find(|entry| entry["id"] == *id).unwrap().clone()
    };
    let packages = metadata["packages"].as_array().unwrap();
    let cache_core = packages
        .iter()
        .find(|package| package["name"] == "greenroom-cache-core");
    let cache_core = cache_core.unwrap();
    let minor = |package: &Value| -> u32 {
        let version = package["rust_version"].as_str().unwrap_or("1.0");
        version.split('.').nth(1).unwrap().parse().unwrap()
    };
    let stated = minor(cache_core);
    let mut left = vec![cache_core["id"].clone()];
    let mut seen = BTreeSet::new();
    while let Some(id) = left.pop() {
        if !seen.insert(id.to_string()) {
            continue;
        }
        let package = by_id(&metadata["packages"], &id);
        assert!(
            minor(&package) <= stated,
            "{} needs Rust 1.{}, but 1.{stated} is stated",
            package["name"],
            minor(&package)
        );
        let node = by_id(&metadata["resolve"]["nodes"], &id);
        for used in node["deps"].as_array().unwrap() {
            let mut kinds = used["dep_kinds"].as_array().unwrap().iter();
            // The schedule explorer is no dependency of a usual build.
            let is_usual = used["name"] != "shuttle";
            if is_usual && kinds.any(|kind| kind["kind"].is_null()) {
                left.push(used["pkg"].clone());
            }
        }
    }
    assert!(seen.len() > 10, "only {} packages", seen.len());
    let readme = fs::read_to_string(tests::workspace().join("crates/cache-core/README.md"));
    assert!(readme.unwrap().contains(&format!("Rust 1.{stated}.")));
}

#[test]
fn no_file_is_long() {
    for file in files(&crates(), "rs") {
        let is_test = |part: &std::ffi::OsStr| part == "tests" || part == "tests.rs";
        if !file.components().any(|part| part.as_os_str() == "src")
            || file.components().any(|part| is_test(part.as_os_str()))
        {
            continue;
        }
        let length = above_tests(&read(&file)).count();
        assert!(
            length <= MAX_LINES,
            "{} has {length} lines above its tests, {MAX_LINES} are enough",
            shown(&file)
        );
    }
}

/// Returns the path of the manifest of every package.
fn manifests() -> Vec<PathBuf> {
    packages()
        .values()
        .map(|package| package["manifest_path"].as_str().unwrap().into())
        .collect()
}

/// Returns the dependencies of a package, including dev-dependencies.
fn all_uses(package: &Value) -> impl Iterator<Item = &str> {
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|used| short(used["name"].as_str().unwrap()))
}

/// Returns the dependencies of a package without dev-dependencies. The flag is `true` for an
/// optional one.
fn uses(package: &Value) -> impl Iterator<Item = (&str, bool)> {
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    dependencies
        .filter(|used| used["kind"] != "dev")
        .map(|used| {
            (
                short(used["name"].as_str().unwrap()),
                used["optional"].as_bool().unwrap(),
            )
        })
}

/// Returns the lines of one section of a manifest, without comments and blank lines.
fn section<'a>(manifest: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let head = format!("[{name}]");
    let body = manifest
        .lines()
        .skip_while(move |line| line.trim() != head)
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    body.map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Returns the source lines of crates that pass `test`, as `file:number: line`. Lines of unit tests
/// are skipped.
fn lines(names: &[&str], test: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        for file in files(&crates().join(name).join("src"), "rs") {
            for (number, line) in (1..).zip(above_tests(&read(&file))) {
                if test(line) {
                    found.push(format!("{}:{number}: {}", shown(&file), line.trim()));
                }
            }
        }
    }
    found
}
