//! Puts the products in, plays every step, and counts what came of it.

use std::cell::RefCell;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::Prepared;
use super::curve::{Point, curve};
use super::known::{Known, keys};
use super::lists::Lists;
use super::outcome::{Outcome, Verdict};
use super::pace::Pace;
use super::plan::Plan;
use super::player::Player;
use super::products::{Opening, put_in};
use super::queue::work_off;
use super::reckon::reckon;
use super::tally::Tally;
use crate::cli::play::ask::TroubleReport;
use crate::cli::play::caller::Target;
use crate::cli::play::log_book::LogBook;
use crate::cli::play::stopwatch::Stopwatch;

/// What the steps came to.
pub(super) struct Played {
    pub(super) tally: Tally,
    pub(super) lists: Lists,
    pub(super) points: Vec<Point>,
    pub(super) trouble: TroubleReport,
    /// Lines that came out otherwise than they must, where that is certain.
    pub(super) unexpected: Option<Vec<u64>>,
    pub(super) seconds: f64,
}

/// Whose the stock is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stock {
    /// Products that are there are set to the opening stock.
    pub(super) restock: bool,
    /// The server is our own: nobody else buys from it.
    pub(super) alone: bool,
}

/// A progress bar.
pub(super) fn bar(template: &str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Plays all. `before` is the log when it begins, where there is one to read.
pub(super) async fn play(
    target: &Target,
    prepared: &Prepared,
    speed: Option<f64>,
    stock: Stock,
    before: Option<&LogBook>,
) -> anyhow::Result<Played> {
    let Prepared { plan, connections, .. } = prepared;
    let putting =
        bar("putting products in {bar:30} {human_pos} of {human_len}", plan.products.len() as u64);
    let openings = put_in(target, plan, stock.restock, &|| putting.inc(1)).await?;
    putting.finish_and_clear();
    let chains = plan.chains(*connections);
    let known = before.map_or(Known::default(), |log| Known::of(log, &keys(plan), plan, &chains));
    let fresh = openings.iter().all(|opening: &Opening| !opening.reused);
    let expected = (*connections == 1 && fresh && stock.alone).then(|| reckon(plan));
    let player = Player::new(plan, &known, Pace::new(speed), expected.as_deref());
    let playing =
        bar("playing {bar:30} {human_pos} of {human_len} {per_sec} {msg}", plan.steps.len() as u64);
    let missing = || Outcome::Failed("it was not played".to_owned());
    let outcomes: RefCell<Vec<Outcome>> =
        RefCell::new(plan.steps.iter().map(|_| missing()).collect());
    let since = Stopwatch::start();
    let (player_ref, playing_ref, outcomes_ref) = (&player, &playing, &outcomes);
    work_off(target, *connections, &chains, |caller, number| async move {
        let outcome = player_ref.play(&caller, number).await;
        if let Some(place) = outcomes_ref.borrow_mut().get_mut(number) {
            *place = outcome;
        }
        if let Some(at) = plan.at(number) {
            playing_ref.set_message(at.strftime("%F %H:%M").to_string());
        }
        playing_ref.inc(1);
    })
    .await;
    playing.finish_and_clear();
    let (seconds, outcomes) = (since.elapsed().as_secs_f64(), outcomes.borrow());
    Ok(Played {
        tally: Tally::new(plan, &openings, &outcomes, before.map(|log| log.last_sequence)),
        lists: Lists::new(plan, &outcomes),
        points: curve(plan, &outcomes),
        trouble: player.trouble.report(),
        unexpected: expected.map(|expected| unexpected(plan, &outcomes, &expected)),
        seconds,
    })
}

/// The lines of steps that came out otherwise than they must.
fn unexpected(plan: &Plan, outcomes: &[Outcome], expected: &[Verdict]) -> Vec<u64> {
    let steps = plan.steps.iter().zip(outcomes).zip(expected);
    let wrong = steps.filter(|((_, outcome), expected)| !outcome.is(expected));
    wrong.filter_map(|((step, _), _)| plan.head(step)).map(|line| line.number).collect()
}
