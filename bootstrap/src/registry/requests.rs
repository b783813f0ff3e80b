//! What strangers ask before they have a token.

use conclave_bootstrap_api::{
    ADD_DEVICE_LABEL, AddDevice, Bytes, Key, LOGIN_FINISH_LABEL, LOGIN_LABEL, Login, LoginFinish, LoginReply, LoginStart,
    LoginStarted, OpaqueRegister, OpaqueRegistered, REGISTER_LABEL, Register, Signed, verify_label,
};
use conclave_protocol::identity::check_name;
use serde::de::DeserializeOwned;

use super::password::Setup;
use super::{At, MAX_BACKUP, Refusal, Registry, check_time, invite_hash, name_key};
use crate::keys::random;
use crate::store::{Account, Added, NewAccount, Pending, Registered};

/// A login between its halves.
const LOGIN_KIND: &str = "login";
const LOGIN_MS: u64 = 60_000;
/// A device that may be added.
const TICKET_KIND: &str = "ticket";
const TICKET_MS: u64 = 600_000;

impl Registry {
    /// The first half of setting a password.
    pub(crate) async fn opaque_register(&self, request: OpaqueRegister, at: At) -> Result<OpaqueRegistered, Refusal> {
        let name = name_key(&request.name);
        // It evaluates a password under the name's key, as a login does: whoever may ask it freely tries passwords freely. So it counts
        // for the name; only for the address it is the registration that counts.
        let counted = self.limits.attempt(&self.store, at.source, Some(&name), at.now_ms).await?;
        let counted = counted.ok_or(Refusal::TOO_MANY)?;
        let response = self.compute(|setup| setup.register(&name, &request.request.0)).await?;
        self.limits.forgive_source(&self.store, counted).await?;
        Ok(OpaqueRegistered { response: Bytes(response) })
    }

    pub(crate) async fn register(&self, signed: &Signed, at: At) -> Result<LoginReply, Refusal> {
        let counted = self.limits.attempt(&self.store, at.source, None, at.now_ms).await?.ok_or(Refusal::TOO_MANY)?;
        let request: Register = parse(signed)?;
        self.check(signed, REGISTER_LABEL, (request.root, request.time_ms), request.device, Some(request.account), at).await?;
        if check_name(request.name.trim()).is_err() || check_name(&request.label).is_err() {
            return Err(Refusal::BAD);
        }
        if request.backup.as_ref().is_some_and(|backup| backup.0.len() > MAX_BACKUP) {
            return Err(Refusal::TOO_LARGE);
        }
        let hash = invite_hash(&request.invite.0);
        // Before anything is computed for one without an invite; what decides is the statement that uses it.
        if !self.store.invite_is_open(&hash, at.now_ms).await? {
            return Err(Refusal::INVITE);
        }
        let password = request.password.map(|upload| Setup::upload(&upload.0)).transpose()?;
        let new = NewAccount {
            invite_hash: hash,
            id: data_encoding::BASE32_NOPAD.encode(&random::<15>()?).to_lowercase(),
            name_key: name_key(&request.name),
            name: request.name.trim().to_owned(),
            key: request.account,
            device: request.device,
            label: request.label,
            password,
            backup: request.backup.map(|backup| backup.0),
        };
        match self.store.register(&new, at.now_ms).await? {
            Registered::Done(_) => {}
            Registered::InviteInvalid => return Err(Refusal::INVITE),
            Registered::Taken => return Err(Refusal::TAKEN),
        }
        self.limits.forgive(&self.store, counted).await?;
        let account = self.store.account(&new.name_key).await?.ok_or(Refusal::INTERNAL)?;
        self.welcome(&account, new.device, at.now_ms).await
    }

    /// By device key: nothing but the device's signature is needed.
    pub(crate) async fn login(&self, signed: &Signed, at: At) -> Result<LoginReply, Refusal> {
        let counted = self.limits.attempt(&self.store, at.source, None, at.now_ms).await?.ok_or(Refusal::TOO_MANY)?;
        let request: Login = parse(signed)?;
        self.check(signed, LOGIN_LABEL, (request.root, request.time_ms), request.device, None, at).await?;
        let account = self.store.account_of(request.device).await?;
        let account = account.filter(|account| !account.disabled).ok_or(Refusal::UNAUTHORIZED)?;
        self.limits.forgive(&self.store, counted).await?;
        self.welcome(&account, request.device, at.now_ms).await
    }

