//! Passwords by OPAQUE (RFC 9807): the node never sees one. A name that nobody has gets an answer that cannot be told from a real one.

use conclave_bootstrap_api::Suite;
use opaque_ke::rand::rngs::OsRng;
use opaque_ke::{
    CredentialFinalization, CredentialRequest, RegistrationRequest, RegistrationUpload, ServerLogin, ServerLoginParameters,
    ServerRegistration, ServerSetup,
};

use super::Refusal;
use crate::keys::{KeyError, Master};
use crate::store::Store;

/// The node's OPAQUE keys, which every password of the team hangs on.
pub(super) struct Setup(ServerSetup<Suite>);

impl Setup {
    pub(super) async fn load(store: &Store, master: &Master) -> Result<Self, KeyError> {
        let secret = master.secret(store, "opaque", || Ok(ServerSetup::<Suite>::new(&mut OsRng).serialize().to_vec())).await?;
        ServerSetup::deserialize(&secret).map(Self).map_err(|_| KeyError::Sealed)
    }

    /// The answer to the first half of setting a password.
    pub(super) fn register(&self, name_key: &str, request: &[u8]) -> Result<Vec<u8>, Refusal> {
        let request = RegistrationRequest::deserialize(request).map_err(|_| Refusal::BAD)?;
        let response = ServerRegistration::<Suite>::start(&self.0, request, name_key.as_bytes()).map_err(|_| Refusal::BAD)?;
        Ok(response.message.serialize().to_vec())
    }

    /// What is kept, from the second half.
    pub(super) fn upload(upload: &[u8]) -> Result<Vec<u8>, Refusal> {
        let upload = RegistrationUpload::<Suite>::deserialize(upload).map_err(|_| Refusal::BAD)?;
        Ok(ServerRegistration::finish(upload).serialize().to_vec())
    }

    /// The answer to the first half of a login, and what the second half is judged by.
    pub(super) fn login(&self, name_key: &str, password: Option<&[u8]>, request: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        let password = password.map(ServerRegistration::<Suite>::deserialize).transpose().map_err(|_| Refusal::INTERNAL)?;
        let request = CredentialRequest::deserialize(request).map_err(|_| Refusal::BAD)?;
        let parameters = ServerLoginParameters::default();
        let started = ServerLogin::start(&mut OsRng, &self.0, password, request, name_key.as_bytes(), parameters);
        let started = started.map_err(|_| Refusal::BAD)?;
        Ok((started.message.serialize().to_vec(), started.state.serialize().to_vec()))
    }

    /// Whether the password was right.
    pub(super) fn is_right(state: &[u8], finalization: &[u8]) -> bool {
        let (Ok(state), Ok(finalization)) =
            (ServerLogin::<Suite>::deserialize(state), CredentialFinalization::deserialize(finalization))
        else {
            return false;
        };
        state.finish(finalization, ServerLoginParameters::default()).is_ok()
    }
}
