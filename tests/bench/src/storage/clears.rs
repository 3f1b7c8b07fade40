//! Messages in one room while another room with many messages is cleared or deleted.

use std::time::{Duration, Instant};

use domain::RoomId;
use serde_json::json;
use tests::records::create_room;

use super::{
    fill::Filler,
    new_store::{Backend, NewStore},
    traffic::{Traffic, quiet},
};
use crate::{
    error::BenchError,
    measure::{Estimate, micros, percentile},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::RunMode,
};

pub(super) async fn measure(
    mode: RunMode,
    backend: Backend,
    section: &mut Section,
) -> Result<(), BenchError> {
    let count = mode.choose(500_000, 50_000);
    let store = NewStore::open(backend).await?;
    let ports = &store.ports;
    let busy = create_room(ports, "busy").await.id;
    let filler = Filler::connect(&store).await;
    let rooms = [
        create_room(ports, "clear").await.id,
        create_room(ports, "delete").await.id,
    ];
    for room in rooms {
        filler.add_messages(room, count).await;
    }
    let quiet = quiet(mode, ports, busy).await;
    let mut table = Table::new([
        &format!("{}, {count} messages", backend.name()),
        "call",
        "until the last row is deleted",
        "messages meanwhile, median",
        "longest",
    ]);
    table.row([
        "nothing".into(),
        String::new(),
        String::new(),
        millis(percentile(&quiet, 50.0)),
        millis(percentile(&quiet, 100.0)),
    ]);
    let mut raw = json!({"quiet_us": quiet});
    for (what, room) in ["clear", "delete"].into_iter().zip(rooms) {
        let traffic = Traffic::start(ports, busy);
        let start = Instant::now();
        if what == "clear" {
            ports.messages.clear(room).await?;
        } else {
            ports.rooms.delete(room).await?;
        }
        let call = micros(start.elapsed());
        filler.wait_until_purged(room).await;
        let purged = start.elapsed().as_secs_f64();
        let times = traffic.stop().await;
        let longest = percentile(&times, 100.0);
        table.row([
            what.to_owned(),
            millis(call),
            format!("{purged:.1} s"),
            millis(percentile(&times, 50.0)),
            millis(longest),
        ]);
        let ratio = |name: String, value: f64, goal| {
            // The longest of thousands of times varies a lot between runs.
            let estimate = Estimate {
                drift: 20.0,
                ..Estimate::exact(value / 1e3)
            };
            Ratio::plain(name, estimate, goal)
        };
        section.ratios.push(ratio(
            format!("longest message during a {what}, {} (ms)", backend.name()),
            longest,
            Goal::AtMost(50.0),
        ));
        section.ratios.push(ratio(
            format!("call of a {what}, {} (ms)", backend.name()),
            call,
            Goal::Less,
        ));
        raw[what] = json!({"call_us": call, "purged_s": purged, "messages_us": times});
    }
    section.tables.push(table);
    section.raw[format!("clears on {}", backend.name())] = raw;
    Ok(())
}

fn millis(micros: f64) -> String {
    format!("{:.1} ms", micros / 1e3)
}

impl Filler {
    async fn wait_until_purged(&self, room: RoomId) {
        while self.count_of(room).await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
