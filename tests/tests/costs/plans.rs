//! Tests of SQLite's query plans: no read and no clear scans a table, or sorts more rows than it
//! returns.

use domain::{AgentId, AgentName, MessageId, RoomId, UserId};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use crate::tab::{OpenTab, count_accesses};

/// The names of the tables, and the aliases that statements use for them.
const TABLES: [&str; 12] = [
    "agents",
    "answer_counts",
    "images",
    "members",
    "messages",
    "read_positions",
    "rooms",
    "sessions",
    "a",
    "i",
    "m",
    "r",
];

/// Returns the SQL text of a counted statement.
fn text_of(access: &str) -> String {
    let parts: Vec<_> = access.trim().trim_matches('"').split("\" \"").collect();
    // The first part is a summary. The second one is empty if the summary is the whole text.
    let text = parts[1..].iter().find(|part| !part.is_empty());
    let text = text.unwrap_or(&parts[0]);
    text.replace("\\n", " ").replace("\\\"", "\"")
}

async fn plan_of(connection: &DatabaseConnection, sql: &str) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {sql}");
    let rows = connection
        .query_all_raw(Statement::from_string(DbBackend::Sqlite, sql))
        .await
        .unwrap();
    rows.iter()
        .map(|row| row.try_get("", "detail").unwrap())
        .collect()
}

/// Returns the steps of a plan that scan a table or sort.
fn costly(plan: &[String]) -> Vec<&String> {
    let scans_table = |step: &str| {
        step.strip_prefix("SCAN ")
            .is_some_and(|rest| TABLES.contains(&rest.split(' ').next().unwrap_or(rest)))
    };
    plan.iter()
        .filter(|step| scans_table(step) || step.contains("TEMP B-TREE"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_clears_use_indexes() {
    let _guard = crate::run_alone().await;
    let tab = OpenTab::open(|_| {}).await;
    let ports = &tab.server.app().cache.bypassing;
    let (room, agent, user) = (RoomId(tab.room), AgentId(tab.agent), UserId::admin());
    let (messages, rooms, positions) = (&ports.messages, &ports.rooms, &ports.read_positions);
    let ((), accesses) = count_accesses(async {
        rooms.find(room).await.unwrap();
        rooms.find_many(&[room]).await.unwrap();
        rooms.list_by_owner(&user, None, 10).await.unwrap();
        rooms.list_by_owner(&user, Some(room), 10).await.unwrap();
        ports.agents.list(None, 10).await.unwrap();
        ports.agents.list(Some(agent), 10).await.unwrap();
        let name = AgentName::parse("Ada").unwrap();
        ports.agents.find_named(&name).await.unwrap();
        rooms.find_direct(&user, agent).await.unwrap();
        rooms.activities(&[room]).await.unwrap();
        messages.recent(room, None, 10).await.unwrap();
        messages.since(room, MessageId(1), 10).await.unwrap();
        messages.since_answer(room, agent, 10).await.unwrap();
        messages.answer_counts(room).await.unwrap();
        messages.end(room, 10).await.unwrap();
        messages.images(room, &[MessageId(1)]).await.unwrap();
        let authors = [agent, AgentId(99)];
        let found = messages
            .by_authors(room, &authors, Some(MessageId(1)), 10)
            .await;
        assert_eq!(found.unwrap().len(), 10);
        positions.find(&user, room).await.unwrap();
        positions.find_many(&user, &[room]).await.unwrap();
        ports.sessions.list(room).await.unwrap();
        ports.agents.find_many(&[agent]).await.unwrap();
        ports.configs.find(agent).await.unwrap();
        messages.clear(room).await.unwrap();
    })
    .await;
    let statements: Vec<_> = accesses
        .iter()
        .map(|access| text_of(access))
        .filter(|text| {
            let verbs = ["SELECT", "UPDATE", "DELETE"];
            verbs.iter().any(|verb| text.trim_start().starts_with(verb))
        })
        .collect();
    assert!(statements.len() >= 16, "{statements:#?}");
    let database = tab.server.folder().join("greenroom.db");
    let connection = Database::connect(format!("sqlite:{}", database.display()))
        .await
        .unwrap();
    let by_author = |sql: &&String| sql.contains("json_group_array");
    assert!(statements.iter().any(|sql| by_author(&sql)));
    for sql in &statements {
        let plan = plan_of(&connection, sql).await;
        // These statements sort only rows that they return, or rows of a limited number.
        let sorts_few = ["newest", "FROM members", "OVER (ORDER BY id)"]
            .iter()
            .any(|part| sql.contains(part))
            || by_author(&sql);
        // The index `rooms_with_garbage` contains only rooms that are being purged. A list reads
        // the index `agents_living` from its end, up to the limit.
        let is_expected = |step: &&String| {
            (sorts_few && step.contains("TEMP B-TREE"))
                || step.contains("rooms_with_garbage")
                || step.contains("agents_living")
        };
        let costly: Vec<_> = costly(&plan)
            .into_iter()
            .filter(|step| !is_expected(step))
            .collect();
        assert!(costly.is_empty(), "{sql}\n{plan:#?}");
    }
    // Checks that this test recognizes a scan.
    let plan = plan_of(&connection, "SELECT id FROM rooms WHERE last_error = $1").await;
    assert_eq!(costly(&plan).len(), 1, "{plan:?}");
    connection.close().await.unwrap();
    tab.server.end().await;
}
