//! One keep-alive HTTP/1.1 connection: a request's bytes go out, one answer comes in.
//!
//! Lean on purpose, because the load generator shares its processor with what it measures: no
//! allocation per exchange, no timer, no pipelining, answers borrowed from the receive buffer.
//! Whoever calls bounds the time. After an error the connection is of no further use, and whether
//! the server acted on the request is unknown.
//! Bounds: a head of 16 KiB, a body of 4 MiB. Bodies carry `Content-Length`; others are refused.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HEAD_BYTES_MAX: usize = 16 << 10;
const BODY_BYTES_MAX: usize = 4 << 20;
const HEADERS_MAX: usize = 48;

/// Why an exchange has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The server closed before an answer was whole.
    #[error("connection closed after {0} bytes of an answer")]
    Closed(usize),
    /// What came is not an answer this client understands.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
}

/// The head of an answer, and where its body lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// `Idempotent-Replayed: true` stood in it.
    pub replayed: bool,
    /// The server closes after this answer.
    pub close: bool,
    /// Bytes of status line and headers.
    pub head_bytes: usize,
    /// Bytes of the body.
    pub body_bytes: usize,
}

/// One answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Status and the headers that matter here.
    pub head: Head,
    /// The body.
    pub body: &'a [u8],
}

/// A connection that is kept alive.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// The socket's.
    pub async fn open(address: SocketAddr) -> Result<Self, ConnectionError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: vec![0; 4096] })
    }

    /// Sends a request's bytes and waits for its answer.
    ///
    /// # Errors
    /// No answer: the request may or may not have been acted on.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, ConnectionError> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let mut head = None;
        loop {
            if head.is_none() {
                head = Head::parse(self.received.get(..filled).unwrap_or_default())?;
            }
            let whole = head.map_or(usize::MAX, |head| head.head_bytes + head.body_bytes);
            if filled >= whole {
                break;
            }
            if filled == self.received.len() {
                self.received.resize(2 * filled, 0);
            }
            let room = self.received.get_mut(filled..).unwrap_or_default();
            let bytes = self.stream.read(room).await?;
            if bytes == 0 {
                return Err(ConnectionError::Closed(filled));
            }
            filled += bytes;
        }
        let head = head.ok_or(ConnectionError::Closed(filled))?;
        let end = head.head_bytes + head.body_bytes;
        if filled > end {
            return Err(ConnectionError::Malformed("bytes behind the answer"));
        }
        let body = self.received.get(head.head_bytes..end).unwrap_or_default();
        Ok(Answer { head, body })
    }
}

