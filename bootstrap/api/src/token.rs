//! The token: a JWT (RFC 7519) signed with Ed25519 (RFC 8037, RFC 9864) and bound to a device key (RFC 7800). It is checked offline,
//! by peers as by the bootstrap node, and with one algorithm that its header cannot choose.

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::proof::{LEEWAY, verify_plain};
use crate::{Head, Key, KeySet};

/// Longest token, in bytes; a longer one is not looked at.
pub const MAX_TOKEN: usize = 4096;
/// How long a token is good for.
pub const TOKEN_SECONDS: u64 = 24 * 3600;
/// How long after its end a token still shows who somebody was: [`Badge::Stale`].
pub const STALE_SECONDS: u64 = 7 * 24 * 3600;

/// What a token says. Nothing that is missing has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The address of the bootstrap node, as in its link.
    pub iss: String,
    /// The person's name in the team, which the team's node gives to one account only.
    pub sub: String,
    /// See [`audience`].
    pub aud: String,
    /// The name of the team.
    pub team: String,
    /// The thumbprint (RFC 7638) of the account key.
    pub apk: String,
    pub cnf: Confirmation,
    pub iat: u64,
    pub nbf: u64,
    pub exp: u64,
    pub jti: String,
    /// The registrations as the node had them when it signed: peers compare it with what they were shown.
    pub head: Head,
}

/// The device key that a token is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    pub jwk: Jwk,
}

/// An Ed25519 public key (RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    pub kty: String,
    pub crv: String,
    pub x: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
}

impl Jwk {
    /// The key of a device or an account.
    pub fn of(key: Key) -> Self {
        Self { kty: "OKP".into(), crv: "Ed25519".into(), x: key, kid: None, alg: None, usage: None }
    }

    /// A key that signs tokens. Its id is its thumbprint.
    pub fn signing(key: Key) -> Self {
        Self { kid: Some(thumbprint(&key)), alg: Some("EdDSA".into()), usage: Some("sig".into()), ..Self::of(key) }
    }

    /// The key, where it is of the one kind that is taken.
    pub fn ed25519(&self) -> Option<Key> {
        (self.kty == "OKP" && self.crv == "Ed25519").then_some(self.x)
    }
}

/// How much a token that verifies is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Badge {
    Fresh,
    /// Past its end, by at most [`STALE_SECONDS`]: it shows a name, and gives no right to anything.
    Stale,
}

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token cannot be read")]
    Malformed,
    /// `none`, `HS256` and whatever else is not Ed25519.
    #[error("the token is not signed with Ed25519")]
    Algorithm,
    /// Rotated since, or not of this team: look at the key set once more.
    #[error("the token is signed with a key that is not known")]
    UnknownKey,
    #[error("the signature of the token does not verify")]
    Signature,
    #[error("the token's claim `{0}` is missing or wrong")]
    Claim(&'static str),
    #[error("the token is not good yet: the clocks differ by more than five minutes")]
    NotYet,
    #[error("the token has expired")]
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    kid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<Vec<String>>,
}

/// The audience of every token of a team: its root key, which outlives its address and its name.
pub fn audience(root: &Key) -> String {
    format!("conclave:{root}")
}

/// The thumbprint of a key (RFC 7638): SHA-256 over its required members in order, as base64url.
pub fn thumbprint(key: &Key) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{key}"}}"#)))
}

/// Signs a token. The key id is the thumbprint of the signing key.
///
/// # Errors
/// Where the claims are no JSON, which they always are.
pub fn sign_token(claims: &Claims, key: &SigningKey) -> Result<String, serde_json::Error> {
    let kid = thumbprint(&Key(key.verifying_key().to_bytes()));
    let header = Header { alg: "EdDSA".into(), typ: Some("JWT".into()), kid, crit: None };
    let header = BASE64URL_NOPAD.encode(&serde_json::to_vec(&header)?);
    let payload = BASE64URL_NOPAD.encode(&serde_json::to_vec(claims)?);
    let input = format!("{header}.{payload}");
    let signature = BASE64URL_NOPAD.encode(&key.sign(input.as_bytes()).to_bytes());
    Ok(format!("{input}.{signature}"))
}

/// Checks a token against the keys of its team. `now_s`: UTC in seconds.
///
/// The caller compares `cnf` with the device that presents it: over libp2p its PeerId, over HTTP by [`crate::Proof`].
///
/// # Errors
/// See [`TokenError`]. An expired token is refused after [`STALE_SECONDS`]; until then it is [`Badge::Stale`].
pub fn verify_token(token: &str, keys: &KeySet, now_s: u64) -> Result<(Claims, Badge), TokenError> {
    if token.len() > MAX_TOKEN {
        return Err(TokenError::Malformed);
    }
    let (input, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, payload) = input.split_once('.').ok_or(TokenError::Malformed)?;
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| TokenError::Malformed);
    // The algorithm is read before the rest, so that a header of another kind is named for what it is.
    let header: serde_json::Value = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
    if !matches!(header.get("alg").and_then(|alg| alg.as_str()), Some("EdDSA" | "Ed25519")) {
        return Err(TokenError::Algorithm);
    }
    let header: Header = serde_json::from_value(header).map_err(|_| TokenError::Malformed)?;
    // RFC 7515, 4.1.11: an extension that must be understood is none of those that are.
    if header.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    let key = keys.key(&header.kid).ok_or(TokenError::UnknownKey)?;
    let signature: [u8; 64] = decode(signature)?.try_into().map_err(|_| TokenError::Signature)?;
    if !verify_plain(&key, input.as_bytes(), &signature) {
        return Err(TokenError::Signature);
    }
    let claims: Claims = serde_json::from_slice(&decode(payload)?).map_err(|_| TokenError::Claim("(their types)"))?;
    check(&claims, keys, now_s).map(|badge| (claims, badge))
}

fn check(claims: &Claims, keys: &KeySet, now_s: u64) -> Result<Badge, TokenError> {
    if claims.iss != keys.iss {
        return Err(TokenError::Claim("iss"));
    }
    if claims.aud != audience(&keys.root) {
        return Err(TokenError::Claim("aud"));
    }
    if claims.sub.is_empty() || claims.sub.len() > 128 {
        return Err(TokenError::Claim("sub"));
    }
    if claims.cnf.jwk.ed25519().is_none() {
        return Err(TokenError::Claim("cnf"));
    }
    if claims.exp <= claims.iat || claims.exp - claims.iat > TOKEN_SECONDS || claims.nbf > claims.exp {
        return Err(TokenError::Claim("exp"));
    }
    if claims.nbf > now_s.saturating_add(LEEWAY) || claims.iat > now_s.saturating_add(LEEWAY) {
        return Err(TokenError::NotYet);
    }
    match now_s.saturating_sub(claims.exp) {
        late if late <= LEEWAY => Ok(Badge::Fresh),
        late if late <= STALE_SECONDS => Ok(Badge::Stale),
        _ => Err(TokenError::Expired),
    }
}
