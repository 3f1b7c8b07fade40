//! Tests that a client which follows a room receives each message once and in order. This holds for
//! polls and streams, however many messages the client has missed.

mod connections;
mod readers;
mod streams;
mod waits;
