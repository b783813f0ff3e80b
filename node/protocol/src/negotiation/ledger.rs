//! Which certificate belongs to which device of a call. It never lets two devices have one, and never takes a signature for possession:
//! whoever has not made a handshake with a certificate keeps nobody else from it.

use std::collections::BTreeMap;

use super::Fingerprint;
use crate::id::DeviceId;

/// Certificates that one call may see from one device: it draws a new one whenever it starts anew.
const MAX_FINGERPRINTS_PER_DEVICE: usize = 64;

/// Which certificate belongs to which device, over one call: one that another device has proved is refused (RFC 8844).
#[derive(Debug, Clone)]
pub struct FingerprintLedger {
    owners: BTreeMap<Fingerprint, DeviceId>,
}

impl FingerprintLedger {
    /// Holds one's own certificate from the start, so that nobody can present it back.
    pub fn new(me: DeviceId, mine: Fingerprint) -> Self {
        Self { owners: BTreeMap::from([(mine, me)]) }
    }

    /// The certificate is another device's, which has proved it.
    pub(super) fn belongs_to_another(&self, device: DeviceId, fingerprint: &Fingerprint) -> bool {
        self.owners.get(fingerprint).is_some_and(|owner| *owner != device)
    }

    /// Remembers a certificate that a handshake has proved to be this device's; `false` where it cannot be.
    pub(super) fn claim(&mut self, device: DeviceId, fingerprint: Fingerprint) -> bool {
        if let Some(owner) = self.owners.get(&fingerprint) {
            return *owner == device;
        }
        if self.owners.values().filter(|owner| **owner == device).count() >= MAX_FINGERPRINTS_PER_DEVICE {
            return false;
        }
        self.owners.insert(fingerprint, device);
        true
    }
}
