//! Tests of the agents' answers: which agents answer, in which order, and to which messages.

mod bounds;
mod conversation;
mod fixture;
mod order;
mod rounds;
mod stops;
