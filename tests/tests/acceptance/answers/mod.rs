//! Agents answer: which of them, when, and to which messages.

mod bounds;
mod conversation;
mod fixture;
mod order;
mod rounds;
mod stops;
