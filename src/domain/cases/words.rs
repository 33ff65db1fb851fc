//! What was decided or refused, in the words the case tables expect.

use std::fmt::Write as _;

use super::script::World;
use crate::domain::*;

impl World {
    /// A decision's word and its figures. `order` and `hold` are named as they appear.
    pub(super) fn decided_in_words(&self, decision: &Decision, changes: &Changes) -> String {
        let mut words = match decision {
            Decision::ProductCreated(created) => format!("created stock={}", created.stock),
            Decision::TermsChanged(_) => format!("changed products={}", changes.len()),
            Decision::StockAdjusted(adjusted) => {
                let StockAdjusted { delta, stock, unsold, reason, .. } = &**adjusted;
                format!("adjusted delta={delta} stock={stock} unsold={unsold} reason={reason:?}")
            }
            Decision::OrderPlaced(order) => {
                let prices: Vec<String> = order.lines.iter().map(price).collect();
                let (lines, prices) = (order.lines.len(), prices.join(","));
                format!("sold order=o{} lines={lines} prices={prices}", self.orders.len())
            }
            Decision::HoldPlaced(placed) => {
                let (hold, lines) = (self.holds.len(), self.lines(&placed.lines));
                format!("held hold=h{hold} expires_at_ms={} lines={lines}", placed.expires_at_ms)
            }
            Decision::HoldExtended(extended) => {
                format!("extended expires_at_ms={}", extended.expires_at_ms)
            }
            Decision::HoldConfirmed(confirmed) => {
                let (order, lines) = (self.orders.len(), self.lines(&confirmed.order.lines));
                let released = self.lines(&confirmed.released);
                format!("confirmed order=o{order} lines={lines} released={released}")
            }
            Decision::HoldReleased(ended) => format!("released lines={}", self.lines(&ended.lines)),
            Decision::HoldExpired(ended) => format!("expired lines={}", self.lines(&ended.lines)),
            Decision::OrderCancelled(cancelled) => {
                let units = |line: &CancelledLine| line.quantity.units();
                let freed: u64 = cancelled.lines.iter().filter(|l| l.frees_limit).map(units).sum();
                let line = |line: &CancelledLine| format!("line{}*{}", line.place + 1, units(line));
                let lines: Vec<String> = cancelled.lines.iter().map(line).collect();
                let OrderCancelled { whole, restocked, .. } = **cancelled;
                let lines = lines.join(",");
                format!("cancelled lines={lines} freed={freed} whole={whole} restocked={restocked}")
            }
            Decision::SellingPaused(selling) => format!("selling paused={}", selling.paused),
            Decision::RefusalsCounted(_) => "counted".to_owned(),
        };
        let version = |change: &Change| change.version.to_string();
        let versions: Vec<String> = changes.iter().map(version).collect();
        write!(words, " version={}", versions.join(",")).unwrap();
        words
    }

    /// `p1*2@250GBP,p2*1`, or `none`.
    fn lines(&self, lines: &[OrderLine]) -> String {
        let line = |line: &OrderLine| {
            let units = line.quantity.units();
            let name = self.names.get(line.product.index()).map_or("?", String::as_str);
            match line.unit_price {
                Some(_) => format!("{name}*{units}@{}", price(line)),
                None => format!("{name}*{units}"),
            }
        };
        match lines.iter().map(line).collect::<Vec<_>>() {
            lines if lines.is_empty() => "none".to_owned(),
            lines => lines.join(","),
        }
    }
}

fn price(line: &OrderLine) -> String {
    let text = |price: Money| format!("{}{:?}", price.amount_minor(), price.currency());
    line.unit_price.map_or_else(|| "none".to_owned(), text)
}

pub(super) fn refused_in_words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::SoldOut { available, requested } => {
            format!("sold_out available={available} requested={requested}")
        }
        Refusal::LimitReached { limit, bought, requested } => {
            format!("limit_reached limit={limit} bought={bought} requested={requested}")
        }
        Refusal::NotOpen { opens_at_ms } => format!("not_open opens_at_ms={opens_at_ms}"),
        Refusal::Closed { closes_at_ms } => format!("closed closes_at_ms={closes_at_ms}"),
        Refusal::Paused => "paused".to_owned(),
        Refusal::AlreadyExists => "already_exists".to_owned(),
        Refusal::StockChanged { expected_unsold, unsold } => {
            format!("stock_changed expected={expected_unsold} unsold={unsold}")
        }
        Refusal::WouldOversell { shortfall } => format!("would_oversell shortfall={shortfall}"),
        Refusal::PreconditionFailed { terms_version } => {
            format!("precondition_failed terms_version={terms_version}")
        }
        Refusal::InvalidTerms { error } => format!("invalid_terms error={error:?}"),
        Refusal::HoldTooLong { max_ms } => format!("hold_too_long max_ms={max_ms}"),
        Refusal::CountOverMaximum { max } => format!("count_over_maximum max={max}"),
        Refusal::OverMaximum { max } => format!("over_maximum max={max}"),
        Refusal::SaleFull { max } => format!("sale_full max={max}"),
        Refusal::UnknownProduct => "unknown_product".to_owned(),
        Refusal::HoldsReached { limit } => format!("holds_reached limit={limit}"),
        Refusal::HoldsFull { max } => format!("holds_full max={max}"),
        Refusal::UnknownHold => "unknown_hold".to_owned(),
        Refusal::HoldEnded { end } => format!("hold_ended end={}", end.as_str()),
        Refusal::AlreadyCancelled { left, requested } => {
            format!("already_cancelled left={left} requested={requested}")
        }
        Refusal::NoSuchLine { part } => format!("no_such_line part={part}"),
        Refusal::PartTooLarge { part, units } => {
            format!("part_too_large part={part} units={units}")
        }
        Refusal::Lines(lines) => {
            let mut words = "lines".to_owned();
            for line in lines {
                let places: Vec<String> = line.lines.iter().map(usize::to_string).collect();
                let refusal = refused_in_words(&line.refusal).replace(' ', ",");
                write!(words, " {}:{refusal}", places.join("+")).unwrap();
            }
            words
        }
    }
}
