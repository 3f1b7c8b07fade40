//! A client that follows a room gets each message once and in order, however it follows the room
//! and however far it is behind.

mod connections;
mod readers;
mod streams;
mod waits;
