//! The link by which a person comes to a team: where its node is, what to pin, and the invite. `conclave://team/1#…`, the rest being
//! base64url of JSON. It is a secret as long as the invite is open.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::{Bytes, Key};

const PREFIX: &str = "conclave://team/1#";
/// Longest link, in bytes.
const MAX_LINK: usize = 2048;

/// See the module.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamLink {
    /// `https://host:port`, or `http://` to a loopback address.
    pub url: String,
    /// The team's root key.
    pub root: Key,
    /// SHA-256 of the node's certificate, where no authority vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Key>,
    /// Absent in a link to a team that one already belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<Bytes>,
}

/// Why a text is no link to a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("this is no link to a team: it begins with {PREFIX}")]
    Prefix,
    #[error("the link to the team is damaged or cut off")]
    Damaged,
    #[error("the link names an address that cannot be used: https://host:port is needed, or http:// on this machine")]
    Url,
}

/// Without the invite.
impl fmt::Debug for TeamLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeamLink").field("url", &self.url).field("root", &self.root).finish_non_exhaustive()
    }
}

impl TeamLink {
    /// The text of the link.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&serde_json::to_vec(self).unwrap_or_default()))
    }

    /// Reads a link.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        let rest = text.strip_prefix(PREFIX).ok_or(LinkError::Prefix)?;
        if text.len() > MAX_LINK {
            return Err(LinkError::Damaged);
        }
        let json = BASE64URL_NOPAD.decode(rest.as_bytes()).map_err(|_| LinkError::Damaged)?;
        let link: Self = serde_json::from_slice(&json).map_err(|_| LinkError::Damaged)?;
        if is_usable(&link.url) { Ok(link) } else { Err(LinkError::Url) }
    }
}

/// Without TLS only where nobody is on the way.
fn is_usable(url: &str) -> bool {
    let plain = |host: &str| {
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'))
    };
    match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(host), _) => plain(host),
        (_, Some(host)) => {
            plain(host)
                && ["127.0.0.1", "localhost", "[::1]"]
                    .iter()
                    .any(|local| host.strip_prefix(local).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')))
        }
        _ => false,
    }
}
