//! Admission: a permit before deciding, so that after deciding nothing can run out.
//!
//! A permit counts one command in flight and its queued bytes, and holds room for its record in
//! zeroed segments. Without one nothing is decided. Cost: two atomic operations, no lock; a batch
//! gives its permits back as one.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::journal::Room;

/// How much may be in flight.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionLimits {
    /// Commands admitted and not answered.
    pub commands_max: usize,
    /// Bytes of their records, at most.
    pub queued_bytes_max: usize,
}

/// Gives permits.
pub struct Admission {
    limits: AdmissionLimits,
    room: Room,
    /// Commands in flight above their queued bytes, so that both are counted at once.
    load: AtomicU64,
}

/// Bits of [`Admission::load`] for bytes: a tebibyte, and above it 16 million commands. Half of each
/// may be asked for, so that what is counted before it is refused never spills over.
const BYTES_BITS: u32 = 40;
const COMMAND: u64 = 1 << BYTES_BITS;
const COMMANDS_MAX: usize = 1 << (u64::BITS - BYTES_BITS - 1);
const BYTES_MAX: usize = 1 << (BYTES_BITS - 1);

/// Why a command was turned away before anything was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// Answer 503 with Retry-After.
    #[error("{commands} commands are in flight, {commands_max} may")]
    Commands {
        /// In flight.
        commands: usize,
        /// The limit.
        commands_max: usize,
    },
    /// Answer 503 with Retry-After.
    #[error("{queued_bytes} bytes are queued, {queued_bytes_max} may")]
    QueuedBytes {
        /// Queued.
        queued_bytes: usize,
        /// The limit.
        queued_bytes_max: usize,
    },
    /// Answer 503 with Retry-After; the journal is sound and heals when the disk has room.
    #[error("the journal has room for {room_bytes} bytes, this needs {needed_bytes}")]
    DiskLow {
        /// Left in zeroed segments.
        room_bytes: i64,
        /// What the record may take.
        needed_bytes: usize,
    },
}

/// Leave to decide commands, and room for their records. Whoever has one gives it back.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Permit {
    /// As in [`Admission::load`].
    load: u64,
    room_bytes: u64,
}

impl Admission {
    /// Admits up to `limits` and the journal's room.
    #[must_use]
    pub fn new(limits: AdmissionLimits, room: Room) -> Self {
        let AdmissionLimits { commands_max, queued_bytes_max } = limits;
        let limits = AdmissionLimits {
            commands_max: commands_max.min(COMMANDS_MAX),
            queued_bytes_max: queued_bytes_max.min(BYTES_MAX),
        };
        Self { limits, room, load: AtomicU64::new(0) }
    }

    /// Takes a permit for one command whose payload has at most `payload_bytes`.
    ///
    /// # Errors
    /// A limit is reached: nothing was taken, nothing may be decided.
    pub(super) fn admit(&self, payload_bytes: usize) -> Result<Permit, AdmissionError> {
        let AdmissionLimits { commands_max, queued_bytes_max } = self.limits;
        let mut permit = Permit { load: COMMAND + payload_bytes as u64, room_bytes: 0 };
        let before = self.load.fetch_add(permit.load, Ordering::Relaxed);
        let (commands, queued_bytes) = parts(before);
        let refused = if commands >= commands_max {
            AdmissionError::Commands { commands, commands_max }
        } else if queued_bytes + payload_bytes > queued_bytes_max {
            AdmissionError::QueuedBytes { queued_bytes, queued_bytes_max }
        } else if let Some(room_bytes) = self.room.try_reserve(payload_bytes) {
            permit.room_bytes = room_bytes;
            return Ok(permit);
        } else {
            let room_bytes = self.room.bytes_left();
            AdmissionError::DiskLow { room_bytes, needed_bytes: payload_bytes }
        };
        self.give_back(permit);
        Err(refused)
    }

    /// Takes back what a permit still holds.
    pub(super) fn give_back(&self, permit: Permit) {
        let Permit { load, room_bytes } = permit;
        if room_bytes > 0 {
            self.room.release(room_bytes);
        }
        self.load.fetch_sub(load, Ordering::Relaxed);
    }

    /// Commands admitted and not answered.
    #[must_use]
    pub fn commands(&self) -> usize {
        parts(self.load.load(Ordering::Relaxed)).0
    }

    /// The journal's room.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.room
    }
}

/// Commands and bytes of a load.
fn parts(load: u64) -> (usize, usize) {
    ((load >> BYTES_BITS) as usize, (load & (COMMAND - 1)) as usize)
}

impl Permit {
    /// Whether it holds nothing.
    pub(super) fn is_none(&self) -> bool {
        self.load == 0
    }

    /// The record has this `payload`: its room is used, what it did not need is given back with the
    /// permit.
    ///
    /// # Panics
    /// When the payload is larger than what was reserved: the bound is wrong.
    pub(super) fn spend(&mut self, payload: &[u8]) {
        let used = Room::bytes_of(payload);
        assert!(used <= self.room_bytes, "{used} bytes used, {} reserved", self.room_bytes);
        self.room_bytes -= used;
    }

    /// Takes another's share, to give both back at once.
    pub(super) fn absorb(&mut self, other: Self) {
        self.load += other.load;
        self.room_bytes += other.room_bytes;
    }
}
