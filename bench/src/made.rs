//! Logs made by hand, for the tests of everything that reads them.
//!
//! Written from `schema/journal-format.md`, as the reader is: neither uses the other.

use crate::segment::{FORMAT, FRAME_HEADER_BYTES, HEADER_BYTES, HEADER_CRC, Header, MAGIC};

/// Bytes of a payload under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// What the envelope of a decision says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) at_ms: u64,
    pub(crate) reference: Option<&'a str>,
    /// First byte of the key's hash.
    pub(crate) key: Option<u8>,
    pub(crate) changes: &'a [(u32, u64)],
}

/// The header of segment `segment`, beginning at `first_sequence`.
pub(crate) fn header(segment: u64, first_sequence: u64, chain: [u8; 32]) -> Vec<u8> {
    header_after(segment, first_sequence, first_sequence - 1, chain)
}

/// As [`header`], of a file that got its name with `durable_upto` on stable storage.
pub(crate) fn header_after(
    segment: u64,
    first_sequence: u64,
    durable_upto: u64,
    chain: [u8; 32],
) -> Vec<u8> {
    header_of(1, segment, first_sequence, durable_upto, chain)
}

/// As [`header_after`], of a log that epoch `epoch` owned.
pub(crate) fn header_of(
    epoch: u32,
    segment: u64,
    first_sequence: u64,
    durable_upto: u64,
    chain: [u8; 32],
) -> Vec<u8> {
    let mut bytes =
        Bytes(MAGIC.to_vec()).u32(FORMAT).raw(&[0; 4]).raw(&[7; 16]).u16(0).u16(0).u32(epoch);
    for number in [segment, first_sequence, 1 << 20, 99 + segment, durable_upto] {
        bytes = bytes.u64(number);
    }
    let Bytes(mut bytes) = bytes.raw(&[0; 16]).raw(&chain);
    bytes.resize(HEADER_BYTES, 0);
    let crc = crc32c::crc32c(&bytes).to_le_bytes();
    bytes.splice(HEADER_CRC, crc);
    bytes
}

/// A frame of the segment with that header.
pub(crate) fn frame(header: &[u8], sequence: u64, durable_upto: u64, payload: &[u8]) -> Vec<u8> {
    let seed = Header::parse(header).expect("a header").seed;
    let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
    let Bytes(mut covered) = Bytes::default().u64(sequence).u64(durable_upto).raw(payload);
    covered.resize((FRAME_HEADER_BYTES + payload.len()).next_multiple_of(8) - 8, 0);
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(seed, &length), &covered);
    [length.as_slice(), &crc.to_le_bytes(), &covered].concat()
}

/// Bytes of the table that [`packed`] puts behind two frames.
pub(crate) const SEEK_TABLE_BYTES: usize = 8 + 2 * 12 + 9;

/// Each part in a zstd frame of its own, then a table of their sizes in a skippable frame.
pub(crate) fn packed(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut table = Bytes::default();
    for part in parts {
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let frame = ruzstd::encoding::compress_to_vec(part.as_slice(), level);
        for length in [frame.len(), part.len(), 0] {
            table = table.u32(u32::try_from(length).expect("short"));
        }
        file.extend(frame);
    }
    let frames = u32::try_from(parts.len()).expect("few");
    let table = table.u32(frames).u8(0x80).u32(0x8f92_eab1);
    let bytes = u32::try_from(table.0.len()).expect("short");
    file.extend(Bytes::default().u32(0x184d_2a5e).u32(bytes).raw(&table.0).0);
    file
}

/// Says that a log was pruned up to segment `segment`.
pub(crate) fn marker(segment: u64, first_sequence: u64, chain: [u8; 32]) -> Vec<u8> {
    let begun = Bytes(b"DOORBPRN".to_vec()).u32(1).raw(&[0; 4]).raw(&[7; 16]).raw(&[0; 8]);
    let Bytes(mut bytes) = begun.u64(segment).u64(first_sequence).raw(&chain);
    let crc = crc32c::crc32c(&bytes).to_le_bytes();
    bytes.splice(HEADER_CRC, crc);
    bytes
}

