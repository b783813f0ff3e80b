//! The client of a team's bootstrap node: registering, logging in, and what the node offers. It believes nothing but what the team's root
//! key signed, and what it showed before.

mod http;
mod tls;

use std::sync::Arc;

use conclave_bootstrap_api::{
    Badge, Bytes, ChainReply, Claims, Head, JwkSet, Key, KeySet, LOGIN_LABEL, Login, LoginReply, MAX_CHAIN_PAGE, REGISTER_LABEL,
    Register, Signed, TeamInfo, TeamLink, TurnReply, follow, thumbprint, verify_token,
};
use conclave_protocol::identity::{AccountKey, DeviceKey, NO_ROOM};
use rand_core::Rng;
use serde::{Deserialize, Serialize};

use self::http::{Api, Token};
use crate::error::{CommandError, ErrorCode};

/// Pages of registrations that are followed at one time; the rest follows when the node is asked next.
const PAGES: usize = 64;
/// A token is renewed when less than this is left of it.
const RENEW_SECONDS: u64 = 12 * 3600;

/// That this device belongs to a team: what the store keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Membership {
    /// Without the invite.
    pub(crate) link: TeamLink,
    pub(crate) team: String,
    pub(crate) name: String,
    /// The key set with the highest serial that was seen.
    pub(crate) keys: JwkSet,
    pub(crate) serial: u64,
    /// How far the registrations were followed.
    pub(crate) head: Head,
    pub(crate) token: String,
    /// Of the token, UTC in seconds.
    pub(crate) expires: u64,
}

/// What the node offers a member now.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) relays: Vec<String>,
    pub(crate) turn: Option<TurnReply>,
}

/// Who acts.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) device: Arc<DeviceKey>,
    pub(crate) account: Key,
}

impl Actor {
    fn signed(
        &self,
        label: &'static str,
        payload: &impl Serialize,
        account: Option<&AccountKey>,
    ) -> Result<Signed, CommandError> {
        let payload = serde_json::to_vec(payload).map_err(|_| refused("the request cannot be written"))?;
        Ok(Signed {
            device_signature: Bytes(self.device.sign(label, &NO_ROOM, &payload).to_vec()),
            account_signature: account.map(|key| Bytes(key.sign(label, &NO_ROOM, &payload).to_vec())),
            payload: Bytes(payload),
        })
    }

    fn key(&self) -> Key {
        Key(self.device.id().0)
    }
}

/// The request of a registration, signed while the account key is at hand; the rest happens beside the loop.
pub(crate) fn registration(
    actor: &Actor,
    account: &AccountKey,
    link: &TeamLink,
    name: &str,
    now_ms: u64,
) -> Result<Signed, CommandError> {
    let invite = link.invite.clone().ok_or_else(|| {
        CommandError::new(ErrorCode::LinkInvalid, "The link has no invite: it is for those who belong to the team already.")
    })?;
    let label: String = format!("conclave on {}", std::env::consts::OS);
    let request = Register {
        root: link.root,
        invite,
        name: name.to_owned(),
        account: actor.account,
        device: actor.key(),
        label,
        time_ms: now_ms,
        password: None,
        backup: None,
    };
    actor.signed(REGISTER_LABEL, &request, Some(account))
}

/// Registers, and checks what the node gives.
pub(crate) async fn register(
    actor: Actor,
    link: TeamLink,
    request: Signed,
    now_ms: u64,
) -> Result<(Membership, Offer), CommandError> {
    let api = Api::new(&link)?;
    let reply: LoginReply = api.post("/v1/register", &request).await?;
    accept(&api, &actor, link, None, reply, now_ms).await
}

/// Logs in by the device key.
pub(crate) async fn login(
    actor: Actor,
    link: TeamLink,
    before: Option<Membership>,
    now_ms: u64,
) -> Result<(Membership, Offer), CommandError> {
    let api = Api::new(&link)?;
    let reply = log_in(&api, &actor, &link, now_ms).await?;
    accept(&api, &actor, link, before, reply, now_ms).await
}

async fn log_in(api: &Api, actor: &Actor, link: &TeamLink, now_ms: u64) -> Result<LoginReply, CommandError> {
    let mut nonce = [0; 16];
    crate::driver::rng().fill_bytes(&mut nonce);
    let request = Login { root: link.root, device: actor.key(), time_ms: now_ms, nonce: Bytes(nonce.to_vec()) };
    api.post("/v1/login", &actor.signed(LOGIN_LABEL, &request, None)?).await
}

