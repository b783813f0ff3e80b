//! Who is who: registration, login, devices, tokens. It takes `now` and where a request came from, reads no clock, and never says which
//! of a name, a password and a device was wrong.

mod password;
mod requests;

use std::net::IpAddr;

use conclave_bootstrap_api::{
    Badge, Bytes, Claims, Confirmation, Device, ErrorReply, Head, InviteReply, Jwk, Key, LEEWAY, LoginReply, Proof, ProofError,
    RefusalCode, TOKEN_SECONDS, TeamLink, TokenError, TurnReply, UserReply, audience, sign_token, thumbprint, verify_token,
};
use data_encoding::BASE64URL_NOPAD;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::keys::{KeyError, Master, Signing, random};
use crate::limits::Limits;
use crate::store::{Account, Store, StoreError};

/// What OPAQUE computes at once; it takes a core for a fraction of a millisecond.
const COMPUTING: usize = 4;
/// Longest sealed backup, in bytes.
pub(crate) const MAX_BACKUP: usize = 16 * 1024;

/// A request is refused, in words that a stranger may read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) code: RefusalCode,
    pub(crate) message: &'static str,
}

impl Refusal {
    pub(crate) const BAD: Self = Self { code: RefusalCode::BadRequest, message: "the request cannot be read" };
    pub(crate) const UNAUTHORIZED: Self =
        Self { code: RefusalCode::Unauthorized, message: "name, password, device or token: one of them is not right" };
    pub(crate) const CLOCK: Self =
        Self { code: RefusalCode::Clock, message: "the clocks differ by more than five minutes; time_ms is this node's" };
    pub(crate) const INVITE: Self = Self { code: RefusalCode::InviteInvalid, message: "the invite is used up, expired or void" };
    pub(crate) const TAKEN: Self = Self { code: RefusalCode::NameTaken, message: "the name or the key has an account already" };
    pub(crate) const NOT_FOUND: Self = Self { code: RefusalCode::NotFound, message: "there is no such thing here" };
    pub(crate) const TOO_LARGE: Self = Self { code: RefusalCode::TooLarge, message: "that is too large" };
    pub(crate) const TOO_MANY: Self = Self { code: RefusalCode::TooMany, message: "too many attempts; try again in 15 minutes" };
    pub(crate) const BUSY: Self = Self { code: RefusalCode::Busy, message: "the node is busy; try again in a moment" };
    pub(crate) const DEVICES: Self =
        Self { code: RefusalCode::TooMany, message: "the account has as many devices as it may have; revoke one first" };
    pub(crate) const INTERNAL: Self = Self { code: RefusalCode::Internal, message: "something went wrong in this node" };

    pub(crate) fn reply(&self, now_ms: u64) -> ErrorReply {
        ErrorReply { code: self.code, message: self.message.to_owned(), time_ms: now_ms }
    }
}

/// What went wrong stays in the log of the node.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(sqlx::Error::PoolTimedOut) => Self::BUSY,
            error => {
                tracing::error!(%error, "a request failed");
                Self::INTERNAL
            }
        }
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        tracing::error!(%error, "a request failed");
        Self::INTERNAL
    }
}

/// Who sends a request, once it is known.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) account: Account,
    pub(crate) device: Key,
}

/// When a request came, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) now_ms: u64,
    pub(crate) source: IpAddr,
}

/// What a request with a token shows of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) token: &'a str,
    pub(crate) proof: &'a str,
}

/// Where TURN is, and the secret that its credentials are made with.
#[derive(Clone)]
pub(crate) struct TurnAccess {
    pub(crate) urls: Vec<String>,
    pub(crate) secret: Vec<u8>,
    pub(crate) seconds: u64,
}

pub(crate) struct Registry {
    pub(crate) store: Store,
    master: Master,
    signing: tokio::sync::RwLock<Signing>,
    limits: Limits,
    opaque: password::Setup,
    computing: Semaphore,
    /// Requests of strangers that are worked on: what waits for the database or a core is bounded here.
    logins: Semaphore,
    turn: Option<TurnAccess>,
    url: String,
    pin: Option<Key>,
}

