//! Plays the steps: orders, cancellations and write-offs, each asked until its outcome is known.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::json;

use super::answer::refused;
use super::earlier::Earlier;
use super::known::{Known, part_key};
use super::line::Line;
use super::outcome::{Outcome, Refused, Sold, Verdict};
use super::pace::Pace;
use super::plan::{Partial, Plan, Step};
use super::reckon::{enter_bought, share_out};
use crate::cli::play::ask::{Trouble, ask};
use crate::cli::play::caller::Caller;
use crate::cli::play::order::{Line as OrderLine, Order};

/// A refusal by an earlier run, of which the log does not say why.
pub(super) const REFUSED_BEFORE: &str = "refused-before";

/// What playing needs to know and remember.
pub(super) struct Player<'a> {
    pub(super) plan: &'a Plan,
    pub(super) known: &'a Known,
    pub(super) pace: Pace,
    pub(super) trouble: Trouble,
    /// What must become of each step, where that is certain.
    expected: Option<&'a [Verdict]>,
    pub(super) earlier: RefCell<Earlier>,
    /// By the step that placed it.
    pub(super) order_ids: RefCell<HashMap<usize, String>>,
}

impl<'a> Player<'a> {
    /// Nothing is played yet.
    pub(super) fn new(
        plan: &'a Plan,
        known: &'a Known,
        pace: Pace,
        expected: Option<&'a [Verdict]>,
    ) -> Self {
        let (trouble, earlier, order_ids) = Default::default();
        Self { plan, known, pace, trouble, expected, earlier, order_ids }
    }

    /// Plays one step.
    pub(super) async fn play(&self, caller: &Caller, number: usize) -> Outcome {
        let Some(step) = self.plan.steps.get(number) else {
            return Outcome::Failed("no such step".to_owned());
        };
        let key = self.plan.key(step);
        if let Some(at) = self.plan.at(number)
            && !self.known.is_behind(number, &key)
        {
            self.pace.wait_for(at).await;
        }
        match step {
            Step::Order(_) => {
                let lines: Vec<&Line> = self.plan.lines_of(step).collect();
                let outcome = self.order(caller, number, &key, &lines).await;
                if let Outcome::Sold(sold) = &outcome {
                    self.order_ids.borrow_mut().insert(number, sold.order_id.clone());
                    enter_bought(&mut self.earlier.borrow_mut(), number, &lines, &sold.got);
                }
                outcome
            }
            Step::Cancellation(_) => self.cancel(caller, number, &key).await,
            Step::WriteOff(_) => self.write_off(caller, number, &key).await,
        }
    }

    async fn order(&self, caller: &Caller, number: usize, key: &str, lines: &[&Line]) -> Outcome {
        if let Some(got) = self.known.filled(number) {
            let refused = Some(self.refused_before(number));
            return self.ask_for(caller, &part_key(key), lines, got.to_vec(), refused).await;
        }
        if self.known.was_refused(number, key) {
            return Outcome::Refused(self.refused_before(number));
        }
        let all = lines.iter().map(|line| line.quantity).collect();
        let outcome = self.ask_for(caller, key, lines, all, None).await;
        let Outcome::Refused(refused) = outcome else { return outcome };
        let got = share_out(lines, &refused.short);
        if self.plan.partial == Partial::Refuse || got.iter().all(|units| *units == 0) {
            return Outcome::Refused(refused);
        }
        self.ask_for(caller, &part_key(key), lines, got, Some(refused)).await
    }

    /// Asks for so many units of each line.
    async fn ask_for(
        &self,
        caller: &Caller,
        key: &str,
        lines: &[&Line],
        got: Vec<u64>,
        before: Option<Refused>,
    ) -> Outcome {
        let had = lines.iter().zip(&got).filter(|(_, units)| **units > 0);
        let had: Vec<&Line> = had.map(|(line, _)| *line).collect();
        let Some(head) = had.first() else { return Outcome::Failed("an empty order".to_owned()) };
        let wished = had.iter().zip(got.iter().filter(|units| **units > 0));
        let wished = wished.map(|(line, units)| self.plan.order_line(line, *units)).collect();
        let reference = Some(head.invoice.clone());
        let order =
            Order { buyer_id: head.buyer_id.clone(), reference, lines: wished, ..Order::default() };
        let heard = match ask(caller, "/v1/orders", key, &body(&order), &self.trouble).await {
            Ok(heard) => heard,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        let reply = &heard.reply;
        match (reply.status, Order::from_json(&reply.body)) {
            (201, Some((order_id, told))) if told == order => Outcome::Sold(Sold {
                order_id,
                order: told,
                got,
                refused: before,
                of_earlier_run: heard.of_earlier_run(),
            }),
            (201, _) => {
                Outcome::Failed(format!("the answer is not what was asked: {}", reply.body))
            }
            (409, _) if !reply.problem().is_empty() => Outcome::Refused(refused(reply, &had)),
            _ => Outcome::Failed(reply.words()),
        }
    }

    /// The refusal by an earlier run: where it is certain what must come of each step, of that too.
    pub(super) fn refused_before(&self, number: usize) -> Refused {
        match self.expected.and_then(|expected| expected.get(number)) {
            Some(Verdict::Refused(short) | Verdict::Sold(_, short)) if !short.is_empty() => {
                Refused { reason: "sold-out".to_owned(), short: short.clone() }
            }
            Some(Verdict::Kept) => {
                Refused { reason: "would-oversell".to_owned(), ..Refused::default() }
            }
            _ => Refused { reason: REFUSED_BEFORE.to_owned(), short: Vec::new() },
        }
    }
}

fn body(order: &Order) -> serde_json::Value {
    let line = |line: &OrderLine| {
        json!({"product_id": line.product_id, "quantity": line.quantity,
            "unit_price": line.unit_price})
    };
    let lines: Vec<_> = order.lines.iter().map(line).collect();
    json!({"buyer_id": order.buyer_id, "reference": order.reference, "lines": lines})
}
