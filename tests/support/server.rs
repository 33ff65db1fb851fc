//! The real binary as a process of its own: started on a free port, asked, stopped, killed.
//!
//! It sees nothing of the caller's settings. A server that is dropped is killed.

#![allow(dead_code, reason = "each test uses its part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest wait for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    output: PathBuf,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// `doorbuster` with these arguments, free of the caller's settings.
pub(crate) fn doorbuster(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorbuster"));
    for (name, _) in std::env::vars_os() {
        let ours = name.to_str().is_some_and(|name| name.starts_with("DOORBUSTER_"));
        if ours || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    doorbuster(arguments).output().expect("the binary runs")
}

impl Answer {
    /// The order it tells of.
    pub(crate) fn order_id(&self) -> String {
        let order_id = self.body.get("order_id").and_then(Value::as_str);
        order_id.unwrap_or_else(|| panic!("no order in {self:?}")).to_owned()
    }
}

impl Server {
    /// Serves `data_dir` with small segments, and waits until it is ready.
    pub(crate) fn start(data_dir: &Path, more: &[&str]) -> Self {
        let mut server = Self::launch(data_dir, more);
        let until = Instant::now() + LIMIT;
        loop {
            match server.get("/readyz") {
                Ok(answer) if answer.status == 200 => return server,
                _ => server.wait_a_little(until),
            }
        }
    }

    /// Serves `data_dir`, and waits until it listens.
    pub(crate) fn launch(data_dir: &Path, more: &[&str]) -> Self {
        let announcement = data_dir.with_extension("announced");
        let output = data_dir.with_extension("log");
        let _ = std::fs::remove_file(&announcement);
        let log = std::fs::File::create(&output).expect("a file for the server's words");
        let mut command = doorbuster(&["serve", "--journal-segment-bytes", "1MiB"]);
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
        command.arg("--announce").arg(&announcement).args(more);
        command.stdout(log.try_clone().expect("a handle")).stderr(log);
        let child = command.spawn().expect("the binary starts");
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), output };
        let until = Instant::now() + LIMIT;
        loop {
            if let Ok(url) = std::fs::read_to_string(&announcement) {
                let address = url.trim().strip_prefix("http://").and_then(|text| text.parse().ok());
                server.address = address.expect("a URL with an address");
                return server;
            }
            server.wait_a_little(until);
        }
    }

    fn wait_a_little(&mut self, until: Instant) {
        if let Some(status) = self.child.try_wait().expect("a child") {
            panic!("the server ended with {status}:\n{}", self.words());
        }
        assert!(Instant::now() < until, "the server took too long:\n{}", self.words());
        std::thread::sleep(LOOK_AGAIN);
    }

    /// What it wrote.
    pub(crate) fn words(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a pid"), signal).expect("it runs");
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return (status, self.words());
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.words());
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// SIGTERM, and its end.
    pub(crate) fn terminate(self) -> (ExitStatus, String) {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// SIGKILL, and its end.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        let status = self.child.wait().expect("a child");
        assert_eq!(status.signal(), Some(9), "{}", self.words());
    }

    /// GET.
    pub(crate) fn get(&self, path: &str) -> std::io::Result<Answer> {
        call(self.address, "GET", path, "", "")
    }

    /// POST of JSON under a key.
    pub(crate) fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        let headers = format!("idempotency-key: {key}\r\ncontent-type: application/json\r\n");
        call(self.address, "POST", path, &headers, &body.to_string()).expect("an answer")
    }

    /// Puts a product in for sale.
    pub(crate) fn create(&self, product_id: &str, stock: u64) {
        let body =
            serde_json::json!({"product_id": product_id, "name": product_id, "stock": stock});
        let answer = self.post("/v1/products", &format!("create-{product_id}"), &body);
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Buys one unit.
    pub(crate) fn buy(&self, product_id: &str, key: &str) -> Answer {
        let body = serde_json::json!({"product_id": product_id, "buyer_id": key, "quantity": 1});
        self.post("/v1/purchases", key, &body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request on a connection of its own.
pub(crate) fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let length = match body.len() {
        0 => String::new(),
        length => format!("content-length: {length}\r\n"),
    };
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    stream.write_all(format!("{head}{headers}{length}\r\n{body}").as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.ok_or(std::io::ErrorKind::InvalidData)?,
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    })
}
