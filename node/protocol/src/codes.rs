//! The codes that people compare: thirty digits for a call, forty-five for two people. They are made of public values alone; the work in
//! them is there so that nobody can search for keys that give somebody else's digits. It must never give a code where that work failed.
//!
//! Both are scrypt (RFC 7914) with N = 2^14, r = 8, p = 2 and 64 bytes of output, of which each five bytes, taken as a big-endian number
//! modulo 10^5, are five digits. One takes about 50 ms and 16 MiB: never call these on a loop that others wait for. What is hashed and how
//! to compute it again with nothing but Python is in docs/PROTOCOL.md; docs/vectors/codes.json has examples.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;

use crate::id::{AccountId, RoomId};

/// Salt of the code of a call.
pub const CALL_SALT: &[u8] = b"conclave call code v1";
/// Salt of the code of two people.
pub const PAIRWISE_SALT: &[u8] = b"conclave pairwise code v1";
/// Longest text of a [`VerifyLink`], in characters, that is looked at.
pub const MAX_VERIFY_LINK: usize = 512;

const LOG_N: u8 = 14;
const R: u32 = 8;
const P: u32 = 2;
const OUTPUT: usize = 64;
const GROUP: usize = 5;
const MODULUS: u64 = 100_000;
/// Stands before a person's key, so that another way to name a person gives other codes.
const PERSON_VERSION: [u8; 2] = [0x00, 0x01];
const SCHEME: &str = "conclave://verify/";
const LINK_VERSION: &str = "1";
/// Of the hash, in a [`VerifyLink`].
const LINK_HASH: usize = 32;

/// Why no code was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// scrypt refused what it was asked for.
    #[error("the code could not be computed")]
    Failed,
    /// Two people are needed.
    #[error("there is no code with oneself")]
    OnePerson,
}

/// The code of a call: whoever has the same one has the same keys with the same people. It changes with every epoch of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallCode([u32; 6]);

impl CallCode {
    /// `epoch_authenticator`: RFC 9420, 8.7.
    ///
    /// # Errors
    /// [`CodeError::Failed`].
    pub fn new(epoch_authenticator: &[u8], room: &RoomId) -> Result<Self, CodeError> {
        let mut input = Vec::with_capacity(epoch_authenticator.len() + RoomId::LEN);
        input.extend_from_slice(epoch_authenticator);
        input.extend_from_slice(room.as_bytes());
        Ok(Self(groups(&stretch(&input, CALL_SALT)?)))
    }
}

impl fmt::Display for CallCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        spaced(&self.0, f)
    }
}

/// The code of two people: the same on both sides, and always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairwiseCode {
    digits: [u32; 9],
    link: VerifyLink,
}

impl PairwiseCode {
    /// In either order.
    ///
    /// # Errors
    /// [`CodeError::OnePerson`] where both are one, [`CodeError::Failed`].
    pub fn new(one: AccountId, other: AccountId) -> Result<Self, CodeError> {
        if one == other {
            return Err(CodeError::OnePerson);
        }
        let people = if one < other { [one, other] } else { [other, one] };
        let mut input = Vec::with_capacity(2 * (PERSON_VERSION.len() + 2 * AccountId::LEN));
        for person in &people {
            // The account key, and the name of the account, which in this version is that key.
            for part in [PERSON_VERSION.as_slice(), person.as_bytes(), person.as_bytes()] {
                input.extend_from_slice(part);
            }
        }
        let hash = stretch(&input, PAIRWISE_SALT)?;
        let mut short = [0; LINK_HASH];
        short.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Ok(Self { digits: groups(&hash), link: VerifyLink { people, hash: short } })
    }

    /// What the other's screen shows as a QR code, and this one's to them.
    pub fn link(&self) -> &VerifyLink {
        &self.link
    }

    /// Whether a text that was scanned is the one of these two people.
    ///
    /// # Errors
    /// As [`VerifyLink::parse`], and [`VerifyError::OtherPeople`].
    pub fn check(&self, scanned: &str) -> Result<(), VerifyError> {
        if VerifyLink::parse(scanned)? == self.link { Ok(()) } else { Err(VerifyError::OtherPeople) }
    }
}

impl fmt::Display for PairwiseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        spaced(&self.digits, f)
    }
}

/// Why a text that was scanned verifies nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Something else: an invitation, or nothing of Conclave.
    #[error("this is not a code for verifying someone")]
    NotALink,
    /// Made by a version that is not spoken here.
    #[error("this code is of another version of Conclave")]
    Version,
    /// A piece is missing or changed.
    #[error("this code is damaged: scan it again")]
    Damaged,
    /// A whole code, but of other keys: another person's, or someone stands in between.
    #[error("the keys are not the same on both sides: do not trust this connection")]
    OtherPeople,
}

/// The pairwise code as a QR code carries it: `conclave://verify/1#` and base64url without padding of both account ids, the lesser first,
/// and the first 32 bytes of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyLink {
    /// Ascending.
    pub people: [AccountId; 2],
    /// Of the output of scrypt.
    pub hash: [u8; LINK_HASH],
}

impl VerifyLink {
    /// Reads what was scanned. White space in it does not count.
    ///
    /// # Errors
    /// `NotALink`, `Version`, `Damaged`.
    pub fn parse(text: &str) -> Result<Self, VerifyError> {
        if text.len() > MAX_VERIFY_LINK {
            return Err(VerifyError::NotALink);
        }
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let rest = match text.split_at_checked(SCHEME.len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
            _ => return Err(VerifyError::NotALink),
        };
        let (version, encoded) = rest.split_once('#').ok_or(VerifyError::Damaged)?;
        if version != LINK_VERSION {
            let number = !version.is_empty() && version.len() <= 4 && version.bytes().all(|digit| digit.is_ascii_digit());
            return Err(if number { VerifyError::Version } else { VerifyError::Damaged });
        }
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| VerifyError::Damaged)?;
        let (one, rest) = bytes.split_first_chunk().ok_or(VerifyError::Damaged)?;
        let (other, hash) = rest.split_first_chunk().ok_or(VerifyError::Damaged)?;
        let people = [AccountId(*one), AccountId(*other)];
        let hash = hash.try_into().map_err(|_| VerifyError::Damaged)?;
        if people.is_sorted_by(|a, b| a < b) { Ok(Self { people, hash }) } else { Err(VerifyError::Damaged) }
    }
}

impl fmt::Display for VerifyLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = &self.people;
        let bytes = [one.as_bytes().as_slice(), other.as_bytes(), &self.hash].concat();
        write!(f, "{SCHEME}{LINK_VERSION}#{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

fn stretch(input: &[u8], salt: &[u8]) -> Result<[u8; OUTPUT], CodeError> {
    let params = scrypt::Params::new(LOG_N, R, P).map_err(|_| CodeError::Failed)?;
    let mut output = [0; OUTPUT];
    scrypt::scrypt(input, salt, &params, &mut output).map_err(|_| CodeError::Failed)?;
    Ok(output)
}

fn groups<const COUNT: usize>(hash: &[u8; OUTPUT]) -> [u32; COUNT] {
    const { assert!(COUNT * GROUP <= OUTPUT) };
    let mut groups = [0; COUNT];
    for (group, bytes) in groups.iter_mut().zip(hash.chunks_exact(GROUP)) {
        let number = bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
        *group = (number % MODULUS) as u32;
    }
    groups
}

fn spaced(groups: &[u32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            f.write_str(" ")?;
        }
        write!(f, "{group:05}")?;
    }
    Ok(())
}
