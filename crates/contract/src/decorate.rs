//! A decorator that runs the same code around every method of every port.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use domain::{
    Activity, Added, Agent, AgentChange, AgentConfig, AgentConfigs, AgentFiles, AgentId, AgentName,
    Agents, AnswerCounts, ConfigFile, ConfigProblem, Health, Image, LogEnd, Member, Memories,
    Message, MessageId, Messages, NewAgent, NewMessage, NewRoom, Page, ReadPosition, ReadPositions,
    RecentEvent, Removal, Repositories, Result, Room, RoomChange, RoomId, Rooms, Sent, Seq,
    Session, Sessions, Settle, UsageKey, UsageLog, UsageRecord, UsageSum, UserId,
};
use futures_util::{FutureExt as _, future::BoxFuture};

use crate::{bundle::bundle, methods::for_each_port_method};

/// The code that runs around each call of a decorated bundle.
///
/// Each method receives a call as a future that has not started. It returns the output of the
/// future, or another result. If the future is dropped before it is polled, the call does not reach
/// the store.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
///
/// use contract::decorate::{Around, decorate};
/// use domain::Result;
/// use futures_util::future::BoxFuture;
///
/// /// Counts reads.
/// #[derive(Default)]
/// struct Counter(AtomicU32);
///
/// impl Around for Counter {
///     async fn read<'a, T: Send + 'a>(&'a self, call: BoxFuture<'a, Result<T>>) -> Result<T> {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         call.await
///     }
///
///     async fn write<T: Send + 'static>(&self, call: BoxFuture<'static, Result<T>>) -> Result<T> {
///         call.await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let counter = Arc::new(Counter::default());
/// let ports = decorate(contract::memory::repositories(), counter.clone());
/// ports.rooms.list(None, 10).await?;
/// assert_eq!(counter.0.load(Ordering::Relaxed), 1);
/// # Ok(())
/// # }
/// ```
pub trait Around: Send + Sync + 'static {
    /// Runs a read.
    fn read<'a, T: Send + 'a>(
        &'a self,
        read: BoxFuture<'a, Result<T>>,
    ) -> impl Future<Output = Result<T>> + Send;

    /// Runs a write. The future owns its arguments, so it can be spawned as a task and outlive the
    /// caller.
    fn write<T: Send + 'static>(
        &self,
        write: BoxFuture<'static, Result<T>>,
    ) -> impl Future<Output = Result<T>> + Send;

    /// Runs a read that may wait for a change forever. By default, calls `read`.
    fn wait<'a, T: Default + Send + 'a>(
        &'a self,
        wait: BoxFuture<'a, Result<T>>,
    ) -> impl Future<Output = Result<T>> + Send {
        self.read(wait)
    }
}

/// Returns ports that run `around` at each call of a method of `inner`, including `settle` and
/// `check`.
///
/// See [`Around`] for an example.
pub fn decorate(inner: Repositories, around: Arc<impl Around>) -> Repositories {
    let decorated = Arc::new(Decorated { inner, around });
    bundle(&decorated, decorated.clone())
}

struct Decorated<A> {
    inner: Repositories,
    around: Arc<A>,
}

macro_rules! impl_ports {
    ($($port:ident in $field:ident {
        $($access:ident $method:ident($($arg:ident: $type:ty),*) -> $output:ty;)*
    })*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<A: Around> $port for Decorated<A> {
            $(async fn $method(&self, $($arg: $type),*) -> Result<$output> {
                run!($access self.$field.$method($($arg),*))
            })*
        }
    )*};
}

macro_rules! run {
    // `adopt` is the only write that borrows an argument. The future must own the argument, so this
    // arm copies it.
    (write $self:ident.$field:ident.adopt($path:ident)) => {{
        let (port, $path) = ($self.inner.$field.clone(), $path.to_owned());
        $self.around.write(async move { port.adopt(&$path).await }.boxed()).await
    }};
    (write $self:ident.$field:ident.$method:ident($($arg:ident),*)) => {{
        let port = $self.inner.$field.clone();
        $self.around.write(async move { port.$method($($arg),*).await }.boxed()).await
    }};
    // Reads and waits. Their access, `read` or `wait`, is also the name of the method of `Around`.
    ($access:ident $self:ident.$field:ident.$method:ident($($arg:ident),*)) => {{
        let call = async move { $self.inner.$field.$method($($arg),*).await };
        $self.around.$access(call.boxed()).await
    }};
}

for_each_port_method! { impl_ports }