impl Registry {
    pub(crate) async fn open(
        store: Store,
        master: Master,
        url: &str,
        pin: Option<Key>,
        turn: Option<TurnAccess>,
        max_logins: usize,
    ) -> Result<Self, KeyError> {
        let signing = Signing::load(&store, &master).await?;
        let opaque = password::Setup::load(&store, &master).await?;
        let limits = Limits::new(master.derive("conclave 2026 bootstrap attempts v1"));
        Ok(Self {
            store,
            master,
            signing: signing.into(),
            limits,
            opaque,
            computing: Semaphore::new(COMPUTING),
            logins: Semaphore::new(max_logins),
            turn,
            url: url.to_owned(),
            pin,
        })
    }

    /// Takes up what another process rotated.
    pub(crate) async fn refresh_keys(&self) -> Result<(), KeyError> {
        let known = self.signing.read().await.keys.serial;
        if self.store.key_set().await?.is_some_and(|(serial, _)| serial != known) {
            *self.signing.write().await = Signing::load(&self.store, &self.master).await?;
            tracing::info!("the signing key was rotated");
        }
        Ok(())
    }

    pub(crate) async fn key_set(&self) -> Vec<u8> {
        self.signing.read().await.document.clone()
    }

    pub(crate) async fn team(&self) -> (String, Key) {
        let signing = self.signing.read().await;
        (signing.keys.team.clone(), signing.keys.root)
    }

    /// A place for a request of a stranger, before anything is spent on it; or [`Refusal::BUSY`].
    pub(crate) fn place(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.logins.try_acquire().map_err(|_| Refusal::BUSY)
    }

    pub(crate) fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// Who sends a request: by the token, the proof that it is its device's, and what the database says of both now.
    pub(crate) async fn authorize(&self, shown: Shown<'_>, now_ms: u64) -> Result<Caller, Refusal> {
        let verified = {
            let signing = self.signing.read().await;
            verify_token(shown.token, &signing.keys, now_ms / 1000)
        };
        let verified = match verified {
            // Another replica may have rotated: one look, no more.
            Err(TokenError::UnknownKey) => {
                self.refresh_keys().await?;
                verify_token(shown.token, &self.signing.read().await.keys, now_ms / 1000)
            }
            verified => verified,
        };
        let claims = match verified {
            Ok((claims, Badge::Fresh)) => claims,
            Ok((_, Badge::Stale)) | Err(TokenError::Expired | TokenError::NotYet) => return Err(Refusal::CLOCK),
            Err(_) => return Err(Refusal::UNAUTHORIZED),
        };
        let device = claims.cnf.jwk.ed25519().ok_or(Refusal::UNAUTHORIZED)?;
        let proof = Proof::parse(shown.proof).map_err(|_| Refusal::UNAUTHORIZED)?;
        proof.verify(&device, shown.method, shown.path, shown.body, shown.token, now_ms).map_err(|error| match error {
            ProofError::Time => Refusal::CLOCK,
            ProofError::Malformed | ProofError::Signature => Refusal::UNAUTHORIZED,
        })?;
        let account = self.store.account_of(device).await?.filter(|account| !account.disabled).ok_or(Refusal::UNAUTHORIZED)?;
        if thumbprint(&account.key) != claims.apk {
            return Err(Refusal::UNAUTHORIZED);
        }
        Ok(Caller { account, device })
    }

    /// Credentials for the relay of media: `expiry:account`, and an HMAC of it.
    pub(crate) fn turn_credentials(&self, caller: &Caller, now_ms: u64) -> Result<TurnReply, Refusal> {
        let access = self.turn.as_ref().ok_or(Refusal::NOT_FOUND)?;
        let username = format!("{}:{}", now_ms / 1000 + access.seconds, caller.account.id);
        let password = crate::reach::turn_password(&access.secret, &username);
        Ok(TurnReply { urls: access.urls.clone(), username, password, ttl_s: access.seconds })
    }

    /// Makes an invite; only its hash is kept.
    pub(crate) async fn invite(&self, uses: u32, expires_s: u64, now_ms: u64) -> Result<InviteReply, Refusal> {
        if !(1..=10_000).contains(&uses) || !(60..=90 * 86_400).contains(&expires_s) {
            return Err(Refusal::BAD);
        }
        let code: [u8; 16] = random()?;
        let expires_ms = now_ms + expires_s * 1000;
        self.store.add_invite(&invite_hash(&code), uses, now_ms, expires_ms).await?;
        let (_, root) = self.team().await;
        let link = TeamLink { url: self.url.clone(), root, pin: self.pin, invite: Some(Bytes(code.to_vec())) };
        Ok(InviteReply { link: link.to_text(), expires_ms })
    }

