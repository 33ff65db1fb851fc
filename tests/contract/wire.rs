//! A client of its own: writes requests as bytes, so that it can write bad ones, and reads answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use doorbuster::http::{PROBLEM_PREFIX, ProblemType, Retry};
use serde_json::Value;

/// No answer takes longer, or the test fails.
const LIMIT: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| &**value);
        assert!(found.next().is_none(), "{name} twice in {self:?}");
        value
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Its body, once its status is the expected one.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        self.json()
    }

    /// The problem it tells, once everything about it is as it should be.
    #[track_caller]
    pub(crate) fn problem(&self) -> ProblemType {
        self.problem_with(ProblemType::retry)
    }

    /// As [`Self::problem`], told to a request without a key: it is never sent to the same one.
    #[track_caller]
    pub(crate) fn problem_without_key(&self) -> ProblemType {
        self.problem_with(|kind| match kind.retry() {
            Retry::SameKey => Retry::Later,
            retry => retry,
        })
    }

    #[track_caller]
    fn problem_with(&self, retry: impl Fn(ProblemType) -> Retry) -> ProblemType {
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{name}: {self:?}"));
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let name = text("type").strip_prefix(PROBLEM_PREFIX);
        let known = ProblemType::ALL.iter().find(|kind| Some(kind.name()) == name);
        let kind = *known.unwrap_or_else(|| panic!("a type outside the list: {self:?}"));
        assert_eq!(self.status, kind.status(), "{self:?}");
        assert_eq!(body["status"], kind.status(), "{self:?}");
        assert_eq!(text("title"), kind.title());
        assert_eq!(text("retry"), retry(kind).as_str());
        assert!(!text("detail").is_empty(), "{self:?}");
        assert_eq!(Some(text("request_id")), self.header("x-request-id"), "{self:?}");
        assert_eq!(self.header("retry-after"), kind.retry_after(), "{self:?}");
        let errors = body["errors"].as_array();
        assert_eq!(errors.is_some(), kind == ProblemType::Invalid, "{self:?}");
        for error in errors.into_iter().flatten() {
            assert!(error["pointer"].is_string() && error["detail"].is_string(), "{self:?}");
        }
        kind
    }

    /// Where the mistakes of an invalid request are.
    #[track_caller]
    pub(crate) fn pointers(&self) -> Vec<String> {
        assert_eq!(self.problem(), ProblemType::Invalid, "{self:?}");
        let body = self.json();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str().map(str::to_owned)).collect()
    }
}

/// A connection.
pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a socket has timeouts");
        stream.set_write_timeout(Some(LIMIT)).expect("a socket has timeouts");
        Self { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // A server that has said no may close before it has read all.
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// The next answer; `None`: the connection was closed instead.
    pub(crate) fn receive(&mut self) -> Option<Answer> {
        self.receive_after("GET")
    }

    /// The answer to a method: one to HEAD has no body, whatever its length says.
    pub(crate) fn receive_after(&mut self, method: &str) -> Option<Answer> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("a head ends");
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: String::new() };
        let length =
            answer.header("content-length").map_or(0, |text| text.parse().expect("a length"));
        if method != "HEAD" && status != 304 {
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).expect("a body is as long as it says");
            answer.body = String::from_utf8(body).expect("a body is text");
        }
        Some(answer)
    }
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let headers = vec![("host".to_owned(), "localhost".to_owned())];
        Self { method: method.to_owned(), path: path.to_owned(), headers, body: None }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST of JSON under a key.
    pub(crate) fn post(path: &str, key: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new("POST", path).header("idempotency-key", key).with_json(body)
    }

    pub(crate) fn patch(path: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new("PATCH", path).with_json(body)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new("DELETE", path)
    }

    pub(crate) fn with_json(self, body: impl AsRef<[u8]>) -> Self {
        Self { body: Some(body.as_ref().to_vec()), ..self }
            .header("content-type", "application/json")
    }

    /// Adds a header; one of the same name stays.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.body.clone().unwrap_or_default()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if let Some(body) = &self.body {
            bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
        } else {
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }

    /// Sends it over an open connection.
    #[track_caller]
    pub(crate) fn over(&self, wire: &mut Wire) -> Answer {
        wire.send(&self.bytes());
        wire.receive_after(&self.method).unwrap_or_else(|| panic!("no answer to {self:?}"))
    }

    /// Sends it over a connection of its own.
    #[track_caller]
    pub(crate) fn to(&self, address: SocketAddr) -> Answer {
        self.over(&mut Wire::open(address))
    }
}
