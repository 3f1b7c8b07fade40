//! A minimal HTTP client on one persistent connection. It costs so little that the server
//! dominates the measured time.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

/// A persistent connection that sends one request at a time.
pub struct Connection {
    stream: TcpStream,
    token: String,
    received: Vec<u8>,
}

/// The response to a request.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The status line and the headers.
    pub head: String,
    /// The bytes of the body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects to a server. Every request carries this token.
    pub fn open(address: SocketAddr, token: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts connections");
        // Without TCP_NODELAY, the kernel would delay small requests.
        stream
            .set_nodelay(true)
            .expect("a TCP socket accepts TCP_NODELAY");
        Self {
            stream,
            token: token.to_owned(),
            received: Vec::with_capacity(65_536),
        }
    }

    /// Sends a request and waits for its response. Panics unless the status is 200.
    pub fn get(&mut self, path: &str) -> HttpResponse {
        self.send(path);
        self.receive()
    }

    /// Sends a request without waiting for its response.
    pub fn send(&mut self, path: &str) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\n\r\n",
            self.token
        );
        self.stream
            .write_all(request.as_bytes())
            .expect("the server keeps the connection open");
    }

    /// Waits for the response to the last request. Panics unless the status is 200.
    pub fn receive(&mut self) -> HttpResponse {
        self.received.clear();
        let mut chunk = [0; 16_384];
        loop {
            let length = self
                .stream
                .read(&mut chunk)
                .expect("the server keeps the connection open");
            assert!(length > 0, "the server closed the connection");
            self.received.extend_from_slice(&chunk[..length]);
            let end = self
                .received
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n");
            let Some(end) = end else {
                continue;
            };
            let head = String::from_utf8_lossy(&self.received[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .expect("the response has a content length");
            let length: usize = length.parse().expect("the content length is a number");
            if self.received.len() == end + 4 + length {
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                let body = self.received[end + 4..].to_vec();
                return HttpResponse { head, body };
            }
        }
    }
}
