//! A server of our own, as a process: started, waited for, killed, started again.
//!
//! It is this very binary with `serve`, on a free loopback port. It sees nothing of the caller's
//! settings: no `DATABASE_URL`, no `DOORBUSTER_…`, no file in the caller's directory. A server
//! that is dropped is killed. Its output goes to a file whose last lines any failure shows.
#![expect(clippy::disallowed_methods, reason = "the adapter through which a server is started")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::caller::{Caller, Target};
use super::stopwatch::Stopwatch;
use crate::cli::exit::{Exit, failure};

const POLL: Duration = Duration::from_millis(5);
const LAST_LINES: usize = 12;
/// How long a start may take: a log of some gigabytes is read in it.
const START_LIMIT: Duration = Duration::from_secs(300);
/// How long an orderly end may take: answers in flight, a sync, the projection.
const END_LIMIT: Duration = Duration::from_secs(120);

/// How to start a server.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// Where its journal lies; absolute.
    pub(crate) data_dir: PathBuf,
    /// PostgreSQL and the schema in it; `None`: the embedded SQLite.
    pub(crate) postgres: Option<(String, String)>,
    /// Where its output and its announcement go; absolute.
    pub(crate) directory: PathBuf,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct OwnServer {
    child: Child,
    pid: Pid,
    launch: Launch,
}

impl Launch {
    /// Starts a server. Does not wait for it.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn spawn(&self) -> anyhow::Result<OwnServer> {
        // An older announcement names a port that is no longer this server's.
        let _ = fs::remove_file(self.announcement());
        let output = File::options().create(true).append(true).open(self.output())?;
        let program = std::env::current_exe().context("cannot find this program itself")?;
        let mut command = Command::new(&program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text == "DATABASE_URL" || text.starts_with("DOORBUSTER_") {
                command.env_remove(&name);
            }
        }
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&self.data_dir);
        command.arg("--announce").arg(self.announcement());
        if let Some((url, schema)) = &self.postgres {
            // Not as an argument: everybody on the machine can read those, passwords too.
            command.env("DOORBUSTER_DATABASE_URL", url);
            command.args(["--database-schema", schema]);
        }
        command.current_dir(&self.directory).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        let child =
            command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id")?;
        Ok(OwnServer { child, pid, launch: self.clone() })
    }

    /// The file that gets its output.
    pub(crate) fn output(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    fn announcement(&self) -> PathBuf {
        self.directory.join("announced")
    }
}

impl OwnServer {
    /// Its process id, to be killed at once from anywhere in this thread.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it answers; `target` then leads to it.
    ///
    /// # Errors
    /// It ended, or it takes too long; with its last lines.
    pub(crate) async fn ready(&mut self, target: &Target) -> anyhow::Result<()> {
        let started = Stopwatch::start();
        let announcement = self.launch.announcement();
        loop {
            if let Ok(url) = fs::read_to_string(&announcement) {
                target.lead_to(url.trim());
                break;
            }
            self.still_starting(started)?;
            tokio::time::sleep(POLL).await;
        }
        loop {
            if let Ok(reply) = Caller::new(target).get("/readyz").await
                && reply.status == 200
            {
                return Ok(());
            }
            self.still_starting(started)?;
            tokio::time::sleep(POLL).await;
        }
    }

    fn still_starting(&mut self, started: Stopwatch) -> anyhow::Result<()> {
        self.still_runs("while it started")?;
        if started.elapsed() > START_LIMIT {
            bail!("the server was not ready in {START_LIMIT:?}; its last lines:\n{}", self.tail());
        }
        Ok(())
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// It ended, with its last lines; `when` says what was going on.
    pub(crate) fn still_runs(&mut self, when: &str) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let tail = self.tail();
                let what = format!("the server ended {when} ({status}); its last lines:\n{tail}");
                Err(failure(exit_of_server(status), what))
            }
        }
    }

    /// Comes back only when it has ended, with the error that says so.
    pub(crate) async fn until_ended(&mut self, when: &str) -> anyhow::Error {
        loop {
            if let Err(error) = self.still_runs(when) {
                return error;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// SIGTERM, then waits for its orderly end.
    ///
    /// # Errors
    /// It does not end in time, or not with 0; with its last lines.
    pub(crate) async fn terminate(mut self) -> anyhow::Result<()> {
        kill_process(self.pid, Signal::TERM)?;
        let since = Stopwatch::start();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    bail!("the server ended badly ({status}); its last lines:\n{}", self.tail())
                }
                None if since.elapsed() > END_LIMIT => {
                    bail!(
                        "the server did not end in {END_LIMIT:?}; its last lines:\n{}",
                        self.tail()
                    )
                }
                None => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// The last lines of its output.
    fn tail(&self) -> String {
        tail_of(&self.launch.output())
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // Nothing can be done about a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the server's own exit code means for the command that started it.
fn exit_of_server(status: ExitStatus) -> Exit {
    match status.code() {
        Some(3) => Exit::Damaged,
        Some(4) => Exit::InUse,
        _ => Exit::Environment,
    }
}

fn tail_of(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().rev().take(LAST_LINES).collect();
    if lines.is_empty() {
        return "    (it said nothing)".to_owned();
    }
    let lines: Vec<String> = lines.into_iter().rev().map(|line| format!("    {line}")).collect();
    lines.join("\n")
}
