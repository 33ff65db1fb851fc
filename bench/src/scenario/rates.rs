//! `rates`: four views to a purchase at one rate after another, asked directly and then through nginx.
//!
//! What a shop's proxy must not do is stand still: at every rate that the direct run holds, nobody may
//! go without any answer for longer than a stall is, and nothing may fail. How much later answers come with
//! three programs on the same cores is reported, not bound.

use serde::{Deserialize, Serialize};

use super::bounds::{ANSWERED_PERCENT, Bound};
use super::{ScenarioPlan, ScenarioReport, calibrate, turn_plan};
use crate::load::work::Work;
use crate::load::{LoadReport, Pace};
use crate::machine::Machine;
use crate::nginx;
use crate::turn::{self, Through};

use super::script::Script;

const CONNECTIONS: usize = 500;
const PRODUCTS: u64 = 100;
/// Requests a second.
const RATES: [f64; 6] = [1_000.0, 4_000.0, 8_000.0, 16_000.0, 24_000.0, 32_000.0];

/// A rate, both ways.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RateReport {
    /// Requests a second that were due.
    pub rate: f64,
    /// Asked directly.
    pub direct: LoadReport,
    /// Through nginx; none at a rate that the direct run does not hold.
    pub nginx: Option<LoadReport>,
}

pub(super) fn run(
    plan: &ScenarioPlan,
    machine: Machine,
    mut watch: impl FnMut(&str),
) -> anyhow::Result<ScenarioReport> {
    nginx::binary()?;
    let (mut bounds, mut rates) = (Vec::new(), Vec::with_capacity(RATES.len()));
    for rate in RATES {
        watch(&format!("{rate:.0} a second"));
        let direct = one(plan, rate, None)?;
        let nginx = if holds(rate, &direct) {
            watch(&format!("{rate:.0} a second, through nginx"));
            Some(one(plan, rate, Some(Through::Nginx))?)
        } else {
            None
        };
        if let Some(through) = &nginx {
            bounds.extend(bounds_at(rate, through));
        }
        rates.push(RateReport { rate, direct, nginx });
    }
    let pace = Pace::Open { rate: RATES[0] };
    Ok(ScenarioReport {
        name: plan.name,
        through: plan.through,
        machine,
        client: calibrate(plan, Work::ViewBuy.mix(), pace, CONNECTIONS)?,
        bounds,
        missing: None,
        load: None,
        comparisons: Vec::new(),
        rates,
    })
}

fn one(plan: &ScenarioPlan, rate: f64, through: Option<Through>) -> anyhow::Result<LoadReport> {
    let script = Script::view_buy(rate, CONNECTIONS, PRODUCTS);
    let turn = turn::TurnPlan { through, ..turn_plan(plan, &script) };
    Ok(turn::run(&turn)?.load)
}

/// So much of what was due was answered in time, and nothing failed.
fn holds(rate: f64, load: &LoadReport) -> bool {
    100.0 * load.per_second >= ANSWERED_PERCENT * rate && load.failures() == 0
}

#[expect(clippy::cast_precision_loss, reason = "a count")]
fn bounds_at(rate: f64, load: &LoadReport) -> [Bound; 2] {
    let of = |what: &str| format!("{what} at {rate:.0} a second");
    [
        Bound::silence(of("longest silence, ms,"), load.silence_ms),
        Bound::at_most(of("failures"), 0.0, load.failures() as f64),
    ]
}
