//! A PostgreSQL of one's own: made in a temporary directory, on a free loopback port, and stopped.
//!
//! Binaries are looked for in `DOORBUSTER_TEST_POSTGRES_BIN`, or else where Debian puts them.
//! PostgreSQL refuses to run as root: as root, the server runs as the user `postgres`.
//! Stopping is an immediate shutdown (SIGQUIT), the harshest that a server's own tools offer, and a
//! start goes on with the same data on the same port. A server that is dropped is stopped.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// Names the directory of the binaries.
pub const BIN_VARIABLE: &str = "DOORBUSTER_TEST_POSTGRES_BIN";
const DEBIAN: &str = "/usr/lib/postgresql";
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A server of one's own.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    directory: TempDir,
    port: u16,
    /// User and group that it runs as, when this process is root.
    user: Option<(u32, u32)>,
    /// `NAME=VALUE`, beyond where it listens.
    settings: Vec<String>,
    child: Option<Child>,
}

/// The directory of the binaries: the one that the environment names, or Debian's newest.
///
/// # Errors
/// There is none: what to install.
pub fn bin_directory() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os(BIN_VARIABLE) {
        return Ok(named.into());
    }
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let version = |path: PathBuf| {
        let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let bin = path.join("bin");
        bin.join("postgres").is_file().then_some((number, bin))
    };
    let newest = versions.filter_map(|entry| version(entry.path())).max();
    newest.map(|(_, bin)| bin).with_context(|| {
        format!("no PostgreSQL server: apt-get install postgresql, or set {BIN_VARIABLE}")
    })
}

impl Postgres {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// The binaries are missing or fail.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_in(&std::env::temp_dir(), &[]).await
    }

    /// As [`Self::start`], with its data under `data_root` and these settings, as `NAME=VALUE`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_in(data_root: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let bin = bin_directory()?;
        let prefix = "doorbuster-postgres-";
        let directory = tempfile::Builder::new().prefix(prefix).tempdir_in(data_root)?;
        let user = unprivileged()?;
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).context("cannot give it away")?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let mut postgres = Self { bin, directory, port, user, settings, child: None };
        let mut initdb = postgres.command("initdb");
        initdb.args(["--username=doorbuster", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        let made = initdb.arg("--no-sync").arg("--pgdata").arg(postgres.data()).output()?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        postgres.start_again().await?;
        Ok(postgres)
    }

    /// As [`Self::start`], where there is no runtime.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_blocking() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(Self::start())
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgresql://doorbuster@127.0.0.1:{}/postgres", self.port)
    }

    /// Its first process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        // A directory that the other user may enter.
        command.current_dir(self.directory.path()).stdin(Stdio::null()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Starts it on its data and waits until it answers.
    ///
    /// # Errors
    /// It ends, or does not answer.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "it runs already");
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.log())?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        command.stdout(log.try_clone()?).stderr(log);
        let url = self.url();
        let child = command.spawn().context("cannot start postgres")?;
        let child = self.child.insert(child);
        let until = Instant::now() + START_LIMIT;
        loop {
            if let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await {
                drop((client, connection));
                return Ok(());
            }
            let ended = child.try_wait()?;
            if ended.is_some() || Instant::now() > until {
                let log = std::fs::read_to_string(self.directory.path().join("log"));
                bail!("postgres does not answer ({ended:?}): {}", log.unwrap_or_default());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Stops it as a crash would, and waits for its end.
    ///
    /// # Errors
    /// It does not run, or does not end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        rustix::process::kill_process(pid.context("a process id")?, Signal::QUIT)?;
        let until = Instant::now() + STOP_LIMIT;
        while child.try_wait()?.is_none() {
            if Instant::now() > until {
                child.kill()?;
                child.wait()?;
                bail!("postgres did not end within {STOP_LIMIT:?} of SIGQUIT");
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.child.is_some() {
            // Its directory goes with it, whatever became of it.
            let _ = self.stop();
        }
    }
}

/// The user `postgres`, when this process is root; the kernel's word, then the password file's.
fn unprivileged() -> anyhow::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string(Path::new("/etc/passwd"))?;
    let found = users.lines().find_map(ids_of_postgres);
    found.map(Some).context("root may not run PostgreSQL, and there is no user postgres")
}

fn ids_of_postgres(line: &str) -> Option<(u32, u32)> {
    let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_found_in_the_password_file() {
        assert_eq!(ids_of_postgres("postgres:x:101:104:PostgreSQL:/var:/bin/sh"), Some((101, 104)));
        assert_eq!(ids_of_postgres("postgresql:x:101:104::/:/bin/sh"), None);
        assert_eq!(ids_of_postgres("root:x:0:0:root:/root:/bin/bash"), None);
    }
}
