//! A connection that is kept, as cheap as can be, so that what is measured is the server.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

/// One request at a time.
pub struct Connection {
    stream: TcpStream,
    token: String,
    bytes: Vec<u8>,
}

impl Connection {
    /// Connects; every request carries this token.
    pub fn open(address: SocketAddr, token: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket takes it");
        Self {
            stream,
            token: token.to_owned(),
            bytes: Vec::with_capacity(65_536),
        }
    }

    /// Head and body of the answer.
    pub fn ask(&mut self, path: &str) -> (String, Vec<u8>) {
        self.send(path);
        self.receive()
    }

    /// Asks, and does not wait.
    pub fn send(&mut self, path: &str) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\n\r\n",
            self.token
        );
        self.stream
            .write_all(request.as_bytes())
            .expect("it listens");
    }

    /// Head and body of what was asked.
    pub fn receive(&mut self) -> (String, Vec<u8>) {
        self.bytes.clear();
        let mut chunk = [0; 16_384];
        loop {
            let read = self.stream.read(&mut chunk).expect("it answers");
            assert!(read > 0, "cut off");
            self.bytes.extend_from_slice(&chunk[..read]);
            let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .expect("it has a length");
            let length: usize = length.parse().expect("a length is a number");
            if self.bytes.len() == end + 4 + length {
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                return (head, self.bytes[end + 4..].to_vec());
            }
        }
    }
}
