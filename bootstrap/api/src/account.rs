//! Requests and responses, each named by its path. What is signed travels as the exact bytes that were signed.

use serde::{Deserialize, Serialize};

use crate::{Bytes, Key};

/// The label of [`Register`].
pub const REGISTER_LABEL: &str = "conclave/register/1";
/// The label of [`Login`].
pub const LOGIN_LABEL: &str = "conclave/login/1";
/// The label of [`LoginFinish`].
pub const LOGIN_FINISH_LABEL: &str = "conclave/login-finish/1";
/// The label of [`AddDevice`].
pub const ADD_DEVICE_LABEL: &str = "conclave/add-device/1";

/// The JSON of a request, and signatures over it under its label: see [`crate::label_input`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    pub payload: Bytes,
    pub device_signature: Bytes,
    /// Where the request changes what belongs to the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_signature: Option<Bytes>,
}

/// `GET /v1/team`: what a client needs before it has an account. Nothing of it is trusted but what the root key signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamInfo {
    pub team: String,
    pub root: Key,
    pub time_ms: u64,
    /// Multiaddrs of the node, each with `/p2p/…`.
    pub addresses: Vec<String>,
    pub turn: bool,
}

/// `POST /v1/opaque/register`: the first half of setting a password (RFC 9807, 5.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpaqueRegister {
    pub name: String,
    pub request: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpaqueRegistered {
    pub response: Bytes,
}

/// The payload of `POST /v1/register`. Signed by the device and by the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    pub root: Key,
    pub invite: Bytes,
    pub name: String,
    pub account: Key,
    pub device: Key,
    /// What the device is called in the person's list.
    pub label: String,
    pub time_ms: u64,
    /// The second half of setting a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Bytes>,
    /// The account key, sealed by what OPAQUE gives the client alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Bytes>,
}

/// The payload of `POST /v1/login`: by device key. Signed by the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    pub root: Key,
    pub device: Key,
    pub time_ms: u64,
    pub nonce: Bytes,
}

/// `POST /v1/login/start`: by password. The answer is alike for names that nobody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginStart {
    pub name: String,
    pub request: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginStarted {
    pub login: Bytes,
    pub response: Bytes,
}

/// The payload of `POST /v1/login/finish`. Signed by the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginFinish {
    pub root: Key,
    pub login: Bytes,
    pub finalization: Bytes,
    pub device: Key,
    pub time_ms: u64,
}

/// What every login answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginReply {
    pub name: String,
    /// Absent where the device is not one of the account's yet: see [`AddDevice`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// After a password: the sealed backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Bytes>,
    /// After a password: lets this device, and no other, be added within ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Bytes>,
    pub time_ms: u64,
}

/// The payload of `POST /v1/devices`: another device of the account. Signed by the device and by the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddDevice {
    pub root: Key,
    pub ticket: Bytes,
    pub device: Key,
    pub label: String,
    pub time_ms: u64,
}

/// A device of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub device: Key,
    pub label: String,
    pub added_ms: u64,
    pub revoked: bool,
}

/// `GET /v1/devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicesReply {
    pub devices: Vec<Device>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReply {
    pub device: Key,
}

/// `POST /v1/devices/revoke`: one of the account's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeDevice {
    pub device: Key,
}

/// `PUT /v1/backup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutBackup {
    pub backup: Bytes,
}

/// `GET /v1/backup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReply {
    pub backup: Option<Bytes>,
}

/// `POST /v1/turn`: credentials of the REST form (draft-uberti-behave-turn-rest): `expiry:name`, and an HMAC of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnReply {
    pub urls: Vec<String>,
    pub username: String,
    pub password: String,
    pub ttl_s: u64,
}

/// Without the password.
impl core::fmt::Debug for TurnReply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TurnReply").field("urls", &self.urls).field("ttl_s", &self.ttl_s).finish_non_exhaustive()
    }
}

/// `POST /v1/admin/invites`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteRequest {
    #[serde(default = "one")]
    pub uses: u32,
    #[serde(default = "one_day")]
    pub expires_s: u64,
}

fn one() -> u32 {
    1
}
fn one_day() -> u64 {
    86_400
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteReply {
    pub link: String,
    pub expires_ms: u64,
}

/// `GET /v1/admin/users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserReply {
    pub name: String,
    pub account: Key,
    pub disabled: bool,
    pub created_ms: u64,
    pub devices: Vec<Device>,
}

/// Why a request is refused. Stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    BadRequest,
    /// Name, password, device or token: which of them is not said.
    Unauthorized,
    /// The clocks differ by more than five minutes; the answer has the node's.
    Clock,
    /// Used up, expired, revoked or never given out.
    InviteInvalid,
    NameTaken,
    NotFound,
    TooLarge,
    TooMany,
    Busy,
    Internal,
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    pub code: RefusalCode,
    pub message: String,
    pub time_ms: u64,
}