/// Asks the node again: for another token where the old one is going to end, and for what it offers now.
pub(crate) async fn refresh(actor: Actor, mut known: Membership, now_ms: u64) -> Result<(Membership, Offer), CommandError> {
    let api = Api::new(&known.link)?;
    if known.expires < now_ms / 1000 + RENEW_SECONDS {
        let reply = log_in(&api, &actor, &known.link, now_ms).await?;
        return accept(&api, &actor, known.link.clone(), Some(known), reply, now_ms).await;
    }
    let token = Token { text: &known.token, device: &actor.device };
    let offer = match offer(&api, &token, now_ms).await {
        // Rotated away, or the clock of one of us was put right: one login, no more.
        Err(error) if error.code == ErrorCode::TeamRefused => {
            let reply = log_in(&api, &actor, &known.link, now_ms).await?;
            return accept(&api, &actor, known.link.clone(), Some(known), reply, now_ms).await;
        }
        offer => offer?,
    };
    known.head = follow_on(&api, &token, known.head, None, now_ms).await?;
    Ok((known, offer))
}

/// Checks a token against everything that is known, and asks what the node offers.
async fn accept(
    api: &Api,
    actor: &Actor,
    link: TeamLink,
    before: Option<Membership>,
    reply: LoginReply,
    now_ms: u64,
) -> Result<(Membership, Offer), CommandError> {
    let serial = before.as_ref().map_or(0, |known| known.serial);
    let keys: JwkSet = api.get("/.well-known/jwks.json").await?;
    let set = KeySet::verify(&keys, &link.root, serial).map_err(|error| fraud(&format!("its {error}")))?;
    let token = reply.token.ok_or_else(|| refused("the node gave no token"))?;
    let (claims, badge) = verify_token(&token, &set, now_ms / 1000).map_err(|error| fraud(&error.to_string()))?;
    if badge != Badge::Fresh || claims.cnf.jwk.ed25519() != Some(actor.key()) || claims.apk != thumbprint(&actor.account) {
        return Err(fraud("the token is not this device's"));
    }
    let head = before.as_ref().map_or(Head::EMPTY, |known| known.head);
    let shown = Token { text: &token, device: &actor.device };
    let head = follow_on(api, &shown, head, Some(&claims), now_ms).await?;
    let offer = offer(api, &shown, now_ms).await?;
    let link = TeamLink { invite: None, ..link };
    let membership =
        Membership { link, team: set.team, name: claims.sub, keys, serial: set.serial, head, token, expires: claims.exp };
    Ok((membership, offer))
}

async fn offer(api: &Api, token: &Token<'_>, now_ms: u64) -> Result<Offer, CommandError> {
    let info: TeamInfo = api.get("/v1/team").await?;
    let turn = if info.turn { Some(api.ask("POST", "/v1/turn", token, now_ms).await?) } else { None };
    Ok(Offer { relays: info.addresses, turn })
}

/// Follows the registrations from where they were left. A node that shows other ones than before is caught here.
async fn follow_on(
    api: &Api,
    token: &Token<'_>,
    mut head: Head,
    claims: Option<&Claims>,
    now_ms: u64,
) -> Result<Head, CommandError> {
    let mut named = claims.map(|claims| claims.head).filter(|named| named.seq > head.seq || *named != head);
    for _ in 0..PAGES {
        let page: ChainReply = api.ask("GET", &format!("/v1/chain?after={}", head.seq), token, now_ms).await?;
        let followed = follow(head, &page.entries).map_err(|error| fraud(&error.to_string()))?;
        if followed.is_empty() && page.head != head {
            return Err(fraud("it shows other registrations than before"));
        }
        let full = followed.len() >= MAX_CHAIN_PAGE;
        for (_, at) in followed {
            named = named.filter(|named| named.seq != at.seq || *named != at);
            head = at;
        }
        if !full {
            break;
        }
    }
    // What lies beyond the pages that were followed is seen when they are.
    match named {
        Some(named) if named.seq <= head.seq => Err(fraud("its token names other registrations than it shows")),
        _ => Ok(head),
    }
}

fn refused(why: &str) -> CommandError {
    CommandError::new(ErrorCode::TeamRefused, format!("The team's node refused: {why}."))
}

fn fraud(why: &str) -> CommandError {
    CommandError::new(ErrorCode::TeamFraud, format!("The team's node is not believed: {why}."))
}
