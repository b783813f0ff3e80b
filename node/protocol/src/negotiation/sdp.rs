//! The one thing that is read out of a session description: whose certificate it names. It never takes a description that names two.

use super::{Fingerprint, MAX_SDP_LEN};

/// Why a description names no certificate that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// Longer than [`MAX_SDP_LEN`].
    #[error("it is too long")]
    TooLong,
    /// No fingerprint line.
    #[error("none is given")]
    Missing,
    /// A fingerprint of another hash than SHA-256.
    #[error("it is not SHA-256")]
    Algorithm,
    /// Not 32 bytes in hexadecimal with colons between.
    #[error("it is malformed")]
    Malformed,
    /// Two different ones.
    #[error("two different ones are given")]
    Ambiguous,
}

/// The one SHA-256 fingerprint that all `a=fingerprint` lines of a session description name (RFC 8122, section 5). Session and media
/// level count alike; a line of any other hash is refused, because a stack could choose to go by it.
pub fn parse_fingerprints(sdp: &str) -> Result<Fingerprint, FingerprintError> {
    if sdp.len() > MAX_SDP_LEN {
        return Err(FingerprintError::TooLong);
    }
    let mut found: Option<Fingerprint> = None;
    // Line ends: CRLF by the standard, LF and a lone CR because parsers are lenient, and must not see a line that this one does not.
    for line in sdp.split(['\n', '\r']) {
        let Some(value) = fingerprint_value(line) else { continue };
        let fingerprint = parse_value(value)?;
        match found {
            Some(first) if first != fingerprint => return Err(FingerprintError::Ambiguous),
            _ => found = Some(fingerprint),
        }
    }
    found.ok_or(FingerprintError::Missing)
}

/// What follows `a=fingerprint:`, in any case and with blanks where a lenient parser would skip them.
fn fingerprint_value(line: &str) -> Option<&str> {
    let (kind, value) = line.split_once('=')?;
    if !kind.trim().eq_ignore_ascii_case("a") {
        return None;
    }
    let (name, value) = value.split_once(':').unwrap_or((value, ""));
    name.trim().eq_ignore_ascii_case("fingerprint").then_some(value)
}

fn parse_value(value: &str) -> Result<Fingerprint, FingerprintError> {
    let (algorithm, hex) = value.trim().split_once(' ').ok_or(FingerprintError::Malformed)?;
    if !algorithm.eq_ignore_ascii_case("sha-256") {
        return Err(FingerprintError::Algorithm);
    }
    let mut bytes = [0; 32];
    let mut pairs = hex.trim().split(':');
    for byte in &mut bytes {
        let pair = pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or(FingerprintError::Malformed)?;
    }
    if pairs.next().is_some() { Err(FingerprintError::Malformed) } else { Ok(bytes) }
}
