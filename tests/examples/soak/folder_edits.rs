//! An agent whose files are edited by a person and by the program.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{Failure, program::Session};

/// The longest time until an edit by hand must be visible.
const NOTICED: Duration = Duration::from_secs(15);

/// The number of the last memories that are compared. Older ones may have been dropped.
const COMPARED: usize = 20;

/// An agent, with the last edit and the acknowledged memories.
pub(crate) struct AgentEdits {
    path: String,
    file: PathBuf,
    priority: i64,
    remembered: Vec<String>,
    /// The number of edits by hand.
    pub(crate) edits: usize,
    /// The number of acknowledged memories.
    pub(crate) memories: usize,
}

impl AgentEdits {
    pub(crate) async fn create(session: &Session, folder: &Path) -> Result<Self, Failure> {
        let body = json!({ "name": "Edited" });
        let agent = session.send(Method::POST, "/agents", body).await?;
        Ok(Self {
            path: format!("/agents/{}", agent["id"]),
            file: folder.join("agents/Edited/agent.yaml"),
            priority: 0,
            remembered: Vec::new(),
            edits: 0,
            memories: 0,
        })
    }

    /// Edits the file and adds memories in turn, until `stop` is set. If `is_calm` is set, each
    /// edit must become visible.
    pub(crate) async fn run(
        &mut self,
        session: &Session,
        stop: &AtomicBool,
        is_calm: bool,
    ) -> Result<(), Failure> {
        while !stop.load(Ordering::Relaxed) {
            if self.edit().is_ok() && is_calm {
                self.wait_until_visible(session, stop).await?;
            }
            let text = format!("memory {}", self.memories + 1);
            let path = format!("{}/memory", self.path);
            let body = json!({ "text": text });
            if session.try_send(Method::POST, &path, &body).await.is_some() {
                self.memories += 1;
                self.remembered.push(text);
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Replaces the line `priority`, as an editor does: by a new file that is renamed into place.
    fn edit(&mut self) -> std::io::Result<()> {
        let text = fs::read_to_string(&self.file)?;
        let priority = self.priority + 1;
        let line = format!("priority: {priority}");
        let kept = text.lines().filter(|line| !line.starts_with("priority:"));
        let mut edited = kept.chain([line.as_str()]).collect::<Vec<_>>().join("\n");
        edited.push('\n');
        let new = self.file.with_extension("edited");
        fs::write(&new, edited)?;
        fs::rename(&new, &self.file)?;
        self.priority = priority;
        self.edits += 1;
        Ok(())
    }

    /// Waits until the last edit is visible, or until `stop` is set.
    async fn wait_until_visible(
        &self,
        session: &Session,
        stop: &AtomicBool,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            let agent = session
                .try_send(Method::GET, &self.path, &Value::Null)
                .await;
            let priority = agent.map(|agent| agent["priority"].clone());
            if priority
                .as_ref()
                .is_some_and(|priority| *priority == self.priority)
            {
                return Ok(());
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if began.elapsed() > NOTICED {
                let edited = self.priority;
                return Err(format!("an edit to {edited} is not noticed: {priority:?}").into());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Compares the agent with the last edit and the acknowledged memories.
    pub(crate) async fn verify(&mut self, session: &Session) -> Result<(), Failure> {
        let never = AtomicBool::new(false);
        self.wait_until_visible(session, &never).await?;
        let agent = session.get(&self.path).await?;
        let stored = agent["recent_events"].as_str().unwrap_or_default();
        let newest = self.remembered.len().saturating_sub(COMPARED);
        for text in &self.remembered[newest..] {
            if !stored.lines().any(|line| line.ends_with(text)) {
                return Err(format!("{text:?} is lost: {stored:?}").into());
            }
        }
        Ok(())
    }
}
