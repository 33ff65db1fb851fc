//! `orders cancel`: the orders of a list, cancelled through a running server.
//!
//! Each order is asked for first, and only what is still to be taken back is: so a list may be run
//! again after anything. What cannot be cancelled is told, and the rest goes on.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::list::{self, Id, Undo};
use super::undo::{Outcome, undo};
use crate::cli::api_key;
use crate::cli::exit::{Exit, failure};
use crate::cli::output::OutputArgs;
use crate::cli::play::ask::Trouble;
use crate::cli::play::caller::{Caller, Target};
use crate::cli::play::number::{counted, exponent_of, grouped, money};
use crate::cli::play::pool::spread;
use crate::cli::server_url::ServerArgs;
use crate::domain::Text;

/// Orders that are cancelled at once: the server makes them durable together.
const CONNECTIONS: usize = 8;

/// `orders cancel`
#[derive(Debug, Args)]
pub(in crate::cli) struct CancelArgs {
    /// List of `orders beyond`, or a CSV with the columns order_id, product_id and quantity
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Cancel nothing: show what would be
    #[arg(long)]
    dry_run: bool,
    /// Why, for the records
    #[arg(long, value_name = "TEXT", default_value = "sold beyond the stock")]
    reason: String,
    #[command(flatten)]
    server: ServerArgs,
    /// File with an API key that has the scopes read and sell [default: the key in DOORBUSTER_API_KEY]
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    file: String,
    dry_run: bool,
    orders: u64,
    holds: u64,
    /// Orders cancelled, in part or whole, or that would be.
    orders_cancelled: u64,
    units_cancelled: u64,
    money_minor: BTreeMap<String, u128>,
    /// Holds released, whole, or that would be.
    holds_released: u64,
    units_released: u64,
    /// Orders that an earlier run of the same list cancelled; their units, not added up again.
    orders_cancelled_before: u64,
    units_cancelled_before: u64,
    /// Of a rehearsal: orders of which units came back already, by this list or by somebody.
    orders_unsure: u64,
    units_unsure: u64,
    /// Nothing was left to do.
    already: u64,
    failed: Vec<Failed>,
    /// Why nothing more was asked for; absent when all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
    /// Which ones may have been cancelled, and which ones were not asked for: a run again does what is
    /// left.
    unknown: Vec<String>,
    not_asked: u64,
}

#[derive(Debug, Serialize)]
struct Failed {
    id: String,
    why: String,
}

