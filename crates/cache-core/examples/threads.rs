//! A program without an async runtime: loads and writes run on the threads that call the cache.
//!
//! Run it with `cargo run -p greenroom-cache-core --example threads`.

use std::{
    error::Error,
    io,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use cache_core::{LoadError, Manager, Policy, Read, Region, Runtime, Source, Unknown};
use cache_core::{WriteError, Written};

/// A setting of a program, as a file would hold it.
struct Settings {
    manager: Manager,
    cache: Region<String, u64>,
    file: Mutex<u64>,
    reads: AtomicUsize,
}

impl Settings {
    fn get(&self, name: &str) -> Result<Read<u64>, LoadError<io::Error>> {
        // Not a task, so it may borrow. No timeout ends it.
        let load = || {
            self.reads.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(100));
            match name {
                "threads" => Ok(Some(*self.file.lock().unwrap())),
                _ => Err(io::Error::other(format!("no setting is named {name}"))),
            }
        };
        self.cache.get_or_load_blocking(name.to_owned(), load)
    }

    fn set(&self, name: &str, value: u64) -> Result<u64, WriteError<io::Error>> {
        let write = || {
            if value == 0 {
                let error = io::Error::other("a setting must be at least 1");
                return Written::NotApplied(error);
            }
            *self.file.lock().unwrap() = value;
            Written::Committed(value)
        };
        let guard = self.manager.guard();
        let guard = guard.key_storing(&self.cache, name.to_owned(), |value| Some(*value));
        guard.run_blocking(write)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let manager = Manager::new(Runtime::threads(), Unknown::Never);
    let policy = Policy::new(Duration::from_secs(60), 100);
    let settings = Settings {
        cache: manager.region("settings", policy),
        manager,
        file: Mutex::new(4),
        reads: AtomicUsize::new(0),
    };

    // Eight threads miss the setting at the same time. The file is read once.
    let sources = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| settings.get("threads")))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the thread does not panic"))
            .map(|read| read.map(|read| (read.value, read.source)))
            .collect::<Result<Vec<_>, _>>()
    })?;
    assert!(sources.iter().all(|(value, _)| *value == Some(4)));
    let loaded = sources
        .iter()
        .filter(|(_, source)| *source == Source::Loaded);
    assert_eq!(
        (loaded.count(), settings.reads.load(Ordering::Relaxed)),
        (1, 1)
    );

    // A write stores what it returns, so that the next read is a hit.
    assert_eq!(settings.set("threads", 8)?, 8);
    let read = settings.get("threads")?;
    assert_eq!((read.value, read.source), (Some(8), Source::Hit));

    // The error of a write or of a load keeps its type.
    let refused = settings.set("threads", 0).unwrap_err();
    assert!(
        matches!(&refused, WriteError::NotApplied(error) if error.kind() == io::ErrorKind::Other)
    );
    assert_eq!(settings.get("threads")?.value, Some(8));
    let error = settings.get("colour").unwrap_err();
    assert!(error.failed().is_some());
    println!("{refused}; {error}");
    Ok(())
}
