//! A server that does nothing: it finds where a request ends and sends fixed bytes.
//!
//! One thread, no parsing beyond the blank line and `Content-Length`, no HTTP library: what a load
//! costs against it is the client's own cost. It counts what it answered.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::peers::front::announce_at;

const BACKLOG: i32 = 4096;
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// As long as an answer to a purchase.
const BODY_BYTES: usize = 330;
/// What a client of a mix looks for in answers: it asks for them later.
const IDS: &str =
    r#"{"order_id":"o000000000000000000000000","hold_id":"h000000000000000000000000"}"#;

/// A null server that listens.
#[derive(Debug)]
pub struct Null {
    listener: std::net::TcpListener,
    status: u16,
    answered: Arc<AtomicU64>,
}

impl Null {
    /// Listens; `status` is that of every answer to a POST, others get 200.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn bind(listen: SocketAddr, status: u16) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(listen).context("cannot listen")?;
        // Thousands connect at once; the standard queue is short.
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, status, answered: Arc::default() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// How many answers it has sent, whenever it is asked.
    #[must_use]
    pub fn answered(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.answered)
    }

    /// Answers until it is dropped.
    ///
    /// # Errors
    /// The system's.
    pub async fn serve(self) -> anyhow::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // A client that closes or breaks ends its own task alone.
            tokio::spawn(answer(stream, self.status, Arc::clone(&self.answered)));
        }
    }
}

/// Serves until the process is killed; writes its URL once it listens.
///
/// # Errors
/// The address cannot be bound, or the announcement not written.
pub fn serve(listen: SocketAddr, status: u16, announce: Option<&Path>) -> anyhow::Result<()> {
    let null = Null::bind(listen, status)?;
    if let Some(path) = announce {
        announce_at(path, null.address()?).context("cannot announce")?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(null.serve())
}

async fn answer(
    mut stream: TcpStream,
    status: u16,
    answered: Arc<AtomicU64>,
) -> std::io::Result<()> {
    let posted = bytes_of(status);
    let read = bytes_of(200);
    let (mut received, mut filled) = (vec![0; REQUEST_BYTES_MAX], 0);
    loop {
        let came = stream.read(received.get_mut(filled..).unwrap_or_default()).await?;
        if came == 0 {
            return Ok(());
        }
        filled += came;
        // Its clients send one request and wait.
        let request = received.get(..filled).unwrap_or_default();
        if is_whole(request) {
            let probe = request.starts_with(b"GET /readyz");
            stream.write_all(if request.starts_with(b"P") { &posted } else { &read }).await?;
            answered.fetch_add(u64::from(!probe), Ordering::Relaxed);
            filled = 0;
        }
    }
}

fn bytes_of(status: u16) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} Null\r\ncontent-length: {BODY_BYTES}\r\n\
         content-type: application/json\r\n\r\n{IDS:BODY_BYTES$}"
    )
    .into_bytes()
}

/// Head and, where the head tells of one, body have come.
fn is_whole(request: &[u8]) -> bool {
    const LENGTH: &[u8] = b"content-length: ";
    let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let head = request.get(..end).unwrap_or_default();
    let length = head.windows(LENGTH.len()).rposition(|window| window == LENGTH);
    let digits = length.and_then(|start| head.get(start + LENGTH.len()..)).unwrap_or_default();
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let body = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    request.len() >= end + 4 + body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_with_its_last_byte() {
        for text in [
            "GET /x HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST /x HTTP/1.1\r\ncontent-length: 12\r\nhost: a\r\n\r\n{\"a\":\"bcde\"}",
        ] {
            for end in 0..text.len() {
                assert!(!is_whole(&text.as_bytes()[..end]), "cut at {end}");
            }
            assert!(is_whole(text.as_bytes()), "{text}");
        }
    }
}