    /// By password, the first half.
    pub(crate) async fn login_start(&self, request: LoginStart, at: At) -> Result<LoginStarted, Refusal> {
        let name = name_key(&request.name);
        if self.limits.attempt(&self.store, at.source, Some(&name), at.now_ms).await?.is_none() {
            return Err(Refusal::TOO_MANY);
        }
        // A disabled account is as good as none, and so is one without a password.
        let account = self.store.account(&name).await?.filter(|account| !account.disabled);
        let known = account.and_then(|account| Some((account.id, account.password?)));
        let password = known.as_ref().map(|(_, password)| password.as_slice());
        let (response, state) = self.compute(|setup| setup.login(&name, password, &request.request.0)).await?;
        let login: [u8; 16] = random()?;
        let data = self.master.seal(LOGIN_KIND, &state)?;
        let pending = Pending { account: known.map(|(id, _)| id).unwrap_or_default(), data };
        if !self.store.begin(&login, LOGIN_KIND, pending, at.now_ms, at.now_ms + LOGIN_MS).await? {
            return Err(Refusal::BUSY);
        }
        Ok(LoginStarted { login: Bytes(login.to_vec()), response: Bytes(response) })
    }

    /// By password, the second half. A device that is not the account's yet gets the backup and a ticket to be added, no token.
    pub(crate) async fn login_finish(&self, signed: &Signed, at: At) -> Result<LoginReply, Refusal> {
        let request: LoginFinish = parse(signed)?;
        self.check(signed, LOGIN_FINISH_LABEL, (request.root, request.time_ms), request.device, None, at).await?;
        let pending = self.store.take(&request.login.0, LOGIN_KIND, at.now_ms).await?.ok_or(Refusal::UNAUTHORIZED)?;
        let state = self.master.open_sealed(LOGIN_KIND, &pending.data)?;
        let right = self.compute(|_| Ok(Setup::is_right(&state, &request.finalization.0))).await?;
        if !right {
            return Err(Refusal::UNAUTHORIZED);
        }
        let account = self.store.account_by_id(&pending.account).await?;
        let account = account.filter(|account| !account.disabled).ok_or(Refusal::UNAUTHORIZED)?;
        let known = self.store.account_of(request.device).await?.is_some_and(|of| of.id == account.id);
        let mut reply = LoginReply {
            name: account.name.clone(),
            token: None,
            backup: account.backup.clone().map(Bytes),
            ticket: None,
            time_ms: at.now_ms,
        };
        if known {
            reply.token = Some(self.token(&account, request.device, at.now_ms).await?);
        } else {
            let ticket: [u8; 16] = random()?;
            let pending = Pending { account: account.id, data: request.device.0.to_vec() };
            if !self.store.begin(&ticket, TICKET_KIND, pending, at.now_ms, at.now_ms + TICKET_MS).await? {
                return Err(Refusal::BUSY);
            }
            reply.ticket = Some(Bytes(ticket.to_vec()));
        }
        Ok(reply)
    }

    /// Another device: the password gave the ticket, the account key says yes.
    pub(crate) async fn add_device(&self, signed: &Signed, at: At) -> Result<LoginReply, Refusal> {
        let request: AddDevice = parse(signed)?;
        if check_name(&request.label).is_err() {
            return Err(Refusal::BAD);
        }
        let pending = self.store.take(&request.ticket.0, TICKET_KIND, at.now_ms).await?.ok_or(Refusal::UNAUTHORIZED)?;
        let account: Account = self.store.account_by_id(&pending.account).await?.ok_or(Refusal::UNAUTHORIZED)?;
        if account.disabled || pending.data != request.device.0 {
            return Err(Refusal::UNAUTHORIZED);
        }
        self.check(signed, ADD_DEVICE_LABEL, (request.root, request.time_ms), request.device, Some(account.key), at).await?;
        match self.store.add_device(&account, request.device, &request.label, at.now_ms).await? {
            Added::Done => {}
            Added::Taken => return Err(Refusal::TAKEN),
            Added::TooMany => return Err(Refusal::DEVICES),
        }
        self.welcome(&account, request.device, at.now_ms).await
    }

    /// The team, the time, and the signatures of a request.
    async fn check(
        &self,
        signed: &Signed,
        label: &str,
        (root, time_ms): (Key, u64),
        device: Key,
        account: Option<Key>,
        at: At,
    ) -> Result<(), Refusal> {
        check_time(time_ms, at.now_ms)?;
        let by_device = verify_label(&device, label, &signed.payload.0, &signed.device_signature.0);
        let by_account = account.is_none_or(|account| {
            signed
                .account_signature
                .as_ref()
                .is_some_and(|signature| verify_label(&account, label, &signed.payload.0, &signature.0))
        });
        let (_, ours) = self.team().await;
        if by_device && by_account && root == ours { Ok(()) } else { Err(Refusal::UNAUTHORIZED) }
    }

    /// A bounded share of the cores for what costs. Those who wait have a [`Registry::place`] each.
    async fn compute<T>(&self, work: impl FnOnce(&Setup) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let _computing = self.computing.acquire().await.map_err(|_| Refusal::BUSY)?;
        tokio::task::block_in_place(|| work(&self.opaque))
    }
}

fn parse<T: DeserializeOwned>(signed: &Signed) -> Result<T, Refusal> {
    serde_json::from_slice(&signed.payload.0).map_err(|_| Refusal::BAD)
}
