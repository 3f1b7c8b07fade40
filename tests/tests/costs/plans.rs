//! Tests of query plans: no read and no clear scans a table, or sorts more rows than it returns.

use domain::{AgentId, AgentName, MessageId, RoomId, Seq, UserId};
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement, TransactionTrait,
};

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
    // One quote at each end: a statement may itself end with a quoted name.
    let access = access.trim();
    let access = access.strip_prefix('"').unwrap_or(access);
    let access = access.strip_suffix('"').unwrap_or(access);
    let parts: Vec<_> = access.split("\" \"").collect();
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

/// Runs the reads of polls, of lists and of answers, and a clear. Returns the statements that they
/// execute, without BEGIN, COMMIT and INSERT.
async fn statements_of_reads_and_clears(tab: &OpenTab) -> Vec<String> {
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
        messages.removals(room, Seq(0), 10).await.unwrap();
        messages.find_sent(&user, "a key").await.unwrap();
        let newest = messages.recent(room, None, 1).await.unwrap();
        messages.remove(room, newest[0].id).await.unwrap();
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
    statements
}

/// Returns `true` if a statement may sort: it sorts only rows that it returns, or rows of a limited
/// number.
fn may_sort(sql: &str) -> bool {
    let parts = [
        "newest",
        "FROM members",
        "OVER (ORDER BY id)",
        "json_group_array",
        "AS author (value)",
    ];
    parts.iter().any(|part| sql.contains(part))
}

