//! A real PostgreSQL server for tests: started in a temporary directory on a Unix socket, stopped
//! and removed again, also when the test is killed.
//!
//! A helper process of each server waits for the test's end, whatever it is like, and then stops
//! the server and removes its directory. `tests/run` says where the binaries come from
//! (`DOORBUSTER_TEST_POSTGRES_BIN`) and as whom a test that runs as root starts them.
#![expect(clippy::disallowed_methods, reason = "starts a server and keeps its files")]
#![allow(dead_code, reason = "each test uses its part")]

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// How long a server may take to answer.
const LIMIT: Duration = Duration::from_secs(60);

/// Stops and removes a server once its standard input ends.
const JANITOR: &str = r#"
cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then kill -QUIT "$pid" 2>/dev/null; fi
n=0
while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
rm -rf "$1"
"#;

/// A running server, or a stopped one that can be started again.
pub(crate) struct Server {
    bin: PathBuf,
    dir: PathBuf,
    user: Option<(u32, u32)>,
    postmaster: Option<Child>,
    janitor: Child,
}

/// The server that all tests of this process share; `None`: skipped, and said why.
pub(crate) fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(start).as_ref()
}

/// A server of the caller's own.
pub(crate) fn start() -> Option<Server> {
    let Some(bin) = std::env::var_os("DOORBUSTER_TEST_POSTGRES_BIN") else {
        let missing = "DOORBUSTER_TEST_POSTGRES_BIN names no PostgreSQL (tests/run finds one)";
        assert!(std::env::var_os("CI").is_none_or(|ci| ci == "false"), "{missing}");
        eprintln!("skipped: {missing}");
        return None;
    };
    // A socket's path may have about 100 bytes.
    let dir = tempfile::Builder::new().prefix("doorbuster-pg-").tempdir_in("/tmp");
    let dir = dir.expect("a temporary directory").keep();
    let user = rustix::process::geteuid().is_root().then(|| user("postgres"));
    if let Some((uid, gid)) = user {
        chown(&dir, Some(uid), Some(gid)).expect("a directory of the server's user");
    }
    let mut janitor = Command::new("sh");
    janitor.args(["-c", JANITOR, "sh"]).arg(&dir).stdin(Stdio::piped()).process_group(0);
    // It outlives the test by a moment: what it holds of the test's own output must not.
    janitor.stdout(Stdio::null()).stderr(Stdio::null());
    let janitor = janitor.spawn().expect("a shell");
    let mut server = Server { bin: bin.into(), dir, user, postmaster: None, janitor };
    server.init();
    server.start();
    Some(server)
}

/// User and group of a name.
fn user(name: &str) -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").expect("users");
    let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:")));
    let line = line.unwrap_or_else(|| panic!("no user {name}, and PostgreSQL refuses root"));
    let mut ids = line.split(':').skip(2).map(|id| id.parse().expect("a number"));
    (ids.next().expect("a user id"), ids.next().expect("a group id"))
}

impl Server {
    /// A command as the server's user.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.dir).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Where its socket and log are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn init(&self) {
        let mut init = self.command(&self.bin.join("initdb"));
        init.args(["--pgdata=data", "--username=postgres", "--auth=trust", "--encoding=UTF8"]);
        init.args(["--locale=C", "--no-sync", "--no-instructions"]);
        let output = init.output().expect("initdb runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb: {said}");
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.dir.join("log"));
        let log = log.expect("the server's log");
        let mut postgres = self.command(&self.bin.join("postgres"));
        postgres.args(["-D", "data", "-c", "fsync=off", "-c", "listen_addresses="]);
        postgres.args(["-c", "shared_buffers=32MB", "-c", "max_connections=40"]);
        postgres.arg("-c").arg(format!("unix_socket_directories={}", self.dir.display()));
        postgres.stdout(log.try_clone().expect("the log")).stderr(log);
        let mut tries = 0;
        self.postmaster = Some(postgres.spawn().expect("postgres runs"));
        while self.try_rows("postgres", "SELECT 1").is_err() {
            tries += 1;
            let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(tries < LIMIT.as_millis() / 50, "the server does not answer: {log}");
            std::thread::sleep(Duration::from_millis(50));
            let ended = self.postmaster.as_mut().map(|child| child.try_wait());
            // Backends of a killed server may hold its memory for a moment.
            if matches!(ended, Some(Ok(Some(_)))) {
                self.postmaster = Some(postgres.spawn().expect("postgres runs"));
            }
        }
    }

    /// Kills the postmaster; its processes follow by themselves.
    pub(crate) fn kill(&mut self) {
        let mut postmaster = self.postmaster.take().expect("it runs");
        let pid = Pid::from_child(&postmaster);
        kill_process(pid, Signal::KILL).expect("it is ours");
        postmaster.wait().expect("it ends");
    }

    /// Its address, for a client of this name.
    pub(crate) fn url(&self, application: &str) -> String {
        let host = self.dir.display().to_string().replace('/', "%2F");
        format!("postgresql://postgres@{host}/postgres?application_name={application}")
    }

    /// Runs statements; the rows of the last, columns joined by `|`, NULL as `-`.
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        self.try_rows("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// Runs statements that may fail.
    pub(crate) fn try_sql(&self, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        self.try_rows("postgres", sql)
    }

    fn try_rows(&self, database: &str, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let host = self.dir.display();
        let config = format!("host={host} user=postgres dbname={database} connect_timeout=5");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
            tokio::spawn(connection);
            let mut rows = Vec::new();
            for message in client.simple_query(sql).await? {
                if let SimpleQueryMessage::Row(row) = message {
                    let columns = (0..row.len()).map(|column| row.get(column).unwrap_or("-"));
                    rows.push(columns.collect::<Vec<_>>().join("|"));
                }
            }
            Ok(rows)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        // Reaped first: the helper waits until the server's process is gone.
        if let Some(mut postmaster) = self.postmaster.take() {
            let _ = postmaster.wait();
        }
        let _ = self.janitor.wait();
    }
}
