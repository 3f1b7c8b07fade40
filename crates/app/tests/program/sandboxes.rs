//! The program in the sandboxes of `docs/deploy`, as far as they work without systemd and without a
//! container engine. They need root, so the tests report when they are not run.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt as _, chown},
    path::Path,
    process::Command,
};

use crate::server::Greenroom;

const PROGRAM: &str = env!("CARGO_BIN_EXE_greenroom");
/// The user of the container.
const USER: u32 = 1_000;

/// Returns `true` if this process is root's. Otherwise reports the test as not run, which must not
/// happen in CI.
fn is_root(test: &str) -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root {
        eprintln!("not run: {test} (it needs root)");
        assert!(env::var("CI").as_deref() != Ok("true"), "{test} needs root");
    }
    is_root
}

/// Copies the program and its shared libraries to a folder that becomes the root of the file
/// system.
fn copy_program(root: &Path) {
    let libraries = Command::new("ldd").arg(PROGRAM).output().unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    let paths = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for library in paths {
        let copy = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(library, copy).unwrap();
    }
    let program = root.join("usr/local/bin");
    fs::create_dir_all(&program).unwrap();
    fs::copy(PROGRAM, program.join("greenroom")).unwrap();
}

#[test]
fn the_container_file_runs_the_program_as_its_user_in_its_folder() {
    if !is_root("the container file") {
        return;
    }
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/deploy/Containerfile"
    );
    let file = fs::read_to_string(file).unwrap();
    for line in [
        "COPY --from=build /src/target/release/greenroom /usr/local/bin/greenroom",
        "RUN useradd --system --uid 1000 --home-dir /data greenroom \\",
        "USER greenroom",
        "WORKDIR /data",
        "ENV GREENROOM_LISTEN=0.0.0.0:8001",
        "ENTRYPOINT [\"greenroom\"]",
        "CMD [\"serve\"]",
    ] {
        assert!(
            file.contains(line),
            "the test must follow the container file: {line}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    copy_program(&root);
    let data = root.join("data");
    fs::create_dir(&data).unwrap();
    chown(&data, Some(USER), Some(USER)).unwrap();
    let in_container = || {
        let mut command = Command::new("unshare");
        command
            .arg("--root")
            .arg(&root)
            .args(["--wd", "/data", "--setuid", "1000", "--setgid", "1000"])
            .args(["/usr/local/bin/greenroom", "serve"])
            .env_clear();
        command
    };
    // Without a password, it does not listen on all addresses, and leaves no files behind.
    let refused = in_container()
        .env("GREENROOM_LISTEN", "0.0.0.0:0")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(error.contains("GREENROOM_ADMIN_PASSWORD_HASH"), "{error}");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);

    let hash = app::hash_password("tea").unwrap();
    let mut command = in_container();
    command
        .env("GREENROOM_LISTEN", "127.0.0.1:0")
        .env("GREENROOM_ADMIN_PASSWORD_HASH", hash);
    let server = Greenroom::run(command);
    let response = server.request("POST", "/auth/login", "", r#"{"password":"tea"}"#);
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(server.terminate());
    let database = fs::metadata(data.join("greenroom.db")).unwrap();
    assert_eq!((database.uid(), database.mode() & 0o077), (USER, 0));
}

#[test]
fn the_program_needs_no_privilege_that_the_systemd_unit_takes_away() {
    if !is_root("the sandbox of the systemd unit") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("greenroom");
    fs::create_dir(&state).unwrap();
    for path in [folder.path(), &state] {
        chown(path, Some(USER), Some(USER)).unwrap();
    }
    let program = folder.path().join("program");
    fs::copy(PROGRAM, &program).unwrap();
    // A user without privileges, no capabilities, and no way to gain any. If this machine allows
    // mounts, only the state is writable, too.
    let mounts =
        r#"mount --make-rprivate / && mount --bind "$1" "$1" && mount -o remount,bind,ro /"#;
    let program_alone = r#"cd "$1" && umask 0077 &&
        exec setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs \
            --bounding-set=-all --inh-caps=-all "$2" serve --log-format json"#;
    let run_in = |shell: &[&str], script: &str| {
        let mut command = Command::new(shell[0]);
        command
            .args(&shell[1..])
            .args(["-c", script, "sh"])
            .args([&state, &program])
            .env("GREENROOM_LISTEN", "127.0.0.1:0");
        command
    };
    let with_mounts = ["unshare", "--mount", "sh"];
    let can_mount = run_in(&with_mounts, mounts).output();
    let server = if can_mount.is_ok_and(|output| output.status.success()) {
        let outside = format!("{mounts} && touch /written-outside");
        let outside = run_in(&with_mounts, &outside).output().unwrap();
        assert!(!outside.status.success(), "only the state is writable");
        Greenroom::run(run_in(
            &with_mounts,
            &format!("{mounts} && {program_alone}"),
        ))
    } else {
        eprintln!("not run: the read-only file system (this machine allows no mounts)");
        Greenroom::run(run_in(&["sh"], program_alone))
    };
    let token = server.log_in();
    let room = server.request("POST", "/rooms", &token, r#"{"name":"tea"}"#);
    assert!(room.starts_with("HTTP/1.1 200"), "{room}");
    let memory = server.request("POST", "/agents/1/memory", &token, r#"{"text":"tea"}"#);
    assert!(memory.starts_with("HTTP/1.1 200"), "{memory}");
    assert!(server.terminate());
    assert!(state.join("greenroom.db").exists());
}
