//! What a bootstrap node and its clients must agree on: requests, responses and claims, what is signed, and how it is checked. No
//! I/O and no clock: `now` is an argument. It must never decide who is let into a room: a token names a person, it admits nobody.
//!
//! Everything binary is base64url without padding. Times are UTC: seconds in a token (RFC 7519), milliseconds elsewhere.

mod account;
mod bytes;
mod chain;
mod keyset;
mod link;
mod opaque;
mod proof;
mod token;

pub use account::{
    ADD_DEVICE_LABEL, AddDevice, BackupReply, Device, DeviceReply, DevicesReply, ErrorReply, InviteReply, InviteRequest,
    LOGIN_FINISH_LABEL, LOGIN_LABEL, Login, LoginFinish, LoginReply, LoginStart, LoginStarted, OpaqueRegister, OpaqueRegistered,
    PutBackup, REGISTER_LABEL, RefusalCode, Register, RevokeDevice, Signed, TeamInfo, TurnReply, UserReply,
};
pub use bytes::{Bytes, Key};
pub use chain::{ChainEntry, ChainError, ChainEvent, ChainReply, Head, MAX_CHAIN_PAGE, entry_hash, follow};
pub use keyset::{JwkSet, KeySet, KeySetError, sign_key_set};
pub use link::{LinkError, TeamLink};
pub use opaque::Suite;
pub use proof::{LEEWAY, PROOF_HEADER, PROOF_LABEL, Proof, ProofError, label_input, verify_label};
pub use token::{
    Badge, Claims, Confirmation, Jwk, MAX_TOKEN, STALE_SECONDS, TOKEN_SECONDS, TokenError, audience, sign_token, thumbprint,
    verify_token,
};