/// Returns `true` if a step reads an index from one end, but reads few rows. The index
/// `rooms_with_garbage` contains only rooms that are being purged. A list reads the index
/// `agents_living` from its end, up to the limit.
fn reads_few(step: &str) -> bool {
    step.contains("rooms_with_garbage") || step.contains("agents_living")
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_clears_use_indexes() {
    let _guard = crate::run_alone().await;
    let tab = OpenTab::open(|_| {}).await;
    let statements = statements_of_reads_and_clears(&tab).await;
    let database = tab.server.folder().join("greenroom.db");
    let connection = Database::connect(format!("sqlite:{}", database.display()))
        .await
        .unwrap();
    assert!(
        statements
            .iter()
            .any(|sql| sql.contains("json_group_array"))
    );
    for sql in &statements {
        let plan = plan_of(&connection, sql).await;
        let costly: Vec<_> = costly(&plan)
            .into_iter()
            .filter(|step| !(may_sort(sql) && step.contains("TEMP B-TREE") || reads_few(step)))
            .collect();
        assert!(costly.is_empty(), "{sql}\n{plan:#?}");
    }
    // Checks that this test recognizes a scan.
    let plan = plan_of(&connection, "SELECT id FROM rooms WHERE last_error = $1").await;
    assert_eq!(costly(&plan).len(), 1, "{plan:?}");
    connection.close().await.unwrap();
    tab.server.end().await;
}

/// Statements that add many rooms, agents and messages to PostgreSQL and then count them, so that
/// the planner sees large tables.
const GROWTH: &str = "
    INSERT INTO rooms (owner, name, created_at)
        SELECT 'owner ' || n % 50, 'room ' || n, 0 FROM generate_series(1, 2000) n;
    INSERT INTO agents (id, name, config_file, created_at)
        SELECT 1000 + n, 'agent ' || n, 'agent ' || n || '/agent.yaml', 0
        FROM generate_series(1, 2000) n;
    INSERT INTO messages (room_id, seq, agent_id, content, role, timestamp)
        SELECT rooms.id, n, agents.id, 'a message', 'assistant', 0
        FROM generate_series(1, 100) n
        CROSS JOIN (SELECT id FROM rooms ORDER BY id DESC LIMIT 1000) rooms
        JOIN agents ON agents.name = 'agent ' || (rooms.id + n) % 2000 + 1;
    INSERT INTO images (message_id, data) SELECT id, 'aGVsbG8=' FROM messages WHERE id % 50 = 0;
    INSERT INTO members (room_id, agent_id, joined_after_seq, joined_at, place)
        SELECT DISTINCT room_id, agent_id, 0, 0, agent_id FROM messages WHERE agent_id > 1000;
    INSERT INTO sessions (room_id, agent_id, session_id)
        SELECT room_id, agent_id, 'session' FROM members WHERE agent_id > 1000;
    INSERT INTO answer_counts (room_id, agent_id, answers)
        SELECT room_id, agent_id, 1 FROM members WHERE agent_id > 1000;
    INSERT INTO read_positions (user_id, room_id, read_seq, read_at)
        SELECT 'owner ' || id % 50, id, 0, 0 FROM rooms WHERE id > 1;
    INSERT INTO removals (room_id, seq, message_id) SELECT id, 1000, 1 FROM rooms WHERE id > 1;
    INSERT INTO sent_keys (user_id, send_key, digest, room_id, message_id, sent_at)
        SELECT 'owner ' || n % 50, 'key ' || n, '', 1, 1, 0 FROM generate_series(1, 2000) n;
    INSERT INTO snapshots (agent_id, persona) SELECT id, '{}' FROM agents WHERE id > 1000;
    ANALYZE;";

/// Returns the plan of a statement for parameters that the planner does not know.
async fn postgres_plan_of(connection: &DatabaseConnection, sql: &str) -> Vec<String> {
    let count = (1..100)
        .take_while(|n| sql.contains(&format!("${n}")))
        .count();
    let arguments = vec!["NULL"; count].join(", ");
    let arguments = if count == 0 {
        String::new()
    } else {
        format!("({arguments})")
    };
    let transaction = connection.begin().await.unwrap();
    let prepare = format!("SET LOCAL plan_cache_mode = force_generic_plan; PREPARE plan AS {sql}");
    transaction.execute_unprepared(&prepare).await.unwrap();
    let explain = format!("EXPLAIN (COSTS OFF) EXECUTE plan{arguments}");
    let rows = transaction
        .query_all_raw(Statement::from_string(DbBackend::Postgres, explain))
        .await
        .unwrap();
    transaction
        .execute_unprepared("DEALLOCATE plan")
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    rows.iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect()
}

/// Returns the steps of a plan of PostgreSQL that read a whole table or index, or sort rows for a
/// limit. A sort without a limit above it sorts only rows that the statement returns.
fn costly_on_postgres(plan: &[String]) -> Vec<&String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let has_condition = |at: usize| {
        let details = plan[at + 1..]
            .iter()
            .take_while(|line| !line.contains("->") && indent(line) > indent(&plan[at]));
        details.into_iter().any(|line| line.contains("Index Cond:"))
    };
    let has_limit = |at: usize| {
        let above = plan[..at].iter();
        above
            .into_iter()
            .any(|line| line.contains("Limit") && indent(line) < indent(&plan[at]))
    };
    plan.iter()
        .enumerate()
        .filter(|(at, step)| {
            step.contains("Seq Scan")
                || (step.contains("Sort Key") && has_limit(*at))
                || (step.contains("Index") && step.contains("Scan using") && !has_condition(*at))
        })
        .map(|(_, step)| step)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_clears_use_indexes_on_postgresql() {
    // Before the database is created, because the creation would disturb another cost test.
    let _guard = crate::run_alone().await;
    let Some(database) = tests::postgres::database("plans on postgres").await else {
        return;
    };
    let tab = OpenTab::open(|settings| settings.database.clone_from(&database)).await;
    let statements = statements_of_reads_and_clears(&tab).await;
    let connection = Database::connect(&database).await.unwrap();
    connection.execute_unprepared(GROWTH).await.unwrap();
    for sql in &statements {
        let plan = postgres_plan_of(&connection, sql).await;
        let costly: Vec<_> = costly_on_postgres(&plan)
            .into_iter()
            .filter(|step| !(may_sort(sql) && step.contains("Sort Key") || reads_few(step)))
            .collect();
        assert!(costly.is_empty(), "{costly:#?} in\n{sql}\n{plan:#?}");
    }
    // Checks that this test recognizes a scan.
    let plan = postgres_plan_of(&connection, "SELECT id FROM rooms WHERE last_error = $1").await;
    assert_eq!(costly_on_postgres(&plan).len(), 1, "{plan:?}");
    connection.close().await.unwrap();
    tab.server.end().await;
}
