//! A TCP proxy on loopback that delays all data, as a network does.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::unbounded_channel,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until},
};

/// The size of the buffer for one read. Larger than the statements and rows of the tests.
const BUFFER: usize = 64 * 1024;

/// A running proxy. It ends when the value is dropped.
pub struct SlowLink {
    port: u16,
    round_trips: Arc<AtomicU64>,
    task: AbortHandle,
}

impl SlowLink {
    /// Starts a proxy to a port of 127.0.0.1. Data takes half of `round_trip` in each direction.
    /// Each delay is rounded up to the next millisecond, which is the precision of the timer.
    pub async fn start(port: u16, round_trip: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback has a free port");
        let own = listener.local_addr().expect("a listener has an address");
        let round_trips = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(accept(listener, port, round_trip / 2, round_trips.clone()));
        Self {
            port: own.port(),
            round_trips,
            task: task.abort_handle(),
        }
    }

    /// Returns the port that clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the number of times that a client has sent data after it received data or connected.
    pub fn round_trips(&self) -> u64 {
        // Relaxed: the number is not used to order other accesses.
        self.round_trips.load(Ordering::Relaxed)
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts connections. If the future is dropped, all connections end.
async fn accept(listener: TcpListener, port: u16, delay: Duration, round_trips: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            return;
        };
        let round_trips = round_trips.clone();
        connections.spawn(async move {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
                return;
            };
            // Without this option, Nagle's algorithm could add a delay.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let is_answered = AtomicBool::new(true);
            // Relaxed accesses: the flag and the count order no other accesses.
            tokio::join!(
                forward(from_client, to_server, delay, || {
                    if is_answered.swap(false, Ordering::Relaxed) {
                        round_trips.fetch_add(1, Ordering::Relaxed);
                    }
                }),
                forward(from_server, to_client, delay, || {
                    is_answered.store(true, Ordering::Relaxed);
                }),
            );
        });
    }
}

/// Forwards data after a delay, until the source ends or the target is closed. Calls `seen` after
/// each read from the source.
async fn forward(
    mut source: impl AsyncRead + Unpin,
    mut target: impl AsyncWrite + Unpin,
    delay: Duration,
    seen: impl Fn(),
) {
    let (sender, mut receiver) = unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; BUFFER];
        while let Ok(length @ 1..) = source.read(&mut buffer).await {
            seen();
            if sender
                .send((Instant::now() + delay, buffer[..length].to_vec()))
                .is_err()
            {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, data)) = receiver.recv().await {
            if !delay.is_zero() {
                sleep_until(due).await;
            }
            if target.write_all(&data).await.is_err() {
                return;
            }
        }
        let _ = target.shutdown().await;
    };
    tokio::join!(read, write);
}
