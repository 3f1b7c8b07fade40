//! Holds the tree to docs/architecture.md: which crate knows which, and what stays out of where.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// What each crate uses of ours, dev-dependencies apart; these arrows and no others.
const ARROWS: [(&str, &[&str]); 10] = [
    ("domain", &[]),
    ("cache-core", &[]),
    ("cache-adapter", &["cache-core", "domain"]),
    ("persistence", &["domain"]),
    ("responders", &["domain"]),
    (
        "app",
        &[
            "cache-adapter",
            "cache-core",
            "domain",
            "persistence",
            "responders",
        ],
    ),
    (
        "bench",
        &[
            "app",
            "cache-adapter",
            "cache-core",
            "domain",
            "persistence",
            "tests",
        ],
    ),
    ("conformance", &["cache-core"]),
    ("testkit", &[]),
    ("xtask", &[]),
];

/// All that the domain needs: nothing that runs, stores, caches, serves or serialises.
const DOMAIN_USES: [&str; 4] = ["async-trait", "chrono", "futures-core", "thiserror"];

/// Other caches, which are put to the same scenarios and measured, and which nothing else knows.
const PEERS: [&str; 4] = ["cached", "foyer", "mini-moka", "moka"];

/// Longest file above its tests.
const MAX_LINES: usize = 500;

#[test]
fn each_crate_uses_exactly_the_crates_that_the_design_names() {
    let packages = packages();
    let ours: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    for (name, wanted) in ARROWS {
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
        ["persistence::", "use persistence", "sea_orm", "sqlx"]
            .iter()
            .any(|name| code(line).contains(name))
    });
    let outside: Vec<_> = found
        .iter()
        .filter(|line| !line.starts_with("crates/app/src/wiring.rs:"))
        .collect();
    assert!(outside.is_empty(), "{outside:#?}");
    assert!(
        !found.is_empty(),
        "the wiring names the backend, or this test looks for the wrong words"
    );
}

#[test]
fn no_port_mentions_a_transaction() {
    let ports = read(&crates().join("domain/src/ports.rs")).to_lowercase();
    for word in ["transaction", "commit", "rollback", "unit of work"] {
        assert!(!ports.contains(word), "a port mentions {word}");
    }
}

#[test]
fn every_package_inherits_the_lints_and_unsafe_code_is_forbidden() {
    for manifest in manifests() {
        let text = read(&manifest);
        let of: Vec<_> = section(&text, "lints").collect();
        assert_eq!(
            of,
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
        let peers: BTreeSet<&str> = all_uses(&package)
            .filter(|used| PEERS.contains(used))
            .collect();
        let wanted = if ["bench", "conformance"].contains(&name.as_str()) {
            PEERS.into()
        } else {
            BTreeSet::new()
        };
        assert_eq!(peers, wanted, "what {name} uses of other caches");
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

#[test]
fn no_file_is_long() {
    for file in sources(&crates()) {
        if !file.components().any(|part| part.as_os_str() == "src") {
            continue;
        }
        let length = above_tests(&read(&file)).count();
        assert!(
            length <= MAX_LINES,
            "{} has {length} lines above its tests, {MAX_LINES} are enough",
            file.display()
        );
    }
}

fn crates() -> PathBuf {
    tests::workspace().join("crates")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every package's manifest.
fn manifests() -> Vec<PathBuf> {
    packages()
        .values()
        .map(|package| package["manifest_path"].as_str().unwrap().into())
        .collect()
}

/// The workspace's packages by name, as cargo describes them.
fn packages() -> BTreeMap<String, Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = [
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ];
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(tests::workspace())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |package: &Value| {
        (
            package["name"].as_str().unwrap().to_owned(),
            package.clone(),
        )
    };
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(of)
        .collect()
}

/// What a package uses, dev-dependencies and all.
fn all_uses(package: &Value) -> impl Iterator<Item = &str> {
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|used| used["name"].as_str().unwrap())
}

/// What a package uses, dev-dependencies apart, and whether that is optional.
fn uses(package: &Value) -> impl Iterator<Item = (&str, bool)> {
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    dependencies
        .filter(|used| used["kind"] != "dev")
        .map(|used| {
            (
                used["name"].as_str().unwrap(),
                used["optional"].as_bool().unwrap(),
            )
        })
}

/// The lines of one section of a manifest, without comments and blank ones.
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

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn above_tests(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
}

/// The lines of the crates' sources, their tests apart, that pass the test, as `file:number: line`.
fn lines(names: &[&str], test: impl Fn(&str) -> bool) -> Vec<String> {
    let top = tests::workspace();
    let files = names
        .iter()
        .flat_map(|name| sources(&crates().join(name).join("src")));
    let of = |file: PathBuf| {
        let shown = file.strip_prefix(&top).unwrap().display().to_string();
        let source = read(&file);
        let hits = above_tests(&source)
            .enumerate()
            .filter(|(_, line)| test(line));
        hits.map(|(number, line)| format!("{shown}:{}: {}", number + 1, line.trim()))
            .collect::<Vec<_>>()
    };
    files.flat_map(of).collect()
}

/// All Rust files under a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .collect()
}
