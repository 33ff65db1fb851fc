//! Where a test keeps a data directory and its backup, and the commands it runs on them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{LIMIT, Server, doorbuster, run};

const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Directories that go when the test ends.
pub(crate) struct House {
    place: tempfile::TempDir,
}

impl House {
    pub(crate) fn new() -> Self {
        Self { place: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The data directory that is sold from.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The directory of the backup.
    pub(crate) fn backup(&self) -> PathBuf {
        self.path("backup")
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

/// A command that must end well: its standard output, from JSON.
pub(crate) fn json_of(arguments: &[&str]) -> Value {
    let output = run(&[arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{said}", output.status);
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

/// A command that must fail: its exit code and what it said.
pub(crate) fn refused(arguments: &[&str]) -> (i32, String) {
    let output = run(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?} went well");
    (output.status.code().expect("an exit code"), said)
}

pub(crate) fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {name} in {value}"))
}

pub(crate) fn backup(data_dir: &Path, to: &Path) -> Value {
    json_of(&["backup", "--to", text(to), "--data-dir", text(data_dir)])
}

pub(crate) fn restore(from: &Path, new: &Path, more: &[&str]) -> Value {
    let arguments = ["restore", "--from", text(from), "--data-dir", text(new)];
    json_of(&[&arguments, more].concat())
}

/// What `wal verify` says of a sound log.
pub(crate) fn verified(data_dir: &Path) -> Value {
    json_of(&["wal", "verify", "--data-dir", text(data_dir)])
}

/// Records of a log as `wal dump` prints them.
pub(crate) fn dumped(data_dir: &Path) -> Vec<Value> {
    let lines = dumped_lines(data_dir);
    lines.iter().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The same, unread.
pub(crate) fn dumped_lines(data_dir: &Path) -> Vec<String> {
    let output = run(&["wal", "dump", "--data-dir", text(data_dir)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(str::to_owned).collect()
}

/// Looks until it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {LIMIT:?}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The last sound record of a log, as a copy is seen from outside while it grows.
pub(crate) fn last_sequence(data_dir: &Path) -> Option<u64> {
    let output = run(&["wal", "inspect", "--json", "--data-dir", text(data_dir)]);
    let found: Value = serde_json::from_slice(&output.stdout).ok()?;
    output.status.success().then(|| number(&found, "last_sequence"))
}

/// Buys carts of many lines, so that segments fill soon; gives the order ids.
pub(crate) fn fill(server: &Server, product: &str, carts: usize, round: &str) -> Vec<String> {
    let price = json!({"amount_minor": 100, "currency": "GBP"});
    let line = json!({"product_id": product, "quantity": 1, "unit_price": price});
    let buy = |n: usize| {
        let body = json!({"buyer_id": format!("buyer-{n}"), "lines": vec![line.clone(); 1000]});
        let answer = server.post("/v1/orders", &format!("{round}-{n}"), &body);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.order_id()
    };
    (0..carts).map(buy).collect()
}

/// `backup --follow` as a process; killed when dropped.
pub(crate) struct Follower {
    child: Child,
    words: PathBuf,
}

impl Follower {
    pub(crate) fn start(data_dir: &Path, to: &Path, more: &[&str]) -> Self {
        let words = to.with_extension("words");
        let file = std::fs::File::create(&words).expect("a file for its words");
        let mut command: Command = doorbuster(&["backup", "--data-dir", text(data_dir)]);
        command.args(["--follow", text(to)]).args(more).stdout(Stdio::null()).stderr(file);
        Self { child: command.spawn().expect("the binary starts"), words }
    }

    pub(crate) fn words(&self) -> String {
        std::fs::read_to_string(&self.words).unwrap_or_default()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child");
    }

    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let signal = rustix::process::Signal::TERM;
        rustix::process::kill_process(pid.expect("a pid"), signal).expect("it runs");
    }

    /// Waits for its end: the exit code and what it said.
    pub(crate) fn wait(mut self) -> (i32, String) {
        let mut status = None;
        wait_until("the follower ends", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        (status.and_then(|status| status.code()).expect("an exit code"), self.words())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A metric without labels, as `/metrics` tells it.
pub(crate) fn metric(address: std::net::SocketAddr, name: &str) -> Option<f64> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line?.trim().parse().ok()
}
