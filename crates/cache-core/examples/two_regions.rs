//! One write that makes keys of two regions stale: users are cached by id and by e-mail address.
//!
//! A change of the address makes three keys stale: the user's id, the old address, and the new
//! address, whose absence may be cached.
//!
//! Run it with `cargo run -p greenroom-cache-core --example two_regions`.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_core::{LoadError, Manager, Policy, Region, Runtime, Unknown, WriteError, Written};

/// The source: the address of each user.
type Table = Arc<Mutex<BTreeMap<u64, String>>>;

struct Users {
    manager: Manager,
    table: Table,
    by_id: Region<u64, String>,
    by_email: Region<String, u64>,
}

impl Users {
    async fn email(&self, id: u64) -> Result<Option<String>, LoadError<Infallible>> {
        let table = self.table.clone();
        let load = move || async move { Ok(table.lock().unwrap().get(&id).cloned()) };
        Ok(self.by_id.get_or_load(id, load).await?.value)
    }

    async fn find(&self, email: &str) -> Result<Option<u64>, LoadError<Infallible>> {
        // A hit needs no owned key.
        if let Some(read) = self.by_email.look_up(email) {
            return Ok(read.value);
        }
        let (table, wanted) = (self.table.clone(), email.to_owned());
        let load = || async move {
            let table = table.lock().unwrap();
            let user = table.iter().find(|(_, email)| **email == wanted);
            Ok(user.map(|(id, _)| *id))
        };
        let read = self.by_email.load_after_miss(email.to_owned(), load);
        Ok(read.await?.value)
    }

    /// Changes the address of a user from `old` to `new`.
    async fn change(&self, id: u64, old: &str, new: &str) -> Result<(), WriteError<io::Error>> {
        let guard = self.manager.guard();
        let guard = guard
            // The write returns the new address, which is the whole value: it is stored.
            .key_storing(&self.by_id, id, |email: &String| Some(email.clone()))
            .key(&self.by_email, old.to_owned())
            .key_storing(&self.by_email, new.to_owned(), move |_| Some(id));
        let (table, old, new) = (self.table.clone(), old.to_owned(), new.to_owned());
        let update = async move {
            let mut table = table.lock().unwrap();
            match table.get_mut(&id) {
                Some(email) if *email == old => {
                    email.clone_from(&new);
                    Written::Committed(new)
                }
                _ => {
                    let error = format!("user {id} does not have the address {old}");
                    Written::NotApplied(io::Error::other(error))
                }
            }
        };
        guard.run(update).await.map(drop)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    let policy = Policy::new(Duration::from_secs(60), 1_000);
    let users = Users {
        table: Arc::new(Mutex::new([(7, "ada@old.org".to_owned())].into())),
        by_id: manager.region("users_by_id", policy.clone()),
        by_email: manager.region("users_by_email", policy),
        manager,
    };
    // Three reads fill the cache: a user, an address, and the absence of an address.
    assert_eq!(users.email(7).await?.as_deref(), Some("ada@old.org"));
    assert_eq!(users.find("ada@old.org").await?, Some(7));
    assert_eq!(users.find("ada@new.org").await?, None);

    users.change(7, "ada@old.org", "ada@new.org").await?;
    assert_eq!(users.email(7).await?.as_deref(), Some("ada@new.org"));
    assert_eq!(users.find("ada@old.org").await?, None);
    assert_eq!(users.find("ada@new.org").await?, Some(7));

    // A write that was not applied: its keys are loaded again.
    let refused = users.change(7, "ada@old.org", "ada@third.org").await;
    assert!(refused.is_err());
    assert_eq!(users.email(7).await?.as_deref(), Some("ada@new.org"));

    let loads = [users.by_id.stats().loads, users.by_email.stats().loads];
    assert_eq!(loads, [2, 3]);
    println!("loads by id and by address: {loads:?}");
    Ok(())
}
