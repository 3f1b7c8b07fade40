//! Builds each crate outside the workspace, from the files that `cargo publish` would upload.

use std::{fs, path::Path, process::Command};

use crate::steps::{Steps, target, top};

/// The folders of the crates that are published.
const CRATES: [&str; 10] = [
    "domain",
    "contract",
    "cache-core",
    "cache-adapter",
    "yaml-in-place",
    "persistence",
    "interchange",
    "responders",
    "web",
    "app",
];

/// Returns the name under which a registry has the crate in this folder. Plain names such as
/// `domain` are taken there.
pub(crate) fn package_of(folder: &str) -> String {
    match folder {
        "app" => "greenroom".to_owned(),
        _ => format!("greenroom-{folder}"),
    }
}

/// Copies the files that `cargo package --list` names into an empty folder, and checks each crate
/// there.
pub(crate) fn build_alone(steps: &mut Steps) -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("greenroom-packages-{}", std::process::id()));
    let built = copy_all(&folder).and_then(|()| {
        for name in CRATES {
            check(
                steps,
                &folder,
                &format!("package {name} alone"),
                &package_of(name),
                &[],
            )?;
        }
        let step = "program without default features";
        check(
            steps,
            &folder,
            step,
            &package_of("app"),
            &["--no-default-features"],
        )
    });
    let removed = fs::remove_dir_all(&folder);
    built.and(removed.map_err(|error| error.to_string()))
}

/// Checks a package in the folder of the copies.
fn check(
    steps: &mut Steps,
    folder: &Path,
    step: &str,
    package: &str,
    options: &[&str],
) -> Result<(), String> {
    let mut command = Command::new("cargo");
    // In the workspace's own target folder, so that dependencies with the same features are
    // compiled once.
    command
        .args(["check", "--quiet", "--offline", "--package", package])
        .args(options)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", top().join(target()));
    steps.run(step, &mut command)
}

/// Checks what a registry checks before it takes the crates: their metadata, readmes and
/// dependencies. [`build_alone`] has compiled them.
pub(crate) fn try_to_publish(steps: &mut Steps) -> Result<(), String> {
    steps.cargo(
        "cargo publish, without uploading",
        &[
            "publish",
            "--workspace",
            "--dry-run",
            "--no-verify",
            "--allow-dirty",
            "--quiet",
        ],
    )
}

/// Checks that the tests of each crate compile with the features that the crate's own manifest
/// enables, as with `cargo test --package NAME`. `cargo xtask test` enables the features of the
/// whole workspace. `cargo xtask ci` leaves this check out, because the check compiles most
/// dependencies once more and finds few errors.
pub(crate) fn check_tests_alone(steps: &mut Steps) -> Result<(), String> {
    for name in CRATES {
        steps.cargo(
            &format!("tests of {name} alone"),
            &[
                "check",
                "--quiet",
                "--tests",
                "--package",
                &package_of(name),
            ],
        )?;
    }
    Ok(())
}

/// Copies the published crates into a workspace that contains only these crates.
fn copy_all(folder: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    for name in CRATES {
        let list = Command::new("cargo")
            .args(["package", "--list", "--allow-dirty", "--package"])
            .arg(package_of(name))
            .current_dir(top())
            .output()
            .map_err(text)?;
        if !list.status.success() {
            return Err(format!(
                "cargo package --list: {}",
                String::from_utf8_lossy(&list.stderr)
            ));
        }
        for file in String::from_utf8_lossy(&list.stdout).lines() {
            // Cargo generates these files when it packages a crate.
            if matches!(
                file,
                "Cargo.toml.orig" | "Cargo.lock" | ".cargo_vcs_info.json"
            ) {
                continue;
            }
            let (from, to) = (
                top().join("crates").join(name).join(file),
                folder.join("crates").join(name).join(file),
            );
            fs::create_dir_all(to.parent().unwrap_or(folder)).map_err(text)?;
            fs::copy(&from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
            if file == "Cargo.toml" {
                // `testkit` is a dev-dependency without a version. cargo removes such dependencies
                // when it publishes a crate.
                let manifest = fs::read_to_string(&to).map_err(text)?;
                fs::write(&to, manifest.replace("testkit.workspace = true\n", "")).map_err(text)?;
            }
        }
    }
    let manifest = fs::read_to_string(top().join("Cargo.toml")).map_err(text)?;
    // The packages `tests` and `testkit` are not published, so the manifest must not name them.
    let kept = manifest
        .lines()
        .filter(|line| !line.starts_with("tests = ") && !line.starts_with("testkit = "))
        .map(|line| match line {
            line if line.starts_with("members = ") => r#"members = ["crates/*"]"#,
            line => line,
        });
    fs::write(
        folder.join("Cargo.toml"),
        kept.collect::<Vec<_>>().join("\n"),
    )
    .map_err(text)?;
    fs::copy(top().join("Cargo.lock"), folder.join("Cargo.lock"))
        .map(drop)
        .map_err(text)
}
