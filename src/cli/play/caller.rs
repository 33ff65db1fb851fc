//! One keep-alive connection to a server, and what an answer on it says.
//!
//! Each [`Caller`] holds at most one connection, so as many callers are as many real connections.
//! Whether a request whose answer did not come was acted on is unknown, unless no connection was
//! made at all. Bounds: 10 s for an answer, 1 MiB of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use awc::error::{ConnectError, SendRequestError};
use serde_json::Value;
use tokio::sync::Notify;

const CALL_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const IDLE_LIMIT: Duration = Duration::from_secs(60);
const BODY_BYTES_MAX: usize = 1 << 20;

/// Where the server is now, and with which key it is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target(Rc<TargetInner>);

#[derive(Default)]
struct TargetInner {
    base_url: RefCell<String>,
    bearer: Option<String>,
    /// Told when all connections are cut.
    cut: Notify,
}

/// One connection's worth of calls.
pub(crate) struct Caller {
    client: awc::Client,
    target: Target,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// Status code.
    pub(crate) status: u16,
    /// It was given before and is given again.
    pub(crate) replayed: bool,
    /// When to ask again.
    pub(crate) retry_after: Option<Duration>,
    /// The body; null when it is no JSON.
    pub(crate) body: Value,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// No connection: the server heard nothing.
    #[error("cannot connect: {0}")]
    NotSent(String),
    /// The server may have acted on it.
    #[error("no answer: {0}")]
    Unheard(String),
}

impl std::fmt::Debug for TargetInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base_url.borrow())
    }
}

impl Target {
    /// A server that is asked with an API key.
    pub(crate) fn new(base_url: &str, bearer: Option<String>) -> Self {
        let base_url = RefCell::new(base_url.trim_end_matches('/').to_owned());
        Self(Rc::new(TargetInner { base_url, bearer, cut: Notify::new() }))
    }

    /// From now on the server is there.
    pub(crate) fn lead_to(&self, base_url: &str) {
        *self.0.base_url.borrow_mut() = base_url.trim_end_matches('/').to_owned();
    }

    /// Cuts every connection that waits for an answer to a POST, as when the machine at its other
    /// end goes down: what has arrived of the answer and was not read yet is never heard.
    pub(crate) fn cut(&self) {
        self.0.cut.notify_waiters();
    }

    /// Where it is.
    pub(crate) fn base_url(&self) -> String {
        self.0.base_url.borrow().clone()
    }
}

impl Caller {
    /// A caller without a connection yet.
    pub(crate) fn new(target: &Target) -> Self {
        let connector = awc::Connector::new()
            .limit(1)
            .timeout(CONNECT_LIMIT)
            .conn_keep_alive(IDLE_LIMIT)
            .conn_lifetime(Duration::from_secs(3_600));
        let builder = awc::Client::builder().connector(connector);
        let client = builder.timeout(CALL_LIMIT).disable_redirects().finish();
        Self { client, target: target.clone() }
    }

    /// GET.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn get(&self, path: &str) -> Result<Reply, CallError> {
        let request = self.client.get(self.url(path));
        read(self.with_key(request).send().await).await
    }

    /// POST of JSON under an idempotency key.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn post(
        &self,
        path: &str,
        idempotency_key: &str,
        body: &Value,
    ) -> Result<Reply, CallError> {
        let request = self.client.post(self.url(path));
        let request = request.insert_header(("Idempotency-Key", idempotency_key));
        let cut = self.target.0.cut.notified();
        let answer = async { read(self.with_key(request).send_json(body).await).await };
        tokio::select! {
            biased;
            () = cut => Err(CallError::Unheard("the connection was cut".to_owned())),
            reply = answer => reply,
        }
    }

    /// PATCH of a merge-patch. It has no key: asking again sets the same again.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Reply, CallError> {
        let request = self.client.patch(self.url(path));
        read(self.with_key(request).send_json(body).await).await
    }

    /// DELETE. It has no key: asking again finds it gone.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn delete(&self, path: &str) -> Result<Reply, CallError> {
        let request = self.client.delete(self.url(path));
        read(self.with_key(request).send().await).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.target.0.base_url.borrow())
    }

    fn with_key(&self, request: awc::ClientRequest) -> awc::ClientRequest {
        match &self.target.0.bearer {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }
}

impl Reply {
    /// The name of its problem, such as `sold-out`; empty when it is none.
    pub(crate) fn problem(&self) -> &str {
        problem_of(&self.body)
    }

    /// Status, problem and detail, for a person.
    pub(crate) fn words(&self) -> String {
        let detail = self.body.get("detail").and_then(Value::as_str).unwrap_or_default();
        let errors = self.body.get("errors").map(Value::to_string).unwrap_or_default();
        format!("{} {} {detail} {errors}", self.status, self.problem()).trim().to_owned()
    }
}

/// The name of the problem in a value; empty when it is none.
pub(crate) fn problem_of(value: &Value) -> &str {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    kind.strip_prefix("urn:doorbuster:problem:").unwrap_or_default()
}

async fn read(
    sent: Result<
        awc::ClientResponse<impl futures_util::Stream<Item = Result<Bytes, PayloadError>> + Unpin>,
        SendRequestError,
    >,
) -> Result<Reply, CallError> {
    let mut response = sent.map_err(|error| match error {
        // It was connected: what was sent may have been acted on.
        SendRequestError::Connect(error @ ConnectError::Disconnected) => {
            CallError::Unheard(error.to_string())
        }
        SendRequestError::Connect(error) => CallError::NotSent(error.to_string()),
        SendRequestError::Url(error) => CallError::NotSent(error.to_string()),
        error => CallError::Unheard(error.to_string()),
    })?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let replayed = header("idempotent-replayed") == Some("true");
    let seconds = header("retry-after").and_then(|text| text.parse().ok());
    let status = response.status().as_u16();
    let body = response.body().limit(BODY_BYTES_MAX).await;
    let body = body.map_err(|error| CallError::Unheard(error.to_string()))?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Reply { status, replayed, retry_after: seconds.map(Duration::from_secs), body })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{SocketAddr, TcpListener};

    use super::*;

    fn posted(to: SocketAddr) -> Result<u16, CallError> {
        let target = Target::new(&format!("http://{to}"), None);
        let answer = actix_rt::System::new()
            .block_on(async { Caller::new(&target).post("/v1/orders", "key", &Value::Null).await });
        answer.map(|reply| reply.status)
    }

    #[test]
    fn request_that_was_sent_and_not_answered_may_have_been_acted_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hears = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            assert!(connection.read(&mut head).unwrap() > 0);
        });
        let answer = posted(address);
        assert!(matches!(answer, Err(CallError::Unheard(_))), "{answer:?}");
        hears.join().unwrap();
    }

    #[test]
    fn request_that_found_nobody_was_not_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let answer = posted(address);
        assert!(matches!(answer, Err(CallError::NotSent(_))), "{answer:?}");
    }
}
