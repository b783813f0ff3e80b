//! The DTLS certificate of this device in one call. It is fresh for each call and given to every connection of it, so that the
//! fingerprint can be signed once for each peer; it never leaves the process and is never stored.

use webrtc::peer_connection::RTCCertificate;
use webrtc::peer_connection::crypto::{self, HashAlgorithm, SignatureScheme};
use webrtc_core::peer_connection::certificate::CertificateParams;

use super::transport::TransportError;

/// A self-signed ECDSA P-256 certificate with its key.
pub struct CallCertificate {
    certificate: RTCCertificate,
    fingerprint: [u8; 32],
}

impl std::fmt::Debug for CallCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallCertificate({})", fingerprint_text(&self.fingerprint))
    }
}

impl CallCertificate {
    /// Draws a new one. The name in it is random and says nothing of the device.
    pub fn generate() -> Result<Self, TransportError> {
        let provider = crypto::default_provider().map_err(engine)?;
        let mut name = [0u8; 12];
        getrandom::fill(&mut name).map_err(engine)?;
        let params = CertificateParams::new(vec![data_encoding::HEXLOWER.encode(&name)]).map_err(engine)?;
        let certificate =
            RTCCertificate::generate(provider.crypto(), SignatureScheme::EcdsaP256Sha256, params).map_err(engine)?;
        let der = certificate.dtls_certificate.certificate.first().ok_or_else(|| engine("a certificate without a body"))?;
        let fingerprint = fingerprint_of(der.as_ref())?;
        Ok(Self { certificate, fingerprint })
    }

    /// SHA-256 of the DER encoding, as `a=fingerprint:sha-256` gives it.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    pub(crate) fn webrtc(&self) -> RTCCertificate {
        self.certificate.clone()
    }
}

/// SHA-256 of a certificate in DER.
pub(crate) fn fingerprint_of(der: &[u8]) -> Result<[u8; 32], TransportError> {
    let provider = crypto::default_provider().map_err(engine)?;
    let hash = provider.crypto().hash(HashAlgorithm::Sha256, der).map_err(engine)?;
    hash.try_into().map_err(|_| engine("a SHA-256 of another length"))
}

/// `AB:CD:…`, as in a session description.
pub(crate) fn fingerprint_text(fingerprint: &[u8; 32]) -> String {
    fingerprint.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn engine(error: impl std::fmt::Display) -> TransportError {
    TransportError::Engine(error.to_string())
}
