//! A server as a process of its own: started, waited for, killed.
//!
//! A server is told to bind a free port and to write the URL it bound into a file
//! (`--announce FILE`). It sees nothing of the caller's settings: no `DATABASE_URL`, no
//! `DOORBUSTER_…` but those given here. A process that is dropped is killed.

use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};

use crate::client::{Client, address_of};
use crate::cost;

/// How often a start is looked at.
const POLL: Duration = Duration::from_millis(2);
/// Lines of the server's output that a failure shows.
const TRACE_LINES: usize = 12;

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The binary.
    pub program: PathBuf,
    /// Its arguments; `--announce FILE` is added.
    pub arguments: Vec<OsString>,
    /// Settings in its environment.
    pub environment: Vec<(String, String)>,
    /// Where its output and its announcement go.
    pub directory: PathBuf,
}

/// A running server.
#[derive(Debug)]
pub struct Process {
    child: Child,
    announcement: PathBuf,
    output: PathBuf,
}

impl Launch {
    /// `doorbuster serve` on `data_dir` and a free port.
    #[must_use]
    pub fn engine(program: &Path, data_dir: &Path, directory: &Path) -> Self {
        let words = ["serve", "--listen", "127.0.0.1:0", "--data-dir"].map(OsString::from);
        Self {
            program: program.to_owned(),
            arguments: words.into_iter().chain([data_dir.into()]).collect(),
            environment: Vec::new(),
            directory: directory.to_owned(),
        }
    }

    /// Starts it. Does not wait for anything.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(&self) -> anyhow::Result<Process> {
        let announcement = self.directory.join("announced");
        let output = self.directory.join("server.log");
        // An older announcement names a port that is no longer this server's.
        if let Err(error) = std::fs::remove_file(&announcement)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error).context("cannot remove an older announcement");
        }
        let file = File::create(&output).context("cannot keep the server's output")?;
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text == "DATABASE_URL" || name_text.starts_with("DOORBUSTER_") {
                command.env_remove(&name);
            }
        }
        command
            .args(&self.arguments)
            .arg("--announce")
            .arg(&announcement)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child =
            command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        Ok(Process { child, announcement, output })
    }
}

impl Process {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time it has used.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        cost::cpu_seconds(self.pid()).unwrap_or(0.0)
    }

    /// Where it listens, once it has said so.
    ///
    /// # Errors
    /// It said something else.
    pub fn announced(&self) -> anyhow::Result<Option<SocketAddr>> {
        let Ok(url) = std::fs::read_to_string(&self.announcement) else { return Ok(None) };
        address_of(url.trim(), None).map(Some).context("announced")
    }

    /// Waits until it listens and `/readyz` answers 200.
    ///
    /// # Errors
    /// It ended, or took longer than `limit`; with the last lines of its output.
    pub async fn ready(&mut self, limit: Duration) -> anyhow::Result<SocketAddr> {
        let until = Instant::now() + limit;
        let address = loop {
            if let Some(address) = self.announced()? {
                break address;
            }
            self.still_starting(until)?;
            tokio::time::sleep(POLL).await;
        };
        loop {
            if let Ok(reply) = (Client { address }).get("/readyz").await
                && reply.status == 200
            {
                return Ok(address);
            }
            self.still_starting(until)?;
            tokio::time::sleep(POLL).await;
        }
    }

    fn still_starting(&mut self, until: Instant) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended with {status} while starting\n{}", self.trace());
        }
        if Instant::now() > until {
            bail!("the server was not ready in time\n{}", self.trace());
        }
        Ok(())
    }

    /// SIGKILL, then waits for the end.
    ///
    /// # Errors
    /// It had ended by itself before: with the last lines of its output.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        let status = self.child.wait()?;
        if status.signal() != Some(9) {
            bail!("the server had ended with {status} before it was killed\n{}", self.trace());
        }
        Ok(())
    }

    /// SIGTERM, then waits at most `limit` for the end.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn terminate(mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.ended(limit).await
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// The system's.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        rustix::process::kill_process(pid.context("a process id")?, signal)?;
        Ok(())
    }

    /// Waits at most `limit` for its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn ended(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > until {
                bail!("the server did not end within {limit:?}\n{}", self.trace());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The last lines of its output.
    #[must_use]
    pub fn trace(&self) -> String {
        let text = std::fs::read(&self.output).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(TRACE_LINES).collect();
        lines.into_iter().rev().map(|line| format!("    {line}\n")).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be done about a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary of that name beside the running executable, or one directory up for tests.
///
/// # Errors
/// There is none: what to build.
pub fn beside_this_executable(name: &str) -> anyhow::Result<PathBuf> {
    let executable = std::env::current_exe().context("where am I?")?;
    let places = executable.ancestors().skip(1).take(2).map(|directory| directory.join(name));
    let found = places.into_iter().find(|path| path.is_file());
    let profile = if cfg!(debug_assertions) { "" } else { " --release" };
    found.with_context(|| {
        format!(
            "no {name} beside {}: build it with `cargo build{profile} -p {name}`, or name it",
            executable.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(directory: &Path, script: &str) -> Process {
        let arguments = ["-c", script].map(OsString::from).to_vec();
        let launch = Launch {
            program: "/bin/sh".into(),
            arguments,
            environment: vec![("DOORBUSTER_PROBE".into(), "given".into())],
            directory: directory.to_owned(),
        };
        launch.spawn().expect("a shell")
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(future)
    }

    #[test]
    fn a_server_that_ends_while_starting_is_told_with_its_last_words() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut process = shell(directory.path(), "echo $DOORBUSTER_PROBE up; exit 3");
        let error = block_on(process.ready(Duration::from_secs(20))).expect_err("it ended");
        let text = error.to_string();
        assert!(text.contains("exit status: 3") && text.contains("given up"), "{text}");
    }

    #[test]
    fn a_kill_ends_it_and_one_that_had_ended_is_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        shell(directory.path(), "sleep 60").kill().expect("it ran");
        let mut process = shell(directory.path(), "exit 0");
        process.child.wait().expect("it ends");
        let error = process.kill().expect_err("it had ended");
        assert!(error.to_string().contains("before it was killed"), "{error}");
    }
}
