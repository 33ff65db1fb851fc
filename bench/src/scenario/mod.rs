//! Shops as loads: an open loop at the rate of a kind of shop, and the bounds that it has to hold.
//!
//! ```text
//! small-shop, order-desk, retail, read-heavy:  one turn of the engine at the scenario's rate ─► bounds
//! six-thousand:  the engine beside the bare server, closed loop ─► throughput
//!                the same at half of that rate, open loop        ─► p99
//!                the engine with PostgreSQL behind it             ─► database connections
//! rates:         one turn at each rate, then one through nginx    ─► silence
//! ```
//!
//! Latency counts from when a request was due. Through nginx the same bounds hold, and nobody may meet a
//! stall: that is what the bound on silence says.

mod bounds;
mod rates;
mod script;
mod six_thousand;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

pub use self::bounds::{Bound, Limit};
pub use self::rates::RateReport;
pub use self::script::Name;

use self::script::{Play, Script};
use crate::compare::CompareReport;
use crate::load::calibrate::{self, Calibration, CalibrationPlan};
use crate::load::work::{Mix, Products};
use crate::load::{LoadReport, Pace};
use crate::machine::Machine;
use crate::nginx;
use crate::turn::{self, Server, Through, TurnPlan};

/// Stock that no run sells out.
const PLENTY: u64 = 1_000_000_000;
const CALIBRATION: Duration = Duration::from_secs(1);
const WARM_UP: Duration = Duration::from_secs(1);

/// Which scenario, and how long.
#[derive(Debug, Clone)]
pub struct ScenarioPlan {
    /// Which.
    pub name: Name,
    /// The engine's binary.
    pub engine: PathBuf,
    /// This program's own binary.
    pub bench: PathBuf,
    /// Where data directories are made.
    pub data_root: PathBuf,
    /// What stands before the server.
    pub through: Option<Through>,
    /// Time measured in each turn.
    pub measured: Duration,
    /// Rounds beside the bare server.
    pub rounds: usize,
    /// Threads of the client.
    pub threads: usize,
    /// Worker threads of the bare server.
    pub peer_workers: usize,
}

/// What a scenario found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScenarioReport {
    /// Which.
    pub name: Name,
    /// What stood before the server.
    pub through: Option<Through>,
    /// Where it ran.
    pub machine: Machine,
    /// What the client costs alone at this rate.
    pub client: Calibration,
    /// Every bound, with what was seen.
    pub bounds: Vec<Bound>,
    /// A bound that could not be looked at, and what it lacks.
    pub missing: Option<String>,
    /// What the client saw; of those that are one turn.
    pub load: Option<LoadReport>,
    /// Beside the bare server, closed and then open loop; of `six-thousand`.
    pub comparisons: Vec<CompareReport>,
    /// Each rate, directly and through nginx; of `rates`.
    pub rates: Vec<RateReport>,
}

impl ScenarioReport {
    /// Every bound was looked at, and holds.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.missing.is_none() && self.bounds.iter().all(Bound::holds)
    }
}

/// Runs a scenario; `watch` hears what goes on.
///
/// # Errors
/// It could not be run: that a bound does not hold is in the report.
pub fn run(plan: &ScenarioPlan, mut watch: impl FnMut(&str)) -> anyhow::Result<ScenarioReport> {
    if plan.through.is_some() {
        nginx::binary()?;
    }
    ensure!(plan.rounds > 0, "at least one round");
    let machine = Machine::measure(&plan.data_root)?;
    let script = match plan.name.play() {
        Play::SixThousand => return six_thousand::run(plan, machine, watch),
        Play::Rates => return rates::run(plan, machine, watch),
        Play::Script(script) => script,
    };
    let pace = Pace::Open { rate: script.rate };
    watch("the client alone");
    let client = calibrate(plan, script.mix.clone(), pace, script.connections)?;
    watch(plan.name.as_str());
    let turned = turn::run(&turn_plan(plan, &script))?;
    let bounds = bounds::of(&script, plan.through, &turned);
    Ok(ScenarioReport {
        name: plan.name,
        through: plan.through,
        machine,
        client,
        bounds,
        missing: None,
        load: Some(turned.load),
        comparisons: Vec::new(),
        rates: Vec::new(),
    })
}

fn calibrate(
    plan: &ScenarioPlan,
    mix: Mix,
    pace: Pace,
    connections: usize,
) -> anyhow::Result<Calibration> {
    let client = CalibrationPlan {
        bench: plan.bench.clone(),
        mix,
        pace,
        connections,
        threads: plan.threads,
        measured: CALIBRATION,
    };
    calibrate::run(&client, &plan.data_root)
}

fn turn_plan(plan: &ScenarioPlan, script: &Script) -> TurnPlan {
    TurnPlan {
        engine: plan.engine.clone(),
        bench: plan.bench.clone(),
        data_root: plan.data_root.clone(),
        server: Server::Engine,
        through: plan.through,
        database_url: None,
        mix: script.mix.clone(),
        products: Products::Numbered {
            count: script.products,
            spread: script.spread,
            sold_out: false,
        },
        stock: PLENTY,
        pace: Pace::Open { rate: script.rate },
        connections: script.connections,
        threads: plan.threads,
        warm_up: WARM_UP,
        measured: plan.measured,
    }
}
