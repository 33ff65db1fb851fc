//! What a request of a campaign asks for.
//!
//! A request about a hold or an order names the request that placed it.

/// What a request asks for: 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Create the ware of this number.
    Create {
        /// Which.
        ware: u16,
    },
    /// Put units in or write them off.
    Adjust {
        /// Of which ware.
        ware: u16,
        /// How many.
        delta: i32,
    },
    /// Buy.
    Buy {
        /// Which ware.
        ware: u16,
        /// How many units.
        quantity: u16,
        /// Who.
        buyer: u32,
    },
    /// Buy of two wares together.
    Cart {
        /// The first.
        ware: u16,
        /// The second.
        other: u16,
        /// How many units of each.
        quantity: u16,
        /// Who.
        buyer: u32,
    },
    /// Set aside.
    Hold {
        /// Which ware.
        ware: u16,
        /// How many units.
        quantity: u16,
        /// For how long.
        ttl_ms: u16,
        /// For whom.
        buyer: u32,
    },
    /// Hold longer: at most once for each hold, since its record names nothing else.
    Extend {
        /// The ware that is held.
        ware: u16,
        /// For how long.
        ttl_ms: u16,
        /// The request that placed the hold.
        hold: u32,
    },
    /// Make an order of a hold.
    Confirm {
        /// The ware that is held.
        ware: u16,
        /// The request that placed the hold.
        hold: u32,
    },
    /// Give a hold back: at most once for each hold, since it has no key.
    Release {
        /// The ware that is held.
        ware: u16,
        /// The request that placed the hold.
        hold: u32,
    },
    /// Take all that is left of an order back.
    Cancel {
        /// Its first ware.
        ware: u16,
        /// Whether the units can be sold again.
        restock: bool,
        /// The request that placed the order.
        order: u32,
    },
}

const _: () = assert!(size_of::<Asked>() == 12);

impl Asked {
    /// The ware it is about, of a cart the first.
    #[must_use]
    pub fn ware(self) -> u16 {
        match self {
            Self::Create { ware }
            | Self::Adjust { ware, .. }
            | Self::Buy { ware, .. }
            | Self::Cart { ware, .. }
            | Self::Hold { ware, .. }
            | Self::Extend { ware, .. }
            | Self::Confirm { ware, .. }
            | Self::Release { ware, .. }
            | Self::Cancel { ware, .. } => ware,
        }
    }

    /// Of a cart the second ware.
    #[must_use]
    pub fn other_ware(self) -> Option<u16> {
        match self {
            Self::Cart { other, .. } => Some(other),
            _ => None,
        }
    }

    /// Whether what it makes is an order.
    #[must_use]
    pub fn is_order(self) -> bool {
        matches!(self, Self::Buy { .. } | Self::Cart { .. } | Self::Confirm { .. })
    }
}
