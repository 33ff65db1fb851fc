//! Clients that do not go on: they cost little, and not for ever.
#![expect(clippy::disallowed_methods, reason = "measures how long a connection lives")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use doorbuster::http::{HttpOptions, ProblemType as P};
use serde_json::json;

use crate::house::{House, Plan};
use crate::wire::{Ask, Wire};

/// Limits of this test's server together; connections live no longer, but for a slow machine.
const AT_MOST: Duration = Duration::from_secs(8);

fn impatient() -> Plan {
    let plan = Plan::default();
    let http = HttpOptions {
        workers: 1,
        head_timeout: Duration::from_millis(500),
        body_timeout: Duration::from_millis(500),
        request_timeout_max: Duration::from_millis(500),
        keep_alive: Duration::from_secs(2),
        ..plan.http
    };
    Plan { http, ..plan }
}

/// Drips one byte at a time until the connection ends.
#[track_caller]
fn ends_while_dripping(mut stream: TcpStream, mut bytes: impl Iterator<Item = u8>) {
    let began = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket has timeouts");
    loop {
        assert!(began.elapsed() < AT_MOST, "still open after {:?}", began.elapsed());
        let sent = stream.write_all(&[bytes.next().expect("a byte")]);
        let ended = match stream.read(&mut [0; 4096]) {
            Ok(bytes) => bytes == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        if ended || sent.is_err() {
            return;
        }
    }
}

fn connect(house: &House, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(house.address).expect("the server listens");
    stream.write_all(bytes).expect("a connection");
    stream
}

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a figure");
    line.split_whitespace().nth(1).expect("a figure").parse().expect("a number")
}

#[test]
fn those_who_never_read_cost_little_and_are_given_up() {
    let house = House::open(impatient());
    for number in 0..50 {
        house.product(&format!("p{number}"), 10, json!({}));
    }
    let asks = b"GET /v1/products HTTP/1.1\r\nhost: x\r\n\r\n".repeat(3_000);
    let before = rss_kib();
    let greedy: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(house.address).expect("the server listens");
            rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096).expect("an option");
            stream.set_nonblocking(true).expect("a socket may not block");
            // What the system does not take at once is for later.
            let _ = stream.write(&asks);
            stream
        })
        .collect();
    let (began, mut most) = (Instant::now(), 0);
    let mut closed = vec![false; greedy.len()];
    while closed.contains(&false) {
        // Filling the buffers of the system takes its time, so this limit is a wide one.
        assert!(began.elapsed() < 4 * AT_MOST, "still open after {:?}", began.elapsed());
        std::thread::sleep(Duration::from_millis(5));
        most = most.max(rss_kib());
        for (mut stream, closed) in greedy.iter().zip(&mut closed) {
            // Sends on, reads never: a reset is all that it can see.
            let sent = stream.write(&asks);
            *closed |= sent.is_err_and(|error| error.kind() != ErrorKind::WouldBlock);
        }
    }
    let each_kib = most.saturating_sub(before) / 50;
    assert!(each_kib < 2_048, "{each_kib} KiB for each that does not read");
    Ask::get("/livez").to(house.address).ok(200);
}

#[test]
fn chunked_body_that_stops_ends_its_connection() {
    let house = House::open(impatient());
    let mut wire = Wire::open(house.address);
    wire.send(b"GET /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n");
    let began = Instant::now();
    wire.receive().expect("an answer").ok(200);
    assert!(wire.receive().is_none());
    assert!(began.elapsed() < AT_MOST, "{:?}", began.elapsed());
}

#[test]
fn chunked_body_that_drips_ends_its_connection_after_its_408() {
    let house = House::open(impatient());
    let head = b"POST /v1/purchases HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 idempotency-key: slow\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut wire = Wire::open(house.address);
    wire.send(head);
    assert_eq!(wire.receive().expect("an answer").problem(), P::RequestTimeout);
    ends_while_dripping(connect(&house, head), b"1\r\n{\r\n".iter().copied().cycle());
}

#[test]
fn chunked_body_without_an_end_ends_its_connection() {
    let house = House::open(impatient());
    let head = b"GET /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut stream = connect(&house, head);
    stream.set_write_timeout(Some(AT_MOST)).expect("a socket has timeouts");
    let began = Instant::now();
    let chunk = [b"8000\r\n".as_slice(), &[b'x'; 0x8000], b"\r\n"].concat();
    while stream.write_all(&chunk).is_ok() {
        assert!(began.elapsed() < AT_MOST, "{:?}", began.elapsed());
    }
}

#[test]
fn slow_head_of_a_later_request_ends_its_connection() {
    let house = House::open(impatient());
    let mut stream = connect(&house, &Ask::get("/livez").bytes());
    assert!(stream.read(&mut [0; 4096]).expect("an answer") > 0);
    ends_while_dripping(stream, b"GET /livez HTTP/1.1\r\nx: ".iter().copied().chain([b'a'; 100]));
}
