//! Single calls with an answer in JSON: creating, adjusting, reading.
//!
//! Each call has a connection and a time limit of its own. Load goes through
//! [`Connection`] itself.
//! Loopback only, unless a host is allowed by name: a load generator should not meet a stranger's
//! server by a slip of the hand.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::connection::{Connection, ConnectionError};
use crate::request;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes single calls to one server.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Where it is.
    pub address: SocketAddr,
}

/// An answer whose body is JSON, or null when it is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// `Idempotent-Replayed: true` stood in it.
    pub replayed: bool,
    /// The body.
    pub body: Value,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The exchange failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// It took too long.
    #[error("no answer within {} s", CALL_TIMEOUT.as_secs())]
    Timeout,
}

/// Why a URL is not called.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It is no `http://host:port`.
    #[error("{0:?} is not http://HOST:PORT")]
    Form(String),
    /// Its host has no address.
    #[error("{0:?} has no address")]
    Unresolved(String),
    /// It is another machine.
    #[error("{0} is not this machine; say --allow-host {0} if it is yours")]
    Foreign(String),
}

/// The address behind `http://HOST:PORT`, if it is on this machine or its host is `allowed_host`.
///
/// # Errors
/// No such form, no address, or another machine's.
pub fn address_of(url: &str, allowed_host: Option<&str>) -> Result<SocketAddr, UrlError> {
    let form = || UrlError::Form(url.to_owned());
    let authority = url.strip_prefix("http://").ok_or_else(form)?.trim_end_matches('/');
    let (host, _) = authority.rsplit_once(':').ok_or_else(form)?;
    if host.is_empty() || authority.contains(['/', '@', ' ']) {
        return Err(form());
    }
    let mut addresses = authority.to_socket_addrs().map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => form(),
        _ => UrlError::Unresolved(url.to_owned()),
    })?;
    let address = addresses.next().ok_or_else(|| UrlError::Unresolved(url.to_owned()))?;
    if address.ip().is_loopback() || allowed_host == Some(host) {
        Ok(address)
    } else {
        Err(UrlError::Foreign(host.to_owned()))
    }
}

impl Client {
    /// Reads `path`.
    ///
    /// # Errors
    /// No answer.
    pub async fn get(&self, path: &str) -> Result<Reply, CallError> {
        self.call(&request::get(path)).await
    }

    /// Posts `body` to `path` under `key`.
    ///
    /// # Errors
    /// No answer: it may or may not have happened.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Result<Reply, CallError> {
        self.call(&request::post(path, key, &body.to_string())).await
    }

    /// Puts a product in for sale; its name is its id.
    ///
    /// # Errors
    /// No answer, or it was not created.
    pub async fn put_in(&self, product_id: &str, stock: u64) -> anyhow::Result<()> {
        let body = json!({"product_id": product_id, "name": product_id, "stock": stock});
        let reply = self.post("/v1/products", &format!("create-{product_id}"), &body).await?;
        ensure!(reply.status == 201, "creating {product_id}: {} {}", reply.status, reply.body);
        Ok(())
    }

    /// Changes `path` by `body`, or deletes it without one.
    ///
    /// # Errors
    /// No answer: it may or may not have happened.
    pub async fn change(&self, path: &str, body: Option<&Value>) -> Result<Reply, CallError> {
        self.call(&request::change(path, body.map(Value::to_string).as_deref())).await
    }

    async fn call(&self, request: &[u8]) -> Result<Reply, CallError> {
        let exchange = async {
            let mut connection = Connection::open(self.address).await?;
            let answer = connection.exchange(request).await?;
            Ok(Reply {
                status: answer.head.status,
                replayed: answer.head.replayed,
                body: serde_json::from_slice(answer.body).unwrap_or(Value::Null),
            })
        };
        match tokio::time::timeout(CALL_TIMEOUT, exchange).await {
            Ok(reply) => reply,
            Err(_) => Err(CallError::Timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_called() {
        let address = |url: &str| address_of(url, None).map_err(|error| error.to_string());
        assert_eq!(address("http://127.0.0.1:7373/"), Ok(SocketAddr::from(([127, 0, 0, 1], 7373))));
        assert!(address("http://[::1]:7373").is_ok());
        let foreign = address("http://192.0.2.1:80").expect_err("another machine");
        assert!(foreign.contains("--allow-host 192.0.2.1"), "{foreign}");
        assert!(address_of("http://192.0.2.1:80", Some("192.0.2.1")).is_ok());
        assert!(address_of("http://192.0.2.1:80", Some("192.0.2.2")).is_err());
        for wrong in ["127.0.0.1:80", "https://127.0.0.1:1", "http://:80", "http://a@127.0.0.1:1"] {
            assert!(address(wrong).expect_err(wrong).contains("HOST:PORT"), "{wrong}");
        }
    }
}
