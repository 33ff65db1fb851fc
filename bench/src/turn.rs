//! One server's turn: a fresh process on a fresh store, loaded, asked what it sold, and ended.
//!
//! ```text
//! load ─► [nginx ─►] doorbuster serve | doorbuster-bench peer ─► its store
//! ```

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::load::work::{Mix, Products};
use crate::load::{self, LoadPlan, LoadReport, Pace};
use crate::nginx::Nginx;
use crate::peers::{Peer, Store};
use crate::process::{Launch, Process};

const START_LIMIT: Duration = Duration::from_secs(60);

/// What serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// `doorbuster serve`.
    Engine,
    /// A peer with its store.
    Peer {
        /// Which.
        peer: Peer,
        /// Worker threads.
        workers: usize,
        /// Connections to PostgreSQL.
        pool: usize,
    },
}

/// What stands between the client and the server.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Through {
    /// nginx with connections to the server that are kept alive.
    Nginx,
}

/// A turn.
#[derive(Debug, Clone)]
pub struct TurnPlan {
    /// The engine's binary.
    pub engine: PathBuf,
    /// This program's own binary, which serves the peers.
    pub bench: PathBuf,
    /// Where data directories are made; each is removed afterwards.
    pub data_root: PathBuf,
    /// Who serves.
    pub server: Server,
    /// What stands before it.
    pub through: Option<Through>,
    /// Where the engine copies its orders, when not into its own file.
    pub database_url: Option<String>,
    /// What is asked for.
    pub mix: Mix,
    /// Of which products.
    pub products: Products,
    /// Units that each has.
    pub stock: u64,
    /// When requests are sent.
    pub pace: Pace,
    /// Connections.
    pub connections: usize,
    /// Threads of the client.
    pub threads: usize,
    /// Time before measuring.
    pub warm_up: Duration,
    /// Time measured.
    pub measured: Duration,
}

/// What a turn found.
#[derive(Debug, Clone)]
pub struct Turned {
    /// What the client saw.
    pub load: LoadReport,
    /// Units sold by the server's own account.
    pub units_sold: u64,
    /// The last lines of the server's output.
    pub trace: String,
}

/// Has a turn. Blocks; to be called outside of any runtime.
///
/// # Errors
/// The server or its store cannot be started, asked or loaded, or ended before its time.
pub fn run(plan: &TurnPlan) -> anyhow::Result<Turned> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let directory =
        tempfile::tempdir_in(&plan.data_root).context("cannot make a data directory")?;
    // What is started inherits it.
    load::raise_file_limit(plan.connections)?;
    let store = match plan.server {
        Server::Engine => Store::None,
        Server::Peer { peer, .. } => runtime.block_on(Store::start(peer, &plan.data_root))?,
    };
    let mut process = launch(plan, &store, directory.path()).spawn()?;
    let turned = (|| {
        let address = runtime.block_on(prepare(plan, &mut process, &store))?;
        let nginx = match plan.through {
            None => None,
            Some(Through::Nginx) => Some(Nginx::start(&plan.data_root, address)?),
        };
        let front = nginx.as_ref().map_or(address, Nginx::address);
        let pids = [Some(process.pid()), store.pid(), nginx.as_ref().map(Nginx::pid)];
        let load = load::run(&load_plan(plan, front, pids.into_iter().flatten().collect()))?;
        let units_sold = runtime.block_on(units_sold(plan, address))?;
        anyhow::Ok(Turned { load, units_sold, trace: process.trace() })
    })();
    let turned =
        turned.with_context(|| format!("the server's last lines:\n{}", process.trace()))?;
    process.kill()?;
    Ok(turned)
}

fn launch(plan: &TurnPlan, store: &Store, directory: &Path) -> Launch {
    let Server::Peer { peer, workers, pool } = plan.server else {
        let mut launch = Launch::engine(&plan.engine, &directory.join("data"), directory);
        if let Some(url) = &plan.database_url {
            launch.environment.push(("DATABASE_URL".to_owned(), url.clone()));
        }
        return launch;
    };
    let (workers, pool) = (workers.to_string(), pool.to_string());
    let words = ["peer", peer.name(), "--listen", "127.0.0.1:0"];
    let more = ["--workers", &workers, "--pool", &pool, "--store"];
    let words = words.iter().chain(&more).map(OsString::from);
    Launch {
        program: plan.bench.clone(),
        arguments: words.chain([store.address().into()]).collect(),
        environment: Vec::new(),
        directory: directory.to_owned(),
    }
}

async fn prepare(
    plan: &TurnPlan,
    process: &mut Process,
    store: &Store,
) -> anyhow::Result<SocketAddr> {
    let address = process.ready(START_LIMIT).await?;
    if !decides_nothing(plan) {
        load::put_in(address, &plan.products, plan.stock).await?;
    }
    store.settle().await?;
    Ok(address)
}

fn decides_nothing(plan: &TurnPlan) -> bool {
    matches!(plan.server, Server::Peer { peer, .. } if peer.decides_nothing())
}

fn load_plan(plan: &TurnPlan, address: SocketAddr, server_pids: Vec<u32>) -> LoadPlan {
    LoadPlan {
        address,
        server_pids,
        mix: plan.mix.clone(),
        products: plan.products.clone(),
        key_prefix: "k".to_owned(),
        pace: plan.pace,
        connections: plan.connections,
        threads: plan.threads,
        warm_up: plan.warm_up,
        measured: plan.measured,
        requests_max: u64::MAX,
        seed: 1,
    }
}

async fn units_sold(plan: &TurnPlan, address: SocketAddr) -> anyhow::Result<u64> {
    let ids = plan.products.ids();
    // Who knows no products counts for all together.
    let ids = if decides_nothing(plan) { Box::new(ids.take(1)) } else { ids };
    load::units_sold(address, ids).await
}
