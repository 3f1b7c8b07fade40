//! The table of laws.

mod settle;
mod stage;

use super::Law;
use stage::Stage;

macro_rules! table {
    ($($port:literal $file:ident { $($law:ident)* })*) => {
        /// Every law, port by port.
        pub fn laws() -> Vec<Law> {
            vec![$($(Law {
                name: stringify!($law),
                port: $port,
                run: |r| Box::pin(async move { $file::$law(Stage::new(stringify!($law), r)).await.map_err(String::from) }),
            },)*)*]
        }
    };
}

table! {
    "Settle" settle {
        settling_changes_nothing_that_was_acknowledged
        a_dropped_message_has_landed_when_settled_or_never_lands
        a_dropped_update_of_an_agent_is_whole_or_absent_when_settled
    }
    "Health" settle {
        a_store_in_use_is_healthy
    }
}