    /// Everybody, for who administers.
    pub(crate) async fn users(&self) -> Result<Vec<UserReply>, Refusal> {
        let mut users = Vec::new();
        for account in self.store.accounts().await? {
            let devices = self.store.devices(&account.id).await?;
            users.push(user(account, devices));
        }
        Ok(users)
    }

    pub(crate) async fn user(&self, name: &str) -> Result<UserReply, Refusal> {
        let account = self.store.account(&name_key(name)).await?.ok_or(Refusal::NOT_FOUND)?;
        let devices = self.store.devices(&account.id).await?;
        Ok(user(account, devices))
    }

    pub(crate) async fn set_disabled(&self, name: &str, disabled: bool, now_ms: u64) -> Result<bool, Refusal> {
        let account = self.store.account(&name_key(name)).await?.ok_or(Refusal::NOT_FOUND)?;
        Ok(self.store.set_disabled(&account, disabled, now_ms).await?)
    }

    pub(crate) async fn revoke_device(&self, name: &str, device: Key, now_ms: u64) -> Result<bool, Refusal> {
        let account = self.store.account(&name_key(name)).await?.ok_or(Refusal::NOT_FOUND)?;
        Ok(self.store.revoke_device(&account, device, now_ms).await?)
    }

    /// A new token for who administers over HTTP; the one before is void. Only its hash is kept.
    pub(crate) async fn new_admin_token(&self) -> Result<String, Refusal> {
        let token = BASE64URL_NOPAD.encode(&random::<32>()?);
        self.store.put_secret("admin", &self.master.seal("admin", blake3::hash(token.as_bytes()).as_bytes())?).await?;
        Ok(token)
    }

    pub(crate) async fn is_admin(&self, token: &str) -> Result<bool, Refusal> {
        let Some(sealed) = self.store.secret("admin").await? else { return Ok(false) };
        let known: [u8; 32] = self.master.open_sealed("admin", &sealed)?.as_slice().try_into().map_err(|_| Refusal::INTERNAL)?;
        // In constant time.
        Ok(blake3::Hash::from_bytes(known) == blake3::hash(token.as_bytes()))
    }

    async fn token(&self, account: &Account, device: Key, now_ms: u64) -> Result<String, Refusal> {
        let head: Head = self.store.chain_head().await?;
        let now = now_ms / 1000;
        let signing = self.signing.read().await;
        let claims = Claims {
            iss: signing.keys.iss.clone(),
            sub: account.name.clone(),
            aud: audience(&signing.keys.root),
            team: signing.keys.team.clone(),
            apk: thumbprint(&account.key),
            cnf: Confirmation { jwk: Jwk::of(device) },
            iat: now,
            nbf: now,
            exp: now + TOKEN_SECONDS,
            jti: BASE64URL_NOPAD.encode(&random::<16>()?),
            head,
        };
        sign_token(&claims, &signing.key).map_err(|_| Refusal::INTERNAL)
    }

    async fn welcome(&self, account: &Account, device: Key, now_ms: u64) -> Result<LoginReply, Refusal> {
        let token = Some(self.token(account, device, now_ms).await?);
        Ok(LoginReply { name: account.name.clone(), token, backup: None, ticket: None, time_ms: now_ms })
    }
}

/// No two people's names differ by case alone.
pub(crate) fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

fn invite_hash(code: &[u8]) -> [u8; 32] {
    blake3::derive_key("conclave 2026 team invite v1", code)
}

fn check_time(time_ms: u64, now_ms: u64) -> Result<(), Refusal> {
    if now_ms.abs_diff(time_ms) <= LEEWAY * 1000 { Ok(()) } else { Err(Refusal::CLOCK) }
}

fn user(account: Account, devices: Vec<Device>) -> UserReply {
    UserReply { name: account.name, account: account.key, disabled: account.disabled, created_ms: account.created_ms, devices }
}
