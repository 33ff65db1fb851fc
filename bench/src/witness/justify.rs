//! Whether a refusal rests on something: its figures are those of a durable state, at some moment
//! between what the client had heard before it asked and what was durable when it was answered.

use super::Witness;
use super::heard::Said;
use super::history::State;
use super::notes::Attempt;
use super::wish::Wish;

impl Witness {
    pub(super) fn justify(
        &self,
        attempt: &Attempt,
        said: &Said,
        now_ms: u64,
    ) -> Result<(), String> {
        let Some(call) = self.notes.call(attempt.call) else { return Ok(()) };
        let wish = &call.wish;
        // What an attempt is refused for cannot be what another one under its key took.
        let own = self.notes.made(attempt.call, now_ms);
        let high = own.map_or(self.durable(), |own| own.sequence - 1);
        let window = Window { low: attempt.floor, high, asked_ms: attempt.asked_ms, now_ms };
        let Said::Lines(lines) = said else {
            return self.justify_one(wish, wish.product(), said, window);
        };
        for refused in lines {
            let product = wish.lines().get(refused.line).map(|line| line.product);
            self.justify_one(wish, product, &refused.said, window)?;
        }
        Ok(())
    }

    fn justify_one(
        &self,
        wish: &Wish,
        product: Option<u16>,
        said: &Said,
        window: Window,
    ) -> Result<(), String> {
        let Window { low, high, asked_ms, now_ms } = window;
        let states = product.map_or(&[][..], |product| self.history.between(product, low, high));
        let units = product.map_or(0, |product| wish.units(product));
        let rests = |fits: &dyn Fn(&State) -> bool, what: &str| match states.iter().any(fits) {
            true => Ok(()),
            false => Err(format!("{what} in none of its states {states:?}")),
        };
        match said {
            Said::SoldOut { available, requested } => {
                if *requested != units || available >= requested {
                    return Err(format!("{units} were asked for"));
                }
                // What was over when it was asked for can be sold.
                let fits =
                    |state: &State| state.available == *available && state.next_due_ms > asked_ms;
                rests(&fits, "so many are available")
            }
            Said::LimitReached { limit, bought, requested } => {
                if bought + requested <= u64::from(*limit) || *requested != units {
                    return Err("the limit is not reached".to_owned());
                }
                rests(&|state| state.per_buyer_limit == *limit, "it has this limit")
            }
            Said::NotOpen { opens_at_ms } => rests(
                &|state| state.opens_at_ms == *opens_at_ms && *opens_at_ms > asked_ms,
                "it opens then",
            ),
            Said::Closed { closes_at_ms } => rests(
                &|state| state.closes_at_ms == *closes_at_ms && *closes_at_ms <= now_ms,
                "it closed then",
            ),
            Said::Paused if self.history.was_paused(low, high) => Ok(()),
            Said::Paused => rests(&|state| state.paused, "it is paused"),
            Said::AlreadyExists => rests(&|_| true, "it exists"),
            Said::StockChanged { unsold } => {
                let of = |state: &State| {
                    i128::from(state.stock) - i128::from(state.sold) == i128::from(*unsold)
                };
                rests(&of, "so many are unsold")
            }
            Said::WouldOversell { shortfall } => match wish {
                Wish::Adjust { delta, .. } => {
                    let short = |state: &State| {
                        let most = i128::from(state.stock)
                            + i128::from(*delta)
                            + i128::from(state.oversell_limit);
                        let taken = i128::from(state.held + state.sold);
                        // Below nothing in stock, whatever may be oversold.
                        let below = -(i128::from(state.stock) + i128::from(*delta));
                        (taken - most).max(below) == i128::from(*shortfall)
                    };
                    rests(&short, "so many are missing")
                }
                _ => Ok(()),
            },
            Said::PreconditionFailed { terms_version } => {
                rests(&|state| state.terms_version == *terms_version, "its terms have this version")
            }
            Said::UnknownHold | Said::HoldEnded(_) => self.justify_hold(wish, said, window),
            Said::AlreadyCancelled | Said::Other | Said::Lines(_) => Ok(()),
        }
    }

    fn justify_hold(&self, wish: &Wish, said: &Said, window: Window) -> Result<(), String> {
        let (Wish::Extend { hold, .. } | Wish::Confirm { hold, .. } | Wish::Release { hold }) =
            wish
        else {
            return Err("it names no hold".to_owned());
        };
        let held = self.model.holds().get(*hold);
        let end = held.and_then(|held| held.end);
        let fits = match said {
            Said::HoldEnded(status) => {
                end.is_some_and(|end| end.status == *status && end.sequence <= window.high)
            }
            // Its record is not known to anybody, or its end is a day ago.
            _ => {
                held.is_none()
                    || *hold > window.low
                    || end.is_some_and(|end| end.at_ms + 86_400_000 <= window.now_ms)
            }
        };
        if fits { Ok(()) } else { Err(format!("the hold ended as {end:?}")) }
    }
}

/// When, and on what, a refusal may rest.
#[derive(Debug, Clone, Copy)]
struct Window {
    low: u64,
    high: u64,
    asked_ms: u64,
    now_ms: u64,
}
