//! The regions, and the one way to read through them and to write past them.

use std::{fmt, str::FromStr, sync::Arc};

use cache_core::{
    Age, Fold, Key, LoadError, Manager, Read, Region, Runtime, SettleError, Source, Stores,
    TailRead, TailRegion, WriteError, WriteGuard, Written,
};
use domain::{
    Agent, AgentConfig, AgentId, Error, Image, Member, Message, MessageId, ReadPosition,
    Repositories, Result, Room, RoomId, Session, UserId,
};

use crate::{
    Options,
    lately::ReadLately,
    observe::note,
    policies::{POLICIES, Row},
    stale::{Target, Write, stale},
    tail::{Lately, Newest, TailLimits, Tally, place},
};

/// The key of a region that holds one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct All;

impl fmt::Display for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all")
    }
}

impl FromStr for All {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        (text == "all").then_some(Self).ok_or(())
    }
}

/// A key of two parts, printed `first/second`; only the first may hold a slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pair<A, B>(pub(crate) A, pub(crate) B);

/// How far a user has read a room.
pub(crate) type ReadKey = Pair<UserId, RoomId>;
/// The image of a room's message.
pub(crate) type ImageKey = Pair<RoomId, MessageId>;

impl<A: fmt::Display, B: fmt::Display> fmt::Display for Pair<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl<A: FromStr, B: FromStr> FromStr for Pair<A, B> {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, second) = text.rsplit_once('/').ok_or(())?;
        Ok(Self(
            first.parse().map_err(drop)?,
            second.parse().map_err(drop)?,
        ))
    }
}

pub(crate) struct Regions {
    pub(crate) agent_config: Region<AgentId, Arc<AgentConfig>>,
    /// Which of them were read lately.
    pub(crate) lately: Arc<ReadLately>,
    pub(crate) agent_obj: Region<AgentId, Arc<Agent>>,
    pub(crate) agent_list: Region<All, Arc<[AgentId]>>,
    pub(crate) room_obj: Region<RoomId, Arc<Room>>,
    pub(crate) room_list: Region<All, Arc<[RoomId]>>,
    pub(crate) rooms_of: Region<UserId, Arc<[RoomId]>>,
    pub(crate) room_agents: Region<RoomId, Arc<[Member]>>,
    pub(crate) room_activity: TailRegion<RoomId, Lately>,
    pub(crate) room_messages: TailRegion<RoomId, Newest>,
    pub(crate) room_answers: TailRegion<RoomId, Tally>,
    pub(crate) message_image: Region<ImageKey, Arc<Image>>,
    pub(crate) room_sessions: Region<RoomId, Arc<[Session]>>,
    /// That a user never marked a room is a value here, not an absence: it is the rule, and only a mark ends it.
    pub(crate) read_state: Region<ReadKey, Option<Arc<ReadPosition>>>,
}

/// What all decorators share.
pub(crate) struct Core {
    pub(crate) inner: Repositories,
    pub(crate) manager: Manager,
    pub(crate) regions: Regions,
    pub(crate) tail: TailLimits,
}

/// A decorated port. With `bypass`, reads pass the cache; writes are guarded all the same.
#[derive(Clone)]
pub(crate) struct Cached {
    pub(crate) core: Arc<Core>,
    pub(crate) bypass: bool,
}

impl Core {
    pub(crate) fn new(inner: Repositories, runtime: Runtime, options: &Options) -> Self {
        let settle = inner.settle.clone();
        let builder = Manager::builder(runtime).settle(Arc::new(move || {
            let settle = settle.clone();
            Box::pin(async move { settle.settle().await.map_err(SettleError::failed) })
        }));
        #[cfg(feature = "faults")]
        let builder = builder.fault(options.fault);
        let manager = builder.build();
        let regions = Regions::new(&manager, options);
        Self {
            inner,
            manager,
            regions,
            tail: options.tail,
        }
    }

    fn guard(&self, write: &Write) -> WriteGuard {
        let of = &self.regions;
        stale(write)
            .into_iter()
            .fold(self.manager.guard(), |guard, target| match target {
                Target::Agent(id) => guard.key(&of.agent_obj, id),
                Target::NewAgent => guard.creating(&of.agent_obj),
                Target::Config(id) => guard.key(&of.agent_config, id),
                Target::NewConfig => guard.creating(&of.agent_config),
                Target::AgentList => guard.key(&of.agent_list, All),
                Target::Room(id) => guard.key(&of.room_obj, id),
                Target::NewRoom => guard.creating(&of.room_obj),
                Target::RoomList => guard.key(&of.room_list, All),
                Target::RoomsOf(owner) => guard.key(&of.rooms_of, owner),
                Target::Members(id) => guard.key(&of.room_agents, id),
                Target::NewMembers => guard.creating(&of.room_agents),
                Target::Log(id) => guard
                    .key(of.room_messages.region(), id)
                    .key(of.room_answers.region(), id)
                    .key(of.room_activity.region(), id),
                Target::NewLog => guard
                    .creating(of.room_messages.region())
                    .creating(of.room_answers.region())
                    .creating(of.room_activity.region()),
                // What was named last is applied first: who is woken by a message finds the others done.
                Target::Appended(id) => guard
                    .append(&of.room_messages, id)
                    .append(&of.room_answers, id)
                    .append(&of.room_activity, id),
                Target::AllImages => guard.region(&of.message_image),
                Target::Sessions(id) => guard.key(&of.room_sessions, id),
                Target::Read(user, room) => guard.key(&of.read_state, Pair(user, room)),
                Target::AllReads => guard.region(&of.read_state),
            })
    }
}

