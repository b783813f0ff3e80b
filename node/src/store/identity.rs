//! The secrets of this installation: device key, account key, name. They are never printed.

use conclave_protocol::wire::Signed;
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Who this device is. Kept as one sealed row.
#[derive(Clone, PartialEq, Eq, Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
pub struct Identity {
    /// Ed25519 seed of the device.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub device_seed: [u8; 32],
    /// Ed25519 seed of the account: the person.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub account_seed: [u8; 32],
    /// What others see.
    #[n(2)]
    pub name: String,
    /// The account's device list, oldest entry first.
    #[zeroize(skip)]
    #[n(3)]
    pub device_list: Vec<Signed>,
    /// UTC milliseconds.
    #[n(4)]
    pub created_ms: u64,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("name", &self.name).finish_non_exhaustive()
    }
}
