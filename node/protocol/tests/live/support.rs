//! A seeded random source and people with keys.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use conclave_protocol::id::DeviceId;
use conclave_protocol::identity::{AccountKey, DeviceKey, DeviceList, ListedDevice, MemberCard};
use conclave_protocol::room::Me;
use rand_core::{TryCryptoRng, TryRng};

/// SplitMix64: the same numbers for the same seed, everywhere. For tests only.
#[derive(Clone, Debug)]
pub struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// True in `percent` of a hundred.
    pub fn chance(&mut self, percent: f64) -> bool {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 * 100.0 < percent
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.next() as u8;
        }
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

pub const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// A person with one device.
pub struct Person {
    pub key: Arc<DeviceKey>,
    pub card: MemberCard,
}

impl Person {
    pub fn new(name: &str, seed: u64) -> Self {
        let mut rng = Seeded(seed);
        let key = DeviceKey::generate(&mut rng);
        let account = AccountKey::generate(&mut rng);
        let list = DeviceList::found(&account, ListedDevice { device: key.id(), seal_key: key.seal_key() }, 1);
        let card = MemberCard::new(&key, &list, name).unwrap();
        Self { key: Arc::new(key), card }
    }

    pub fn id(&self) -> DeviceId {
        self.card.device
    }

    pub fn me(&self) -> Me {
        Me { key: self.key.clone(), card: self.card.clone() }
    }
}
