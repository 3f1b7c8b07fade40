//! Tests of the agents' answers: which agents answer, in which order, and to which messages.

mod bounds;
mod conversation;
mod cost;
mod fixture;
mod memories;
mod order;
mod places;
mod restarts;
mod rounds;
mod stops;
