//! The room of an open tab, with a counter of the statements that its requests run.

use std::{
    sync::{Mutex, Once, PoisonError},
    time::Duration,
};

use app::Settings;
use cache_adapter::Preset;
use cache_core::{Clock, ManualClock};
use domain::{AgentId, Image, NewMessage, RoomId};
use serde_json::json;
use tests::{
    client::Client,
    server::TestServer,
    store_access::{StoreAccess, StoreAccessLayer},
};
use tracing_subscriber::layer::SubscriberExt;

/// The accesses of the store since the last call of [`count_accesses`]. All threads share one list,
/// because background tasks run on any thread.
static ACCESSES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Runs `work`. Returns its output, and the statements and file reads of the whole process while it
/// ran. File reads by the probe are not included.
pub(crate) async fn count_accesses<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    let take = || std::mem::take(&mut *ACCESSES.lock().unwrap_or_else(PoisonError::into_inner));
    take();
    let output = work.await;
    (output, take())
}

fn record(access: StoreAccess, text: &str) {
    if access != StoreAccess::FileProbe {
        let mut accesses = ACCESSES.lock().unwrap_or_else(PoisonError::into_inner);
        accesses.push(text.to_owned());
    }
}

/// A server on a manual clock, and a room that an open tab shows.
pub(crate) struct OpenTab {
    pub(crate) server: TestServer,
    pub(crate) client: Client,
    pub(crate) hand: ManualClock,
    pub(crate) room: i64,
    /// The id of the room's second agent.
    pub(crate) agent: i64,
}

impl OpenTab {
    /// Creates a room with two agents, 50 messages and some images.
    pub(crate) async fn open(change: impl FnOnce(&mut Settings)) -> Self {
        static SUBSCRIBE: Once = Once::new();
        SUBSCRIBE.call_once(|| {
            tracing::subscriber::set_global_default(
                tracing_subscriber::registry().with(StoreAccessLayer(record)),
            )
            .expect("this is the only global subscriber of the test binary");
        });
        let (clock, hand) = Clock::manual();
        let server = TestServer::start_with_clock(clock, |settings| {
            settings.cache.preset = Preset::Coherent;
            change(settings);
        })
        .await;
        let client = server.client();
        let room = client.create_room("tea").await;
        let mut agent = 0;
        for name in ["Ada", "Bob"] {
            let persona = json!({ "in_a_nutshell": "calm" });
            agent = client.create_agent_with(name, persona).await;
            client.add_member(room, agent).await;
        }
        let tab = Self {
            server,
            client,
            hand,
            room,
            agent,
        };
        let image = Image {
            media_type: "image/png".into(),
            data: "aGVsbG8=".into(),
        };
        for number in 0..50 {
            let image = (number % 10 == 0).then(|| image.clone());
            tab.append(&format!("message {number}"), image).await;
        }
        tab
    }

    /// Appends an agent's message through the cache.
    pub(crate) async fn append(&self, text: &str, image: Option<Image>) {
        let new = NewMessage {
            image,
            ..NewMessage::from_agent(RoomId(self.room), AgentId(self.agent), text)
        };
        let messages = &self.server.app().cache.repositories.messages;
        messages.append(new).await.unwrap();
    }

    /// Returns the path of a poll for messages above `since`.
    pub(crate) fn poll_path(&self, since: i64) -> String {
        format!("/rooms/{}/messages/poll?since_id={since}", self.room)
    }

    /// Returns the id of the newest message.
    pub(crate) async fn newest_id(&self) -> i64 {
        let path = format!("/rooms/{}/messages/poll?limit=1", self.room);
        self.client.get(&path).await.ids()[0]
    }

    /// Sets the modification times of the files of the agent Bob back by a minute. The store reads
    /// files again if they were changed within the last two seconds, because a later change may
    /// have the same time.
    pub(crate) fn backdate_bobs_files(&self) {
        for file in ["agent.yaml", "memory.yaml"] {
            let path = self.server.folder().join("agents/Bob").join(file);
            let file = std::fs::File::options().write(true).open(path).unwrap();
            let modified = file.metadata().unwrap().modified().unwrap();
            file.set_modified(modified - Duration::from_mins(1))
                .unwrap();
        }
    }
}
