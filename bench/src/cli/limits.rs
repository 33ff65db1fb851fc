//! How much may be asked for: a number outside is a usage error, told before anything starts.

use clap::builder::RangedU64ValueParser;

use crate::figures::ROUNDS_MAX;
use crate::load::{CONNECTIONS_MAX, SECONDS_MAX, THREADS_MAX};

pub(super) fn rounds() -> RangedU64ValueParser<usize> {
    upto(ROUNDS_MAX)
}

pub(super) fn connections() -> RangedU64ValueParser<usize> {
    upto(CONNECTIONS_MAX)
}

pub(super) fn threads() -> RangedU64ValueParser<usize> {
    upto(THREADS_MAX)
}

pub(super) fn seconds() -> RangedU64ValueParser<u64> {
    seconds_upto(SECONDS_MAX)
}

pub(super) fn seconds_upto(max: u64) -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(1..=max)
}

pub(super) fn upto(max: usize) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=max as u64)
}
