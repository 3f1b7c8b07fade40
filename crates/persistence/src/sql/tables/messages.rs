//! The table `messages`: the rooms' logs.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub room_id: i64,
    pub seq: i64,
    pub agent_id: Option<i64>,
    pub content: String,
    pub role: String,
    pub participant_type: Option<String>,
    pub participant_name: Option<String>,
    pub thinking: Option<String>,
    /// A JSON array of texts.
    pub anthropic_calls: Option<String>,
    pub timestamp: i64,
    pub image_media_type: Option<String>,
    pub interrupted: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