impl CancelArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let wrong = |error| failure(Exit::Usage, format!("--reason {:?}: {error}", self.reason));
        Text::new(&self.reason).map_err(wrong)?;
        let url = self.server.base_url()?;
        let list = list::read(&self.from)?;
        let target = Target::new(url, api_key::read(self.api_key_file.as_deref())?);
        self.output.prepare()?;
        let outcomes = actix_rt::System::new().block_on(self.undo_all(&target, &list));
        let summary = self.summary(&list, &outcomes);
        let Some(why) = &summary.stopped else {
            self.output.write(&summary, |out| summary.show(out))?;
            return Ok(if summary.failed.is_empty() { Exit::Done } else { Exit::CheckFailed });
        };
        let not_asked = summary.not_asked;
        if not_asked == list.len() as u64 {
            bail!("{url}: {why}");
        }
        self.output.write(&summary, |out| summary.show(out))?;
        bail!(
            "{url}: {why}; {} of {} not asked for: run it again, it goes on with what is left",
            grouped(not_asked),
            grouped(list.len() as u64)
        );
    }

    async fn undo_all(&self, target: &Target, list: &[Undo]) -> Vec<Outcome> {
        let outcomes: Vec<Cell<Option<Outcome>>> = list.iter().map(|_| Cell::new(None)).collect();
        let (trouble, stopped) = (Trouble::default(), Cell::new(false));
        let bar = ProgressBar::new(list.len() as u64);
        let style = ProgressStyle::with_template("cancelling {bar:30} {pos}/{len} {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let work = async |caller: std::rc::Rc<Caller>, number: usize| {
            let (Some(one), Some(outcome)) = (list.get(number), outcomes.get(number)) else {
                return;
            };
            let end = match stopped.get() {
                true => Outcome::NotAsked,
                false => undo(&caller, one, &self.reason, self.dry_run, &trouble).await,
            };
            if matches!(end, Outcome::Stopped(_) | Outcome::Unknown(_)) {
                stopped.set(true);
            }
            outcome.set(Some(end));
            bar.inc(1);
        };
        // The first alone: where nobody answers, nothing else is asked.
        spread(target, 1, list.len().min(1), &work).await;
        let rest = list.len().saturating_sub(1);
        spread(target, CONNECTIONS, rest, |caller, number| work(caller, number + 1)).await;
        bar.finish_and_clear();
        outcomes.into_iter().map(|cell| cell.into_inner().unwrap_or(Outcome::NotAsked)).collect()
    }

    fn summary(&self, list: &[Undo], outcomes: &[Outcome]) -> Summary {
        let file = self.from.display().to_string();
        let mut summary = Summary { file, dry_run: self.dry_run, ..Summary::default() };
        for (one, outcome) in list.iter().zip(outcomes) {
            let is_order = matches!(one.id, Id::Order(_));
            let count = if is_order { &mut summary.orders } else { &mut summary.holds };
            *count += 1;
            match outcome {
                Outcome::Undone { units, money_minor } if is_order => {
                    summary.orders_cancelled += 1;
                    summary.units_cancelled += units;
                    for (currency, amount) in money_minor {
                        *summary.money_minor.entry(currency.clone()).or_default() += amount;
                    }
                }
                Outcome::Undone { units, .. } => {
                    summary.holds_released += 1;
                    summary.units_released += units;
                }
                Outcome::Before { units } => {
                    summary.orders_cancelled_before += 1;
                    summary.units_cancelled_before += units;
                }
                Outcome::Unsure { units } => {
                    summary.orders_unsure += 1;
                    summary.units_unsure += units;
                }
                Outcome::Already => summary.already += 1,
                Outcome::Failed(why) => {
                    let id = one.id.as_str().to_owned();
                    summary.failed.push(Failed { id, why: why.clone() });
                }
                Outcome::Unknown(why) => {
                    summary.unknown.push(one.id.as_str().to_owned());
                    summary.stopped.get_or_insert_with(|| why.clone());
                }
                Outcome::Stopped(why) => {
                    summary.not_asked += 1;
                    summary.stopped.get_or_insert_with(|| why.clone());
                }
                Outcome::NotAsked => summary.not_asked += 1,
            }
        }
        summary
    }
}

impl Summary {
    fn show(&self, out: &mut String) {
        let word = if self.dry_run { "would be " } else { "" };
        let (orders, units) = (self.orders_cancelled, self.units_cancelled);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{} {word}cancelled: {}{}",
            counted(orders, "order"),
            counted(units, "unit"),
            self.money_words()
        );
        if self.holds > 0 {
            let (holds, units) = (self.holds_released, self.units_released);
            let (holds, units) = (counted(holds, "hold"), counted(units, "unit"));
            let _ = writeln!(out, "{holds} {word}released, each whole: {units}");
        }
        if self.orders_cancelled_before > 0 {
            let orders = counted(self.orders_cancelled_before, "order");
            let units = counted(self.units_cancelled_before, "unit");
            let _ = writeln!(out, "{orders} cancelled before by this list: {units}, not again");
        }
        if self.orders_unsure > 0 {
            let orders = counted(self.orders_unsure, "order");
            let units = counted(self.units_unsure, "unit");
            let _ = writeln!(
                out,
                "of {orders} units came back already, by this list or by somebody: {units} more would \
                 come back if it was not this list; only a run can tell"
            );
        }
        if self.already > 0 {
            let already = grouped(self.already);
            let _ = writeln!(out, "nothing was left to take back of {already}");
        }
        for failed in &self.failed {
            let _ = writeln!(out, "not cancelled: {}: {}", failed.id, failed.why);
        }
        for id in &self.unknown {
            let _ = writeln!(out, "not known whether cancelled: {id}");
        }
        if self.dry_run
            && self.stopped.is_none()
            && self.failed.is_empty()
            && self.orders_cancelled + self.holds_released > 0
        {
            out.push_str("nothing was changed; run it without --dry-run to cancel\n");
        }
    }

    fn money_words(&self) -> String {
        let sums = self.money_minor.iter().map(|(currency, amount)| match u64::try_from(*amount) {
            Ok(amount) => format!(", {} {currency}", money(amount, exponent_of(currency))),
            Err(_) => format!(", {amount} minor units of {currency}"),
        });
        sums.collect()
    }
}
