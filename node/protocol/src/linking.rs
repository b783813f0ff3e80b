//! Taking a second device of a person in, by two texts that are shown and read: the new device's keys, and what the old one answers. It
//! must never give the keys of a person to anyone but the device that was read.
//!
//! ```text
//! request = conclave://device/1#  base64url(CBOR {0: DeviceId, 1: SealKey} ‖ checksum)
//! answer  = conclave://linked/1#  base64url(CBOR {0: DeviceId, 1: sealed} ‖ checksum)
//! sealed  : to the SealKey, context "conclave/linked/1" ‖ DeviceId, CBOR {0: account seed, 1: name, 2: device list}
//! ```
//!
//! The checksum is the first four bytes of BLAKE3 `derive_key("conclave 2026 linking checksum v1", what comes before it)`: it finds a slip
//! of the pen, and nothing else.

use data_encoding::BASE64URL_NOPAD;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use crate::id::DeviceId;
use crate::identity::{AccountKey, DeviceKey, DeviceList, ListedDevice, MAX_DEVICES, check_name, seal};
use crate::wire::{self, Signed};

const REQUEST: &str = "conclave://device/1#";
const ANSWER: &str = "conclave://linked/1#";
const CHECKSUM_CONTEXT: &str = "conclave 2026 linking checksum v1";
const CHECKSUM_LEN: usize = 4;
/// Longest text that is read.
pub const MAX_LINKING_TEXT: usize = 384 * 1024;

/// Why a text does not link two devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkingError {
    /// Something else, or of another version.
    #[error("this is not the code of a device")]
    NotACode,
    /// A piece is missing or changed.
    #[error("the code is damaged")]
    Damaged,
    /// The answer is for another device.
    #[error("the code is for another device")]
    OtherDevice,
    /// The device is one of this person's already.
    #[error("the device is linked already")]
    Linked,
    /// The list of devices has no place for another.
    #[error("there is no place for another device")]
    Full,
}

/// A new device, as the old one reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRequest(ListedDevice);

impl LinkRequest {
    /// Of this installation.
    pub fn new(key: &DeviceKey) -> Self {
        Self(ListedDevice { device: key.id(), seal_key: key.seal_key() })
    }

    /// Which device.
    pub fn device(&self) -> DeviceId {
        self.0.device
    }

    /// Reads it as a person typed, pasted or scanned it.
    pub fn parse(text: &str) -> Result<Self, LinkingError> {
        let body = read(text, REQUEST)?;
        wire::decode(&body).map(Self).map_err(|_| LinkingError::Damaged)
    }

    /// The text, about 120 characters: a small QR code.
    pub fn to_text(&self) -> String {
        show(REQUEST, &wire::encode(&self.0)).to_string()
    }
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Answer {
    #[n(0)]
    device: DeviceId,
    #[cbor(n(1), with = "minicbor::bytes")]
    sealed: Vec<u8>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Person {
    #[cbor(n(0), with = "minicbor::bytes")]
    account_seed: [u8; 32],
    #[n(1)]
    name: String,
    #[n(2)]
    device_list: Vec<Signed>,
}

/// What an old device hands on.
#[derive(Debug)]
pub struct Linked {
    /// The person's key.
    pub account: AccountKey,
    /// As the person calls themselves.
    pub name: String,
    /// With this device in it.
    pub list: DeviceList,
}

/// Puts a device into the person's list, and says what the device is to read. The list is changed only where that succeeds.
///
/// # Errors
/// `Linked`, `Full`.
pub fn answer(
    request: &LinkRequest,
    account: &AccountKey,
    list: &mut DeviceList,
    name: &str,
    now_ms: u64,
    rng: &mut impl CryptoRng,
) -> Result<Zeroizing<String>, LinkingError> {
    let mut devices = list.head().devices.clone();
    if devices.iter().any(|listed| listed.device == request.0.device) {
        return Err(LinkingError::Linked);
    }
    if devices.len() >= MAX_DEVICES {
        return Err(LinkingError::Full);
    }
    devices.push(request.0);
    let mut longer = list.clone();
    longer.extend(account, devices, now_ms).map_err(|_| LinkingError::Full)?;
    let mut person = Person { account_seed: *account.seed(), name: name.to_owned(), device_list: longer.chain().to_vec() };
    let plaintext = Zeroizing::new(wire::encode(&person));
    person.account_seed.zeroize();
    let sealed = seal(request.0.seal_key, &context(&request.0.device), &plaintext, rng);
    let text = show(ANSWER, &wire::encode(&Answer { device: request.0.device, sealed }));
    if text.len() > MAX_LINKING_TEXT {
        return Err(LinkingError::Full);
    }
    *list = longer;
    Ok(text)
}

/// Opens what the old device answered.
///
/// # Errors
/// `NotACode`, `Damaged`, `OtherDevice`.
pub fn accept(text: &str, key: &DeviceKey) -> Result<Linked, LinkingError> {
    let body = read(text, ANSWER)?;
    let answer: Answer = wire::decode(&body).map_err(|_| LinkingError::Damaged)?;
    if answer.device != key.id() {
        return Err(LinkingError::OtherDevice);
    }
    let plaintext = key.open_sealed(&context(&answer.device), &answer.sealed).map_err(|_| LinkingError::Damaged)?;
    let mut person: Person = wire::decode(&plaintext).map_err(|_| LinkingError::Damaged)?;
    let account = AccountKey::from_seed(&person.account_seed);
    person.account_seed.zeroize();
    let list = DeviceList::parse(person.device_list).map_err(|_| LinkingError::Damaged)?;
    let this = ListedDevice { device: key.id(), seal_key: key.seal_key() };
    let sound = list.head().account == account.id() && list.head().devices.contains(&this) && check_name(&person.name).is_ok();
    if sound { Ok(Linked { account, name: person.name, list }) } else { Err(LinkingError::Damaged) }
}

fn context(device: &DeviceId) -> Vec<u8> {
    [b"conclave/linked/1".as_slice(), device.as_bytes()].concat()
}

fn show(scheme: &str, body: &[u8]) -> Zeroizing<String> {
    let bytes = Zeroizing::new([body, &checksum(body)].concat());
    let mut text = Zeroizing::new(scheme.to_owned());
    BASE64URL_NOPAD.encode_append(&bytes, &mut text);
    text
}

fn read(text: &str, scheme: &str) -> Result<Zeroizing<Vec<u8>>, LinkingError> {
    if text.len() > MAX_LINKING_TEXT * 2 {
        return Err(LinkingError::NotACode);
    }
    let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect());
    let encoded = text.strip_prefix(scheme).ok_or(LinkingError::NotACode)?;
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| LinkingError::Damaged)?);
    let (body, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(LinkingError::Damaged)?;
    if checksum(body) == *sum { Ok(Zeroizing::new(body.to_vec())) } else { Err(LinkingError::Damaged) }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut sum = [0; CHECKSUM_LEN];
    blake3::Hasher::new_derive_key(CHECKSUM_CONTEXT).update(body).finalize_xof().fill(&mut sum);
    sum
}
