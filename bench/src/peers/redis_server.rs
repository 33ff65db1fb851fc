//! A Redis of one's own: in a temporary directory, on a free loopback port, and ended.
//!
//! Nothing but the append-only file is written: no snapshots, and no rewriting of that file while
//! something is measured.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

const START_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// When Redis syncs its append-only file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Before it answers.
    Always,
    /// Once a second.
    EverySecond,
}

/// A server of one's own; one that is dropped is killed.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    directory: TempDir,
}

/// The binary.
///
/// # Errors
/// There is none: what to install.
pub fn binary() -> anyhow::Result<PathBuf> {
    super::debian::program("redis-server", "redis-server")
}

impl RedisServer {
    /// Starts one whose data lie under `data_root`, and waits until it answers.
    ///
    /// # Errors
    /// The binary is missing or fails.
    pub fn start(data_root: &Path, sync: Sync) -> anyhow::Result<Self> {
        let program = binary()?;
        let directory =
            tempfile::Builder::new().prefix("doorbuster-redis-").tempdir_in(data_root)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = File::create(directory.path().join("log"))?;
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.arg("--dir").arg(directory.path());
        command.args(["--save", "", "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"]);
        let sync = match sync {
            Sync::Always => "always",
            Sync::EverySecond => "everysec",
        };
        command.args(["--appendfsync", sync, "--daemonize", "no"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot start redis-server")?;
        let mut server = Self { child, port, directory };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + START_LIMIT;
        let client = redis::Client::open(self.url())?;
        loop {
            let pong = client
                .get_connection()
                .and_then(|mut connection| redis::cmd("PING").query::<String>(&mut connection));
            if pong.is_ok() {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > until {
                let log = std::fs::read_to_string(self.directory.path().join("log"));
                bail!("redis-server does not answer ({ended:?}): {}", log.unwrap_or_default());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Nothing can be done about a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
