//! The z-order: keys between which there is always room for another. Two people who put something at the same place at once get
//! different keys, because each key carries chance.

use core::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Longest key, in bytes.
pub(crate) const MAX_KEY: usize = 64;
/// Digits of a key at either end of the order: room for 2.8 × 10⁷ steps each way at least.
const HEAD: usize = 6;
const MIDDLE: u64 = 28_400_117_792;
const HEAD_SPAN: u64 = 56_800_235_584;
const STEP: u64 = 1024;

/// A place in the z-order of a page: 1 to 64 characters of `0-9A-Za-z`, compared as bytes. What has the higher one is drawn later, on top.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderKey(Arc<str>);

impl OrderKey {
    /// `None` unless the text could be a key.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= MAX_KEY && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(text.into()))
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key between two, or beyond one, or the first of all. `None` where there is no room: the two are the same, or the key would be longer
    /// than 64 bytes; then the neighbours need new keys.
    pub(crate) fn between(below: Option<&Self>, above: Option<&Self>, chance: &mut Chance) -> Option<Self> {
        match (below, above) {
            (None, None) => head(MIDDLE + chance.below(STEP * 1024)),
            (Some(below), None) => {
                let next = number(&below.0)?.checked_add(1 + chance.below(STEP))?;
                head(next).or_else(|| fraction(&below.0, None, chance))
            }
            (None, Some(above)) => {
                let next = number(&above.0)?.checked_sub(1 + chance.below(STEP));
                next.filter(|next| *next > 0).and_then(head).or_else(|| fraction("", Some(&above.0), chance))
            }
            (Some(below), Some(above)) => fraction(&below.0, Some(&above.0), chance),
        }
    }
}

impl fmt::Debug for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "z{}", self.0)
    }
}

impl Serialize for OrderKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OrderKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an order key"))
    }
}

/// A stream of chance for keys: not for secrets (xorshift64*, Vigna 2016).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 8) % limit.max(1)
    }
}

/// The first digits of a key as a number.
fn number(key: &str) -> Option<u64> {
    let mut value = 0u64;
    for index in 0..HEAD {
        let digit = key.as_bytes().get(index).map_or(Some(0), |byte| digit(*byte))?;
        value = value * 62 + u64::from(digit);
    }
    Some(value)
}

fn head(mut value: u64) -> Option<OrderKey> {
    if value >= HEAD_SPAN {
        return None;
    }
    let mut digits = [b'0'; HEAD];
    for place in digits.iter_mut().rev() {
        *place = DIGITS.get((value % 62) as usize).copied()?;
        value /= 62;
    }
    OrderKey::parse(core::str::from_utf8(&digits).ok()?)
}

/// Between two keys, read as fractions in base 62; above `below` alone where there is no `above`.
fn fraction(below: &str, above: Option<&str>, chance: &mut Chance) -> Option<OrderKey> {
    let (low, mut high) = (below.as_bytes(), above.map(str::as_bytes));
    if high.is_some_and(|high| low >= high) {
        return None;
    }
    let mut key = Vec::new();
    for place in 0..MAX_KEY {
        let from = low.get(place).map_or(Some(0), |byte| digit(*byte))?;
        let to = match high {
            Some(high) => high.get(place).map_or(Some(0), |byte| digit(*byte))?,
            None => 62,
        };
        // Strictly between, so that there is room on both sides of what comes out.
        if to > from + 1 {
            let pick = from + 1 + u8::try_from(chance.below(u64::from(to - from - 1))).ok()?;
            key.push(DIGITS.get(usize::from(pick)).copied()?);
            // A digit of pure chance, never 0: two who pick the same place differ here.
            let jitter = 1 + usize::try_from(chance.below(61)).ok()?;
            key.push(DIGITS.get(jitter).copied()?);
            return OrderKey::parse(core::str::from_utf8(&key).ok()?);
        }
        key.push(DIGITS.get(usize::from(from)).copied()?);
        if to > from {
            high = None;
        }
    }
    None
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'Z' => Some(byte - b'A' + 10),
        b'a'..=b'z' => Some(byte - b'a' + 36),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_between_any_two_neighbours_until_a_key_would_be_too_long() {
        let mut chance = Chance::new(7);
        let mut keys = vec![OrderKey::between(None, None, &mut chance).unwrap()];
        for step in 0..3000 {
            let at = (chance.below(keys.len() as u64 + 1)) as usize;
            let below = at.checked_sub(1).and_then(|at| keys.get(at)).cloned();
            let above = keys.get(at).cloned();
            let key = OrderKey::between(below.as_ref(), above.as_ref(), &mut chance).unwrap_or_else(|| panic!("step {step}"));
            assert!(below.is_none_or(|below| below < key) && above.is_none_or(|above| key < above));
            keys.insert(at, key);
        }
        assert!(keys.iter().map(|key| key.as_str().len()).max() < Some(24));
    }

    #[test]
    fn ten_thousand_on_top_of_each_other_keep_short_keys() {
        let mut chance = Chance::new(1);
        let mut top = OrderKey::between(None, None, &mut chance).unwrap();
        let mut bottom = top.clone();
        for _ in 0..10_000 {
            let next = OrderKey::between(Some(&top), None, &mut chance).unwrap();
            assert!(next > top);
            top = next;
            let next = OrderKey::between(None, Some(&bottom), &mut chance).unwrap();
            assert!(next < bottom);
            bottom = next;
        }
        assert_eq!((top.as_str().len(), bottom.as_str().len()), (HEAD, HEAD));
    }

    #[test]
    fn two_who_pick_the_same_place_at_once_get_different_keys() {
        let (mut one, mut other) = (Chance::new(11), Chance::new(99));
        let below = OrderKey::parse("V0").unwrap();
        let above = OrderKey::parse("V2").unwrap();
        assert_ne!(
            OrderKey::between(Some(&below), Some(&above), &mut one),
            OrderKey::between(Some(&below), Some(&above), &mut other)
        );
    }

    #[test]
    fn no_key_is_made_where_there_is_no_room() {
        let mut chance = Chance::new(3);
        let key = |text| OrderKey::parse(text).unwrap();
        assert_eq!(OrderKey::between(Some(&key("V")), Some(&key("V")), &mut chance), None);
        assert_eq!(OrderKey::between(Some(&key("V")), Some(&key("V0")), &mut chance), None);
        assert_eq!(OrderKey::between(Some(&key("W")), Some(&key("V")), &mut chance), None);
        assert_eq!(OrderKey::parse(&"z".repeat(65)), None);
        assert_eq!(OrderKey::parse("a b"), None);
    }
}
