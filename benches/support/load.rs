//! A load generator over plain sockets: it must cost less than what it measures.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A keep-alive HTTP/1.1 connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: vec![0; 64 * 1024],
        }
    }

    /// Sends a request and reads the whole answer; its status and body.
    pub fn exchange(&mut self, request: &[u8], body: &[u8]) -> (u16, &[u8]) {
        self.stream.write_all(request).unwrap();
        self.stream.write_all(body).unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(read > 0, "the server closed the connection");
            filled += read;
            if let Some((head, length)) = head(&self.buffer[..filled])
                && filled >= head + length
            {
                let status = std::str::from_utf8(&self.buffer[9..12]).unwrap().parse().unwrap();
                return (status, &self.buffer[head..head + length]);
            }
        }
    }
}

/// The length of the head, and of the body it announces.
fn head(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let name = b"content-length: ";
    let at = memchr::memmem::find(&bytes[..end], name)? + name.len();
    let digits = bytes[at..end].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    Some((end, length))
}

pub fn get(path: &str, key: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n\r\n").into_bytes()
}

pub fn post_lines(key: &str, length: usize) -> Vec<u8> {
    format!(
        "POST /sessions/track HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// Requests a second over `connections` keep-alive connections for a while; every answer must be 200.
pub fn rate(address: &str, request: &[u8], connections: usize, duration: Duration) -> f64 {
    let stop = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut connection = Connection::open(address);
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(connection.exchange(request, b"").0, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(duration);
        stop.store(true, Ordering::Relaxed);
    });
    answered.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}
