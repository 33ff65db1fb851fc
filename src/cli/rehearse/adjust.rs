//! Plays an adjustment: units are written off, or put in.

use serde_json::json;

use super::answer::{not_asked, refusal, sequence_of};
use super::line::Line;
use super::outcome::{Booked, Outcome, Refused};
use super::player::Player;
use crate::cli::play::ask::ask;
use crate::cli::play::caller::Caller;
use crate::cli::play::order::Adjustment;
use crate::domain::{FIGURE_MAX, Text};

/// Words in a description that say why units are written off.
const DAMAGED: [&str; 9] =
    ["damag", "faulty", "broke", "crush", "wet", "mould", "rust", "smash", "dirty"];
const LOST: [&str; 5] = ["lost", "missing", "stolen", "thrown", "destroyed"];

/// Why an adjustment is made.
pub(super) struct Why {
    reason: &'static str,
    text: Option<String>,
}

impl Player<'_> {
    /// Writes units off.
    pub(super) async fn write_off(&self, caller: &Caller, number: usize, key: &str) -> Outcome {
        let Some(line) = self.plan.steps.get(number).and_then(|step| self.plan.head(step)) else {
            return Outcome::Failed("no such line".to_owned());
        };
        if self.known.was_refused(number, key) {
            return Outcome::Kept(self.refused_before(number));
        }
        let name = self.plan.products.get(line.product).map_or("", |product| &*product.name);
        let delta = i64::try_from(line.quantity).unwrap_or(FIGURE_MAX.cast_signed());
        match self.adjust(caller, key, line, -delta, Why::of_text(&line.text, name)).await {
            Ok(Ok(booked)) => Outcome::WrittenOff(booked),
            Ok(Err(reason)) => Outcome::Kept(Refused { reason, short: Vec::new() }),
            Err(what) => Outcome::Failed(what),
        }
    }

    /// Makes an adjustment, or tells why it is refused.
    pub(super) async fn adjust(
        &self,
        caller: &Caller,
        key: &str,
        line: &Line,
        delta: i64,
        why: Why,
    ) -> Result<Result<Booked, String>, String> {
        let adjustment = Adjustment {
            product_id: self.plan.product_id(line.product).to_owned(),
            delta,
            reason: why.reason.to_owned(),
            text: why.text,
            reference: Some(line.invoice.clone()),
        };
        let mut body = json!({"delta": delta, "reason": adjustment.reason,
            "reference": adjustment.reference});
        if let (Some(text), Some(fields)) = (&adjustment.text, body.as_object_mut()) {
            fields.insert("text".to_owned(), json!(text));
        }
        let path = format!("/v1/products/{}/adjustments", adjustment.product_id);
        let heard = ask(caller, &path, key, &body, &self.trouble).await;
        let heard = heard.map_err(|error| error.to_string())?;
        let reply = &heard.reply;
        if reply.status != 201 {
            return refusal(reply).map(Err);
        }
        let of_earlier_run = heard.of_earlier_run();
        match (Adjustment::from_json(&reply.body), sequence_of(&reply.body)) {
            (Some(told), Some(sequence)) if told == adjustment => {
                Ok(Ok(Booked { adjustment, sequence, of_earlier_run }))
            }
            _ => Err(not_asked(reply)),
        }
    }
}

impl Why {
    /// Units came back that no order here sold.
    pub(super) fn returned() -> Self {
        Self { reason: "returned", text: None }
    }

    /// By the description of a write-off: where that is only the product's name, or nothing, it
    /// tells nothing.
    fn of_text(text: &str, name: &str) -> Self {
        let lower = text.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        match text {
            "" => Self { reason: "correction", text: None },
            _ if text == name => Self { reason: "correction", text: None },
            _ if says(&DAMAGED) => Self { reason: "damaged", text: None },
            _ if says(&LOST) => Self { reason: "lost", text: None },
            _ => match Text::new(text) {
                Ok(text) => Self { reason: "other", text: Some(text.to_string()) },
                Err(_) => Self { reason: "correction", text: None },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_of_a_write_off_is_its_reason_as_far_as_it_tells() {
        let cases = [
            ("", "correction", None),
            ("RED LAMP", "correction", None),
            ("damages", "damaged", None),
            ("Wet/rusty", "damaged", None),
            ("thrown away", "lost", None),
            ("check", "other", Some("check")),
            ("?", "other", Some("?")),
        ];
        for (text, reason, more) in cases {
            let why = Why::of_text(text, "RED LAMP");
            assert_eq!((why.reason, why.text.as_deref()), (reason, more), "{text}");
        }
    }
}
