//! Events without a subscriber. A separate binary, because a subscriber is installed per process.

use std::{
    convert::Infallible,
    fmt,
    str::FromStr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use cache_core::{Manager, Policy, Runtime, Unknown, Written};

static PRINTED: AtomicUsize = AtomicUsize::new(0);

/// A key that counts how often it is printed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Loud(u64);

impl fmt::Display for Loud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PRINTED.fetch_add(1, Ordering::SeqCst);
        self.0.fmt(f)
    }
}

impl FromStr for Loud {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[tokio::test]
async fn events_that_are_switched_off_format_nothing() {
    let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    let region = manager.region::<Loud, u64>("numbers", Policy::new(Duration::from_mins(1), 2));
    for key in 0..20 {
        let load = move || async move { Ok::<_, Infallible>(Some(key)) };
        assert_eq!(
            region.get_or_load(Loud(key), load).await.unwrap().value,
            Some(key)
        );
        region.look_up(&Loud(key));
        let write = async move { Written::<_, Infallible>::Committed(key) };
        manager
            .guard()
            .key(&region, Loud(key))
            .run(write)
            .await
            .unwrap();
        region.remove(&Loud(key));
    }
    manager.cleanup().await;
    assert_eq!(PRINTED.load(Ordering::SeqCst), 0);
    assert!(region.stats().loads == 20);
    manager.invalidate_glob("numbers:*");
    assert_eq!(manager.invalidate_key("numbers:3"), 0);
}
