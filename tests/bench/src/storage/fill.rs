//! Rows that are written by SQL. The ports would take too long for a million messages, because they
//! write each message in its own transaction.

use domain::{RoomId, UserId};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use super::new_store::NewStore;

/// A connection to the store's database that does not belong to the store.
pub(super) struct Filler(DatabaseConnection);

impl Filler {
    pub(super) async fn connect(store: &NewStore) -> Self {
        let connection = Database::connect(&store.database).await;
        Self(connection.expect("the store's database accepts connections"))
    }

    /// Adds messages of users to a room without messages.
    pub(super) async fn add_messages(&self, room: RoomId, count: i64) {
        let numbers = self.numbers(count);
        let room = room.0;
        self.run(&format!(
            "INSERT INTO messages (room_id, seq, content, role, participant_type, timestamp) \
             SELECT {room}, n, 'message ' || n, 'user', 'user', 0 FROM {numbers}"
        ))
        .await;
        self.run(&format!(
            "UPDATE rooms SET last_seq = {count}, last_message_seq = {count}, \
             last_user_seq = {count}, message_count = {count} WHERE id = {room}"
        ))
        .await;
        self.analyze().await;
    }

    /// Adds `count` rooms. The first ten belong to `owner`, the others to many owners.
    pub(super) async fn add_rooms(&self, count: i64, owner: &UserId) {
        let numbers = self.numbers(count);
        self.run(&format!(
            "INSERT INTO rooms (owner, name, created_at) \
             SELECT CASE WHEN n <= 10 THEN '{owner}' ELSE 'guest-' || (n / 10) END, \
             'room ' || n, 0 FROM {numbers}"
        ))
        .await;
        self.analyze().await;
    }

    /// Returns 1 if a room has a row in the table `messages`, otherwise 0.
    pub(super) async fn count_of(&self, room: RoomId) -> i64 {
        let sql = format!(
            "SELECT COUNT(*) AS count FROM \
             (SELECT id FROM messages WHERE room_id = {} LIMIT 1) one",
            room.0
        );
        let statement = Statement::from_string(self.0.get_database_backend(), sql);
        let row = self.0.query_one_raw(statement).await;
        let row = row.expect("the messages can be counted");
        let row = row.expect("a count is one row");
        row.try_get("", "count").expect("a count is a number")
    }

    /// Returns the SQL of a table with the column `n` that contains the numbers up to `count`.
    fn numbers(&self, count: i64) -> String {
        if self.0.get_database_backend() == DbBackend::Postgres {
            format!("generate_series(1, {count}) AS numbers (n)")
        } else {
            format!(
                "(WITH RECURSIVE numbers (n) AS \
                 (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
                 SELECT n FROM numbers)"
            )
        }
    }

    /// Updates PostgreSQL's statistics, as the server does automatically after a while.
    async fn analyze(&self) {
        if self.0.get_database_backend() == DbBackend::Postgres {
            self.run("ANALYZE").await;
        }
    }

    async fn run(&self, sql: &str) {
        let done = self.0.execute_unprepared(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}