impl Head {
    /// The head at the start of `bytes`; `None`: not whole yet.
    ///
    /// # Errors
    /// The bytes begin no answer this client understands.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, ConnectionError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let status = parsed.parse(bytes).map_err(|_| ConnectionError::Malformed("head"))?;
        let httparse::Status::Complete(head_bytes) = status else {
            return match bytes.len() {
                0..=HEAD_BYTES_MAX => Ok(None),
                _ => Err(ConnectionError::Malformed("head over 16 KiB")),
            };
        };
        let mut head = Self {
            status: parsed.code.unwrap_or(0),
            replayed: false,
            close: parsed.version == Some(0),
            head_bytes,
            body_bytes: 0,
        };
        let length = head.read_headers(parsed.headers)?;
        let bodyless = matches!(head.status, 204 | 304);
        head.body_bytes = match length {
            _ if head.status < 200 => return Err(ConnectionError::Malformed("interim answer")),
            Some(length) if length > BODY_BYTES_MAX => {
                return Err(ConnectionError::Malformed("body over 4 MiB"));
            }
            _ if bodyless => 0,
            Some(length) => length,
            None => return Err(ConnectionError::Malformed("no Content-Length")),
        };
        Ok(Some(head))
    }

    /// Takes what matters; gives the `Content-Length`.
    fn read_headers(
        &mut self,
        headers: &[httparse::Header<'_>],
    ) -> Result<Option<usize>, ConnectionError> {
        let mut length = None;
        for header in headers {
            // The lengths tell these names apart from nearly all others.
            match header.name.len() {
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    let text = std::str::from_utf8(header.value).unwrap_or_default();
                    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                    let value = text.parse().ok().filter(|_| digits);
                    let value = value.ok_or(ConnectionError::Malformed("Content-Length"))?;
                    if length.is_some_and(|length| length != value) {
                        return Err(ConnectionError::Malformed("two Content-Lengths"));
                    }
                    length = Some(value);
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    return Err(ConnectionError::Malformed("Transfer-Encoding"));
                }
                10 if header.name.eq_ignore_ascii_case("connection") => {
                    self.close |= header.value.eq_ignore_ascii_case(b"close");
                }
                19 if header.name.eq_ignore_ascii_case("idempotent-replayed") => {
                    self.replayed = header.value == b"true";
                }
                _ => {}
            }
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn head(text: &str) -> Result<Option<Head>, String> {
        Head::parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn head_tells_status_length_replay_and_close() {
        let text = "HTTP/1.1 201 Created\r\ncontent-LENGTH: 12\r\nIdempotent-Replayed: true\r\n\
                    Connection: Close\r\n\r\n";
        let expected = Head {
            status: 201,
            replayed: true,
            close: true,
            head_bytes: text.len(),
            body_bytes: 12,
        };
        assert_eq!(head(text), Ok(Some(expected)));
        for end in 0..text.len() {
            assert_eq!(head(&text[..end]), Ok(None), "cut at {end}");
        }
    }

    #[test]
    fn heads_this_client_cannot_follow_are_refused() {
        let cases = [
            ("HTTP/1.1 200 OK\r\n\r\n", "no Content-Length"),
            ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "Content-Length"),
            ("HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n", "Content-Length"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "two"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "Transfer-Encoding"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", "4 MiB"),
            ("HTTP/1.1 100 Continue\r\ncontent-length: 0\r\n\r\n", "interim"),
            ("SPDY/9 200 OK\r\n\r\n", "head"),
        ];
        for (text, part) in cases {
            let error = head(text).expect_err(text);
            assert!(error.contains(part), "{text:?}: {error}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_BYTES_MAX));
        assert!(head(&long).expect_err("too long").contains("16 KiB"));
        assert_eq!(
            head("HTTP/1.1 304 Not Modified\r\n\r\n").map(|h| h.map(|h| h.status)),
            Ok(Some(304))
        );
    }

    /// Serves one connection: after each request the next piece list, one write a piece.
    async fn peer(listener: TcpListener, answers: Vec<Vec<&'static str>>) {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut request = vec![0; 1024];
        for pieces in answers {
            assert!(stream.read(&mut request).await.expect("a request") > 0);
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.expect("a listening client");
                stream.flush().await.expect("a listening client");
                tokio::task::yield_now().await;
            }
        }
    }

    fn check(answers: Vec<Vec<&'static str>>, expected: Vec<Result<&'static str, &'static str>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let client = async {
                let mut connection = Connection::open(address).await.expect("a listener");
                for expected in expected {
                    let answer = connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await;
                    match (answer, expected) {
                        (Ok(answer), Ok(body)) => assert_eq!(answer.body, body.as_bytes()),
                        (Err(error), Err(part)) => {
                            assert!(error.to_string().contains(part), "{error}");
                            break;
                        }
                        (answer, expected) => panic!("{answer:?}, not {expected:?}"),
                    }
                }
            };
            tokio::join!(peer(listener, answers), client);
        });
    }

    #[test]
    fn answers_in_pieces_are_put_together_and_the_connection_goes_on() {
        check(
            vec![
                vec!["HTTP/1.1 200 OK\r\nconte", "nt-length: 5\r\n\r\nhe", "llo"],
                vec!["HTTP/1.1 204 No Content\r\n\r\n"],
                vec!["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"],
            ],
            vec![Ok("hello"), Ok(""), Ok("")],
        );
    }

    #[test]
    fn a_cut_answer_and_bytes_behind_one_are_errors() {
        check(
            vec![vec!["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"]],
            vec![Err("closed after 41 bytes")],
        );
        check(
            vec![vec!["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhello"]],
            vec![Err("bytes behind")],
        );
    }
}
