//! An nginx of one's own before a server: in a temporary directory, on a free loopback port, and ended.
//!
//! Configured as for a shop in front of an API: connections to the server are kept alive and used again,
//! nothing is buffered to disk, nothing is logged per request, a failed request is not sent twice.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::peers::debian;

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// A server of one's own; one that is dropped is stopped.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

/// The binary.
///
/// # Errors
/// There is none: what to install.
pub fn binary() -> anyhow::Result<PathBuf> {
    debian::program("nginx", "nginx")
}

impl Nginx {
    /// Starts one before `upstream`, with its files under `data_root`, and waits until it listens.
    ///
    /// # Errors
    /// The binary is missing or fails.
    pub fn start(data_root: &Path, upstream: SocketAddr) -> anyhow::Result<Self> {
        let program = binary()?;
        let directory =
            tempfile::Builder::new().prefix("doorbuster-nginx-").tempdir_in(data_root)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, configuration(directory.path(), address, upstream))?;
        let mut command = Command::new(program);
        command.arg("-p").arg(directory.path()).arg("-c").arg(&file);
        command.arg("-e").arg(directory.path().join("error.log"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("cannot start nginx")?;
        let mut nginx = Self { child, address, directory };
        let until = Instant::now() + START_LIMIT;
        while TcpStream::connect(address).is_err() {
            let ended = nginx.child.try_wait()?;
            if ended.is_some() || Instant::now() > until {
                bail!("nginx does not listen ({ended:?}): {}", nginx.log());
            }
            std::thread::sleep(POLL);
        }
        Ok(nginx)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its first process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default()
    }

    /// Fast shutdown: its workers end with it, which a kill would leave behind.
    fn stop(&mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        rustix::process::kill_process(pid.context("a process id")?, Signal::TERM)?;
        let until = Instant::now() + STOP_LIMIT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                bail!("nginx did not end within {STOP_LIMIT:?}");
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if self.stop().is_err() {
            // Nothing more can be done about it.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn configuration(directory: &Path, listen: SocketAddr, upstream: SocketAddr) -> String {
    // Root's workers would otherwise run as a user who may not enter the directory.
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    let directory = directory.display();
    format!(
        "{user}daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
worker_processes auto;
worker_rlimit_nofile 65536;
events {{ worker_connections 30000; multi_accept on; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    tcp_nodelay on;
    upstream doorbuster {{
        server {upstream} max_fails=0;
        keepalive 512;
        keepalive_requests 1000000000;
        keepalive_timeout 60s;
    }}
    server {{
        listen {listen} backlog=4096 reuseport;
        location / {{
            proxy_pass http://doorbuster;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_next_upstream off;
            proxy_connect_timeout 5s;
            proxy_read_timeout 35s;
        }}
    }}
}}
"
    )
}