impl Regions {
    fn new(manager: &Manager, options: &Options) -> Self {
        fn plain<K: Key, V: Clone + Send + Sync + 'static>(
            manager: &Manager,
            options: &Options,
            name: &'static str,
        ) -> Region<K, V> {
            manager.region(name, options.policy(row(name)))
        }
        let weigh = |_: &ImageKey, image: &Arc<Image>| {
            u32::try_from(image.data.len() + 128).unwrap_or(u32::MAX)
        };
        Self {
            agent_config: plain(manager, options, "agent_config"),
            lately: Arc::default(),
            agent_obj: plain(manager, options, "agent_obj"),
            agent_list: plain(manager, options, "agent_list"),
            room_obj: plain(manager, options, "room_obj"),
            room_list: plain(manager, options, "room_list"),
            rooms_of: plain(manager, options, "rooms_of"),
            room_agents: plain(manager, options, "room_agents"),
            room_activity: manager.tail_region(
                "room_activity",
                options.policy(row("room_activity")),
                1,
            ),
            room_messages: manager.tail_region(
                "room_messages",
                options.policy(row("room_messages")),
                65_536,
            ),
            room_answers: manager.tail_region(
                "room_answers",
                options.policy(row("room_answers")),
                1,
            ),
            message_image: manager.weighed_region(
                "message_image",
                options.policy(row("message_image")),
                65_536,
                weigh,
            ),
            room_sessions: plain(manager, options, "room_sessions"),
            read_state: plain(manager, options, "read_state"),
        }
    }
}

impl Regions {
    /// A written persona is kept, and counts as read.
    pub(crate) fn keep_config(
        &self,
        id: AgentId,
        config: &Arc<AgentConfig>,
        stores: &mut Stores<'_>,
    ) {
        self.lately.keep(id);
        self.lately.read(id);
        stores.put(&self.agent_config, id, config.clone());
    }

    /// A committed message joins everything that is kept of its room's log.
    pub(crate) fn appended(&self, message: &Arc<Message>, stores: &mut Stores<'_>) {
        let at = place(message.seq);
        stores.append(&self.room_messages, at, message.clone());
        stores.append(&self.room_answers, at, message.clone());
        stores.append(&self.room_activity, at, message.clone());
    }
}

fn row(name: &str) -> &'static Row {
    POLICIES
        .iter()
        .find(|row| row.region == name)
        .expect("each region has its row")
}

