//! What an idempotency key is good for, by the naive model.

use std::collections::HashMap;

use crate::journal::{KeyStamp, Record};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// What a key has come to.
#[derive(Debug, Clone, Copy)]
enum Key {
    /// Somebody's command is not answered, or its outcome is not known.
    Taken { body: u8 },
    /// It made a record, which is durable.
    Made { body: u8, sequence: u64, at_ms: u64 },
}

/// What a key says to a new command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing: it is new, or forgotten.
    Nothing,
    /// It came with another body.
    Reused,
    /// It is somebody else's at the moment.
    InFlight,
    /// It made this record.
    Made(u64),
}

/// All keys by their number.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<u64, Key>);

/// The stamp of a key and a body.
pub(super) fn stamp(number: u64, body: u8) -> KeyStamp {
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    hash[8..].copy_from_slice(&number.to_be_bytes());
    KeyStamp { hash, fingerprint: [body; 8] }
}

fn number(stamp: &KeyStamp) -> u64 {
    u64::from_be_bytes(stamp.hash[8..].try_into().unwrap())
}

impl Keys {
    pub(super) fn ask(&self, stamp: Option<&KeyStamp>, now_ms: u64) -> Said {
        let Some(stamp) = stamp else { return Said::Nothing };
        let found = self.0.get(&number(stamp)).copied();
        let same =
            |body: u8, said| if [body; 8] == stamp.fingerprint { said } else { Said::Reused };
        match found {
            None => Said::Nothing,
            Some(Key::Taken { body }) => same(body, Said::InFlight),
            Some(Key::Made { at_ms, .. }) if at_ms + DAY_MS <= now_ms => Said::Nothing,
            Some(Key::Made { body, sequence, .. }) => same(body, Said::Made(sequence)),
        }
    }

    pub(super) fn take(&mut self, stamp: Option<&KeyStamp>) {
        if let Some(stamp) = stamp {
            self.0.insert(number(stamp), Key::Taken { body: stamp.fingerprint[0] });
        }
    }

    /// Nothing came of it.
    pub(super) fn give_back(&mut self, stamp: Option<&KeyStamp>) {
        if let Some(stamp) = stamp {
            assert!(matches!(self.0.remove(&number(stamp)), Some(Key::Taken { .. })));
        }
    }

    /// A record is durable: a key makes one within a day.
    pub(super) fn made(&mut self, sequence: u64, record: &Record) {
        let Some(stamp) = &record.envelope.key else { return };
        let (body, at_ms) = (stamp.fingerprint[0], record.envelope.decided_at_ms);
        let before = self.0.insert(number(stamp), Key::Made { body, sequence, at_ms });
        if let Some(Key::Made { at_ms: before_ms, .. }) = before {
            assert!(before_ms + DAY_MS <= at_ms, "{sequence}: a key made two records");
        }
    }
}
