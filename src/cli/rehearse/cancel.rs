//! Plays a cancellation: units of earlier orders come back, and what matches none is put in.

use serde_json::{Value, json};

use super::adjust::Why;
use super::answer::{not_asked, refusal, sequence_of};
use super::earlier::{Units, by_order};
use super::known::{cancel_key, returned_key};
use super::line::Line;
use super::outcome::{Back, Outcome, Returned};
use super::player::Player;
use crate::cli::play::ask::ask;
use crate::cli::play::caller::Caller;
use crate::cli::play::order::Status;
use crate::domain::FIGURE_MAX;

impl Player<'_> {
    /// Cancels units of earlier orders; what matches none is put in as returned.
    pub(super) async fn cancel(&self, caller: &Caller, number: usize, key: &str) -> Outcome {
        let Some(line) = self.plan.steps.get(number).and_then(|step| self.plan.head(step)) else {
            return Outcome::Failed("no such line".to_owned());
        };
        let (taken, rest) =
            self.earlier.borrow_mut().take(&line.buyer_id, line.product, line.quantity);
        let mut returned = Returned::default();
        for (nth, units) in by_order(&taken).enumerate() {
            let key = cancel_key(key, nth + 1);
            let sum = units.iter().map(|units| units.units).sum();
            if self.known.was_refused(number, &key) {
                returned.refused.push((sum, self.refused_before(number).reason));
                continue;
            }
            match self.cancel_of(caller, &key, line, units).await {
                Ok(Ok(back)) => returned.back.push(back),
                Ok(Err(reason)) => returned.refused.push((sum, reason)),
                Err(what) => {
                    returned.failed = Some(what);
                    return Outcome::Returned(returned);
                }
            }
        }
        if rest > 0 {
            let why = Why::returned();
            let delta = i64::try_from(rest).unwrap_or(FIGURE_MAX.cast_signed());
            match self.adjust(caller, &returned_key(key), line, delta, why).await {
                Ok(Ok(booked)) => returned.booked = Some(booked),
                Ok(Err(reason)) => returned.refused.push((rest, reason)),
                Err(what) => returned.failed = Some(what),
            }
        }
        Outcome::Returned(returned)
    }

    /// Cancels units of one order, or tells why it is refused.
    async fn cancel_of(
        &self,
        caller: &Caller,
        key: &str,
        line: &Line,
        units: &[Units],
    ) -> Result<Result<Back, String>, String> {
        let step = units.first().map_or(0, |units| units.step);
        let order_id = self.order_ids.borrow().get(&step).cloned().unwrap_or_default();
        let parts = units.iter();
        let parts: Vec<Value> = parts
            .map(|units| json!({"line_no": units.place + 1, "quantity": units.units}))
            .collect();
        let body = json!({"reason": format!("invoice {}", line.invoice), "lines": parts});
        let path = format!("/v1/orders/{order_id}/cancel");
        let heard = ask(caller, &path, key, &body, &self.trouble).await;
        let heard = heard.map_err(|error| error.to_string())?;
        let reply = &heard.reply;
        if reply.status != 200 {
            return refusal(reply).map(Err);
        }
        let of_earlier_run = heard.of_earlier_run();
        let told = back_of(&reply.body, &order_id, units);
        let (status, sequence) = told.ok_or_else(|| not_asked(reply))?;
        Ok(Ok(Back { order_id, status, units: units.to_vec(), sequence, of_earlier_run }))
    }
}

/// Status and record of a cancellation, if it is of these units of that order.
fn back_of(body: &Value, order_id: &str, units: &[Units]) -> Option<(Status, u64)> {
    let told = body.get("lines")?.as_array()?.iter();
    let mut told: Vec<(u64, u64)> = told
        .map(|line| Some((line.get("line_no")?.as_u64()?, line.get("quantity")?.as_u64()?)))
        .collect::<Option<_>>()?;
    let mut asked: Vec<(u64, u64)> =
        units.iter().map(|units| (units.place as u64 + 1, units.units)).collect();
    told.sort_unstable();
    asked.sort_unstable();
    let status = Status::named(body.get("status")?.as_str()?)?;
    let same = told == asked && body.get("order_id")?.as_str()? == order_id;
    same.then_some((status, sequence_of(body)?))
}