impl Cached {
    /// The value from memory, if it is there and may be served.
    #[inline]
    pub(crate) fn hit<K: Key, V: Clone + Send + Sync + 'static>(
        &self,
        region: &Region<K, V>,
        key: &K,
    ) -> Option<Option<V>> {
        if self.bypass {
            None
        } else {
            region.look_up(key).map(seen)
        }
    }

    /// What `each` makes of the values of all keys from memory, or nothing; also nothing of keys that do not rise, which
    /// are to be sorted first.
    pub(crate) fn hits<K: Key + Ord, V: Clone + Send + Sync + 'static, T>(
        &self,
        region: &Region<K, V>,
        keys: &[K],
        each: impl Fn(&K, V) -> T,
    ) -> Option<Vec<T>> {
        let is_distinct = keys.is_sorted_by(|one, next| one < next);
        if self.bypass || !is_distinct {
            None
        } else {
            all(region, keys, each)
        }
    }

    /// What `read` makes of the copy of a room's log in memory, if it can.
    pub(crate) fn hit_tail<C: Fold, T>(
        &self,
        region: &TailRegion<RoomId, C>,
        room: RoomId,
        read: impl FnOnce(&C) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.bypass {
            None
        } else {
            region.look_up(&room, read).map(seen)
        }
    }

    /// One value of `region`, read from the bare port by `load` when it is not in memory.
    pub(crate) async fn read<K, V, Fut>(
        &self,
        region: &Region<K, V>,
        key: K,
        load: impl FnOnce(Repositories) -> Fut + Send + 'static,
    ) -> Result<Option<V>>
    where
        K: Key,
        V: Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<V>>> + Send + 'static,
    {
        if let Some(found) = self.hit(region, &key) {
            return Ok(found);
        }
        let inner = self.core.inner.clone();
        let load = move || load(inner);
        let read = if self.bypass {
            region.bypass(load).await
        } else {
            region.get_or_load(key, load).await
        };
        read.map(seen).map_err(domain_error)
    }

    /// Many values of `region` in the order of `keys`, those that are not in memory by one call of the bare port.
    pub(crate) async fn read_many<K, V, Fut>(
        &self,
        region: &Region<K, V>,
        keys: &[K],
        load: impl FnOnce(Repositories, Vec<K>) -> Fut + Send + 'static,
    ) -> Result<Vec<Option<V>>>
    where
        K: Key,
        V: Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<(K, V)>>> + Send + 'static,
    {
        if let Some(found) = all(region, keys, |_, value| Some(value)) {
            return Ok(found);
        }
        let inner = self.core.inner.clone();
        let reads = region
            .get_or_load_many(keys, move |keys| load(inner, keys))
            .await
            .map_err(domain_error)?;
        Ok(reads.into_iter().map(seen).collect())
    }

    /// What `read` makes of the copy of a room's log, which `load` fills when it is not in memory.
    pub(crate) async fn read_tail<C, T, Fut>(
        &self,
        region: &TailRegion<RoomId, C>,
        room: RoomId,
        load: impl FnOnce(Repositories) -> Fut + Send + 'static,
        read: impl Fn(&C) -> Option<T>,
    ) -> Result<TailRead<T>>
    where
        C: Fold,
        Fut: Future<Output = Result<Option<(u64, C)>>> + Send + 'static,
    {
        if self.bypass {
            return Ok(TailRead::Elsewhere);
        }
        if let Some(found) = region.look_up(&room, &read).map(TailRead::Found) {
            note_tail(&found);
            return Ok(found);
        }
        let inner = self.core.inner.clone();
        let found = region
            .get_or_fill(room, move || load(inner), &read)
            .await
            .map_err(domain_error)?;
        note_tail(&found);
        Ok(found)
    }

    /// The same for the logs of many rooms, those that are not in memory by one call of the bare port.
    pub(crate) async fn read_tails<C, T, Fut>(
        &self,
        region: &TailRegion<RoomId, C>,
        rooms: &[RoomId],
        load: impl FnOnce(Repositories, Vec<RoomId>) -> Fut + Send + 'static,
        read: impl Fn(&C) -> Option<T>,
    ) -> Result<Vec<TailRead<T>>>
    where
        C: Fold,
        Fut: Future<Output = Result<Vec<(RoomId, u64, C)>>> + Send + 'static,
    {
        let inner = self.core.inner.clone();
        let found = region
            .get_or_fill_many(rooms, move |rooms| load(inner, rooms), read)
            .await
            .map_err(domain_error)?;
        found.iter().for_each(note_tail);
        Ok(found)
    }

    /// A read that is not cached.
    pub(crate) async fn past<T>(&self, read: impl Future<Output = Result<T>>) -> Result<T> {
        note(Source::Bypass, Age::default());
        read.await
    }

    /// Runs a write of the bare port under the guard over what it makes stale.
    pub(crate) async fn write<T, Fut>(
        &self,
        write: Write,
        run: impl FnOnce(Repositories) -> Fut,
        store: impl FnOnce(&T, &Regions, &mut Stores<'_>) + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let run = run(self.core.inner.clone());
        let written = async move {
            match run.await {
                Ok(value) => Written::Committed(value),
                Err(error) if error.may_be_applied() => Written::Unknown(error),
                Err(error) => Written::NotApplied(error),
            }
        };
        let core = self.core.clone();
        let guard = self.core.guard(&write);
        guard
            .run(written, move |value, stores| {
                store(value, &core.regions, stores);
            })
            .await
            .map_err(|error| match error {
                WriteError::Store(error) => error,
                WriteError::TimedOut | WriteError::Panicked | WriteError::GivenUp => {
                    Error::unknown(error)
                }
            })
    }
}

fn note_tail<T>(read: &TailRead<T>) {
    match read {
        TailRead::Found(found) => note(found.source, found.age),
        TailRead::Absent(source) => note(*source, Age::default()),
        // Noted by the read of the store that follows.
        TailRead::Elsewhere => {}
    }
}

/// What `each` makes of all values from memory, or nothing: of a part nothing is noted.
fn all<K: Key, V: Clone + Send + Sync + 'static, T>(
    region: &Region<K, V>,
    keys: &[K],
    each: impl Fn(&K, V) -> T,
) -> Option<Vec<T>> {
    let mut oldest = Age::default();
    let found = region.look_up_many(keys, |key, value, age| {
        oldest = oldest.max(age);
        each(key, value)
    })?;
    for _ in keys {
        note(Source::Hit, oldest);
    }
    Some(found)
}

#[inline]
fn seen<V>(read: Read<V>) -> Option<V> {
    note(read.source, read.age);
    read.value
}

pub(crate) fn domain_error(error: LoadError) -> Error {
    error
        .source_as::<Error>()
        .cloned()
        .unwrap_or_else(|| Error::unavailable(error))
}
