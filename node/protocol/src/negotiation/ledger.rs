//! Which certificate belongs to which device of a call. It never lets two devices have one.

use std::collections::BTreeMap;

use super::Fingerprint;
use crate::id::DeviceId;

/// Certificates that one call may see from one device: it draws a new one whenever it starts anew.
const MAX_FINGERPRINTS_PER_DEVICE: usize = 64;

/// Which certificate belongs to which device, over one call: a certificate that two devices sign is refused (RFC 8844).
#[derive(Debug, Clone)]
pub struct FingerprintLedger {
    owners: BTreeMap<Fingerprint, DeviceId>,
}

impl FingerprintLedger {
    /// Holds one's own certificate from the start, so that nobody can present it back.
    pub fn new(me: DeviceId, mine: Fingerprint) -> Self {
        Self { owners: BTreeMap::from([(mine, me)]) }
    }

    /// Whether the certificate can be this device's, and remembers it as such.
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
