//! The cipher suite of OPAQUE (RFC 9807): ristretto255 with SHA-512, TripleDH, and Argon2id (19 MiB, t=2, p=1) as the stretching
//! function, which runs in the client alone.

use opaque_ke::{CipherSuite, Ristretto255, TripleDh, argon2::Argon2};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, sha2_010::Sha512>;
    type Ksf = Argon2<'static>;
}