impl Bytes {
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    pub(crate) fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }
    pub(crate) fn u16(self, value: u16) -> Self {
        self.raw(&value.to_le_bytes())
    }
    pub(crate) fn u32(self, value: u32) -> Self {
        self.raw(&value.to_le_bytes())
    }
    pub(crate) fn u64(self, value: u64) -> Self {
        self.raw(&value.to_le_bytes())
    }
    pub(crate) fn i64(self, value: i64) -> Self {
        self.raw(&value.to_le_bytes())
    }
    pub(crate) fn text(self, text: &str) -> Self {
        self.u64(text.len() as u64).raw(text.as_bytes())
    }

    /// Kind, version 1 and the envelope of a decision.
    pub(crate) fn decision(kind: u16, about: About<'_>) -> Self {
        let bytes = Self::default().u16(kind).u16(1).u64(about.at_ms).text("anyone");
        let bytes = match about.reference {
            None => bytes.u8(0),
            Some(reference) => bytes.u8(1).text(reference),
        };
        let bytes = match about.key {
            None => bytes.u8(0),
            Some(key) => bytes.u8(1).u8(key).raw(&[0; 15]).raw(&[1; 8]),
        };
        let bytes = bytes.u64(about.changes.len() as u64);
        about
            .changes
            .iter()
            .fold(bytes, |bytes, (handle, version)| bytes.u32(*handle).u64(*version))
    }

    /// A product without a price; `oversell_limit` and `per_buyer_limit` are its terms.
    pub(crate) fn created(about: About<'_>, id: &str, stock: u64, limits: (u32, u32)) -> Vec<u8> {
        let bytes = Self::decision(3, about).text(id).text("A thing").u8(0).u8(0).u64(0);
        let bytes = bytes.u64(u64::MAX).u32(limits.0).u32(0).u32(limits.1).u8(0).u8(0).u8(1);
        bytes.u64(stock).0
    }

    /// An adjustment for the reason "received".
    pub(crate) fn adjusted(about: About<'_>, delta: i64, stock: u64, unsold: i64) -> Vec<u8> {
        Self::decision(5, about).u32(0).i64(delta).u32(0).u64(stock).i64(unsold).0
    }

    /// An order of one line without a price.
    pub(crate) fn ordered(about: About<'_>, buyer_id: &str, quantity: u32) -> Vec<u8> {
        Self::decision(6, about).text(buyer_id).u64(1).u32(0).u32(quantity).u8(0).0
    }

    /// Lines of product, units and no price.
    pub(crate) fn lines(self, lines: &[(u32, u32)]) -> Self {
        let line =
            |bytes: Self, (product, units): &(u32, u32)| bytes.u32(*product).u32(*units).u8(0);
        lines.iter().fold(self.u64(lines.len() as u64), line)
    }

    /// A hold that is over at `expires_at_ms`.
    pub(crate) fn held(
        about: About<'_>,
        buyer_id: &str,
        lines: &[(u32, u32)],
        expires_at_ms: u64,
    ) -> Vec<u8> {
        Self::decision(8, about).text(buyer_id).lines(lines).u64(expires_at_ms).0
    }

    /// A hold that lives longer.
    pub(crate) fn extended(about: About<'_>, hold: u64, expires_at_ms: u64) -> Vec<u8> {
        Self::decision(9, about).u64(hold).u64(expires_at_ms).0
    }

    /// A hold that became an order of `lines`, less what was released.
    pub(crate) fn confirmed(
        about: About<'_>,
        hold: u64,
        buyer_id: &str,
        [lines, released]: [&[(u32, u32)]; 2],
    ) -> Vec<u8> {
        Self::decision(10, about).u64(hold).text(buyer_id).lines(lines).lines(released).0
    }

    /// A hold that ended without an order: kind 11 or 12.
    pub(crate) fn ended(
        kind: u16,
        about: About<'_>,
        hold: u64,
        buyer_id: &str,
        lines: &[(u32, u32)],
    ) -> Vec<u8> {
        Self::decision(kind, about).u64(hold).text(buyer_id).lines(lines).0
    }

    /// Units of lines of an order that come back: place, product, units; and whether that frees a
    /// limit, restocks, and leaves nothing.
    pub(crate) fn cancelled(
        about: About<'_>,
        order: u64,
        buyer_id: &str,
        lines: &[(u32, u32, u32)],
        flags: [bool; 3],
    ) -> Vec<u8> {
        Self::cancelled_for("why", about, order, buyer_id, lines, flags)
    }

    /// The same, for a reason.
    pub(crate) fn cancelled_for(
        reason: &str,
        about: About<'_>,
        order: u64,
        buyer_id: &str,
        lines: &[(u32, u32, u32)],
        [frees, restocked, whole]: [bool; 3],
    ) -> Vec<u8> {
        let bytes = Self::decision(13, about).u64(order).text(buyer_id).u64(lines.len() as u64);
        let line = |bytes: Self, (place, product, units): &(u32, u32, u32)| {
            bytes.u32(*place).u32(*product).u32(*units).u8(0).u8(u8::from(frees))
        };
        let bytes = lines.iter().fold(bytes, line).text(reason);
        bytes.u8(u8::from(restocked)).u8(u8::from(whole)).0
    }

    /// Selling is paused or resumed for all.
    pub(crate) fn paused(at_ms: u64, paused: bool) -> Vec<u8> {
        let about = About { at_ms, reference: None, key: None, changes: &[] };
        Self::decision(14, about).u8(u8::from(paused)).0
    }

    /// One row of refusals: product 0, sold out.
    pub(crate) fn refused(at_ms: u64, count: u64) -> Vec<u8> {
        let about = About { at_ms, reference: None, key: None, changes: &[] };
        Self::decision(7, about).u64(0).u64(1).u32(0).u8(0).u64(count).0
    }

    /// A process took the log over.
    pub(crate) fn started(at_ms: u64) -> Vec<u8> {
        Self::default().u16(1).u16(1).u64(at_ms).text("0.1.0").0
    }
}
