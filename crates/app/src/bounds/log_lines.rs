//! A bound on the log lines that refused requests cause.

use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use axum::http::StatusCode;

/// The number of lines a second. A line has at most 500 bytes, so refusals fill at most 3 GB a day.
const LINES: usize = 64;

/// The log lines of refusals: in each second, one for each address and status. Other refusals are
/// counted, and the counts are logged later.
///
/// Without this bound, a client could fill the disk with refused requests, which cost it little.
#[derive(Debug)]
pub(crate) struct LogLines {
    began: Instant,
    second: Mutex<Second>,
}

/// The refusals of one second.
#[derive(Debug, Default)]
struct Second {
    /// The second after `began`.
    number: u64,
    /// The refusals that have no line of their own.
    by_sender: HashMap<(IpAddr, StatusCode), u64>,
    /// The refusals of addresses beyond [`LINES`].
    of_others: u64,
}

/// The log lines that a refused request causes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Admission {
    /// `true` if this refusal gets a line.
    pub(crate) has_line: bool,
    /// Earlier refusals that got no line.
    pub(crate) earlier: Vec<Unlogged>,
}

/// Refusals within one second that got no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unlogged {
    /// The sender and the status; `None` for many senders together.
    pub(crate) sender: Option<(IpAddr, StatusCode)>,
    pub(crate) requests: u64,
}

impl Default for LogLines {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            second: Mutex::default(),
        }
    }
}

impl LogLines {
    /// Counts a refusal, and returns what to log.
    pub(crate) fn admit(&self, address: IpAddr, status: StatusCode) -> Admission {
        self.admit_at(address, status, self.began.elapsed().as_secs())
    }

    /// Returns the refusals that got no line until now, and counts anew.
    pub(crate) fn take(&self) -> Vec<Unlogged> {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Second {
            number: second.number,
            ..Second::default()
        };
        mem::replace(&mut *second, next).unlogged()
    }

    fn admit_at(&self, address: IpAddr, status: StatusCode, number: u64) -> Admission {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let mut admission = Admission::default();
        if number > second.number {
            let next = Second {
                number,
                ..Second::default()
            };
            admission.earlier = mem::replace(&mut *second, next).unlogged();
        }
        if let Some(unlogged) = second.by_sender.get_mut(&(address, status)) {
            *unlogged += 1;
        } else if second.by_sender.len() < LINES {
            second.by_sender.insert((address, status), 0);
            admission.has_line = true;
        } else {
            second.of_others += 1;
        }
        admission
    }
}

impl Unlogged {
    /// Logs the number of these refusals.
    pub(crate) fn log(&self) {
        let requests = self.requests;
        if let Some((address, status)) = self.sender {
            let status = status.as_u16();
            tracing::info!(target: "audit", %address, status, requests, "more requests refused");
        } else {
            tracing::info!(target: "audit", requests, "requests of other addresses refused");
        }
    }
}

impl Second {
    fn unlogged(self) -> Vec<Unlogged> {
        let by_sender = self.by_sender.into_iter();
        by_sender
            .map(|(sender, requests)| (Some(sender), requests))
            .chain([(None, self.of_others)])
            .filter(|(_, requests)| *requests > 0)
            .map(|(sender, requests)| Unlogged { sender, requests })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_one_line_a_second_for_each_status_and_its_other_refusals_are_counted() {
        let lines = LogLines::default();
        let [one, other] = [1, 2].map(|host| IpAddr::from([10, 0, 0, host]));
        let missing = StatusCode::NOT_FOUND;
        let line = Admission {
            has_line: true,
            earlier: Vec::new(),
        };
        assert_eq!(lines.admit_at(one, missing, 5), line);
        assert_eq!(lines.admit_at(one, missing, 5), Admission::default());
        assert_eq!(lines.admit_at(one, missing, 5), Admission::default());
        assert_eq!(lines.admit_at(one, StatusCode::CONFLICT, 5), line);
        assert_eq!(lines.admit_at(other, missing, 5), line);
        let next = lines.admit_at(other, missing, 7);
        let earlier = Unlogged {
            sender: Some((one, missing)),
            requests: 2,
        };
        assert!(next.has_line);
        assert_eq!(next.earlier, [earlier]);
        // Without a further refusal, the rest is taken.
        assert_eq!(lines.admit_at(other, missing, 7), Admission::default());
        let rest = Unlogged {
            sender: Some((other, missing)),
            requests: 1,
        };
        assert_eq!(lines.take(), [rest]);
        assert_eq!(lines.take(), []);
    }

    #[test]
    fn many_addresses_together_get_a_bounded_number_of_lines() {
        let lines = LogLines::default();
        let admit = |host: u32, second| {
            let address = std::net::Ipv4Addr::from(host).into();
            lines.admit_at(address, StatusCode::NOT_FOUND, second)
        };
        let logged = (0..1_000).filter(|host| admit(*host, 0).has_line).count();
        assert_eq!(logged, LINES);
        let unlogged = Unlogged {
            sender: None,
            requests: 1_000 - LINES as u64,
        };
        assert_eq!(admit(0, 1).earlier, [unlogged]);
    }
}
