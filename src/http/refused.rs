//! Refusals as problems: which type each has, and the figures it shows.
//!
//! Exhaustive, so that a new refusal of the domain cannot be forgotten here.

use super::problem::{FieldError, ProblemType};
use super::render::Fields;
use crate::domain::{HoldEnd, Refusal, TermsError};

/// The type of a refusal.
pub(super) fn problem_type(refusal: &Refusal) -> ProblemType {
    match refusal {
        Refusal::SoldOut { .. } => ProblemType::SoldOut,
        Refusal::LimitReached { .. } => ProblemType::LimitReached,
        Refusal::NotOpen { .. } => ProblemType::NotOpen,
        Refusal::Closed { .. } => ProblemType::Closed,
        Refusal::Paused => ProblemType::Paused,
        Refusal::AlreadyExists => ProblemType::AlreadyExists,
        Refusal::StockChanged { .. } => ProblemType::StockChanged,
        Refusal::WouldOversell { .. } => ProblemType::WouldOversell,
        Refusal::PreconditionFailed { .. } => ProblemType::PreconditionFailed,
        Refusal::InvalidTerms { .. } | Refusal::OverMaximum { .. } | Refusal::SaleFull { .. } => {
            ProblemType::Invalid
        }
        Refusal::UnknownProduct => ProblemType::UnknownProduct,
        Refusal::HoldsReached { .. } => ProblemType::LimitReached,
        Refusal::HoldsFull { .. } => ProblemType::Overloaded,
        Refusal::UnknownHold => ProblemType::UnknownHold,
        Refusal::HoldEnded { end: HoldEnd::Confirmed } => ProblemType::HoldConfirmed,
        Refusal::HoldEnded { end: HoldEnd::Released } => ProblemType::HoldReleased,
        Refusal::HoldEnded { end: HoldEnd::Expired } => ProblemType::HoldExpired,
        Refusal::AlreadyCancelled { .. } => ProblemType::AlreadyCancelled,
        Refusal::NoSuchLine { .. }
        | Refusal::PartTooLarge { .. }
        | Refusal::HoldTooLong { .. }
        | Refusal::CountOverMaximum { .. } => ProblemType::Invalid,
        // Of several reasons the first line's stands for the order; all are in `lines`.
        Refusal::Lines(lines) => {
            lines.first().map_or(ProblemType::SoldOut, |line| problem_type(&line.refusal))
        }
    }
}

/// For refusals that are about a field of the request: which, and what is wrong.
pub(super) fn field_error(refusal: &Refusal) -> Option<FieldError> {
    let pointer = match refusal {
        Refusal::InvalidTerms { error: TermsError::EmptyWindow } => "/closes_at",
        Refusal::SaleFull { .. } => "/sale_id",
        Refusal::HoldTooLong { .. } => "/ttl_ms",
        Refusal::CountOverMaximum { .. } => "",
        Refusal::InvalidTerms { .. } | Refusal::OverMaximum { .. } => "",
        Refusal::NoSuchLine { part } => return Some(part_error(*part, "", refusal)),
        Refusal::PartTooLarge { part, .. } => {
            return Some(part_error(*part, "/quantity", refusal));
        }
        _ => return None,
    };
    Some(FieldError { pointer: pointer.to_owned(), detail: refusal.to_string() })
}

fn part_error(part: usize, field: &str, refusal: &Refusal) -> FieldError {
    FieldError { pointer: format!("/lines/{part}{field}"), detail: refusal.to_string() }
}

/// The figures of a refusal, as fields of its problem.
pub(super) fn figures(refusal: &Refusal, fields: &mut Fields<'_>) {
    match refusal {
        Refusal::SoldOut { available, requested } => {
            fields.number("available", *available);
            fields.number("requested", *requested);
        }
        Refusal::LimitReached { limit, bought, requested } => {
            fields.number("limit", u64::from(*limit));
            fields.number("bought", *bought);
            fields.number("requested", *requested);
        }
        Refusal::NotOpen { opens_at_ms } => fields.time("opens_at", *opens_at_ms),
        Refusal::Closed { closes_at_ms } => fields.time("closes_at", *closes_at_ms),
        Refusal::StockChanged { expected_unsold, unsold } => {
            fields.signed("expected_unsold", *expected_unsold);
            fields.signed("unsold", *unsold);
        }
        Refusal::WouldOversell { shortfall } => fields.number("shortfall", *shortfall),
        Refusal::HoldsReached { limit } => fields.number("limit", u64::from(*limit)),
        Refusal::AlreadyCancelled { left, requested } => {
            fields.number("left", *left);
            fields.number("requested", *requested);
        }
        Refusal::PreconditionFailed { terms_version } => {
            fields.number("terms_version", u64::from(*terms_version));
        }
        Refusal::Lines(lines) => fields.array("lines", lines, |line, item| {
            item.object(|fields| {
                fields.array("line_nos", &line.lines, |place, item| item.number(*place as u64 + 1));
                let name = problem_type(&line.refusal).name();
                fields.joined("type", super::problem::PROBLEM_PREFIX, name);
                fields.display("detail", &line.refusal);
                figures(&line.refusal, fields);
            });
        }),
        Refusal::Paused
        | Refusal::AlreadyExists
        | Refusal::InvalidTerms { .. }
        | Refusal::OverMaximum { .. }
        | Refusal::SaleFull { .. }
        | Refusal::HoldsFull { .. }
        | Refusal::UnknownHold
        | Refusal::HoldEnded { .. }
        | Refusal::NoSuchLine { .. }
        | Refusal::PartTooLarge { .. }
        | Refusal::HoldTooLong { .. }
        | Refusal::CountOverMaximum { .. }
        | Refusal::UnknownProduct => {}
    }
}
