//! The table `rooms`: rooms, their activity, and the marks of clears and deletions.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rooms")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub owner: String,
    pub name: String,
    pub direct_agent_id: Option<i64>,
    pub max_interactions: Option<i64>,
    pub is_paused: bool,
    pub finished_seq: Option<i64>,
    pub last_error: Option<String>,
    pub created_at: i64,
    pub version: i64,
    pub last_seq: i64,
    pub last_message_seq: i64,
    pub last_user_seq: i64,
    pub last_activity_at: Option<i64>,
    pub message_count: i64,
    pub cleared_seq: i64,
    pub cleared_id: i64,
    pub has_garbage: bool,
    pub deleted_at: Option<i64>,
    pub removed_seq: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
