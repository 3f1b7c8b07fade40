//! The changes of an in-memory store that several processes share.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use domain::{Began, Change, Changes, Error, Message, Result, RoomId, Seq};

use super::Memory;

#[async_trait]
impl Changes for Memory {
    async fn begin(&self) -> Result<Began> {
        let tables = self.tables();
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        if cursor.is_some() {
            return Ok(Began::WentOn);
        }
        *cursor = Some(tables.log.changes.len());
        Ok(Began::Anew)
    }

    async fn next(&self) -> Result<Vec<Change>> {
        let tables = self.tables();
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cursor) = cursor.as_mut() else {
            return Err(Error::Invalid(
                "`Changes::next` is called before `Changes::begin`".into(),
            ));
        };
        let changes = &tables.log.changes[*cursor..];
        let others = changes.iter().filter(|(node, _)| Some(*node) != self.node);
        let others = others.map(|(_, change)| change.clone()).collect();
        *cursor = tables.log.changes.len();
        Ok(others)
    }

    async fn messages(&self, appended: &[(RoomId, Seq)]) -> Result<Vec<Arc<Message>>> {
        let tables = self.tables();
        let message = |(room, seq): &(RoomId, Seq)| {
            let mut messages = tables.rooms.get(room)?.messages.iter();
            messages.find(|message| message.seq == *seq).cloned()
        };
        Ok(appended.iter().filter_map(message).collect())
    }
}
