//! The certificate of the HTTP side: files that an authority vouches for, or one of its own that invites pin.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use axum_server::tls_rustls::RustlsConfig;
use conclave_bootstrap_api::Key;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use crate::config::{Config, Tls};
use crate::keys::write_secret;

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "certificate.key";

/// What clients pin: SHA-256 of the certificate of our own making.
///
/// # Errors
/// Where it cannot be read or made.
pub(crate) fn pin(config: &Config) -> anyhow::Result<Option<Key>> {
    if config.http.tls != Tls::SelfSigned {
        return Ok(None);
    }
    make_own(config)?;
    let path = config.data.dir.join(CERTIFICATE);
    let certificate = CertificateDer::from_pem_file(&path).with_context(|| path.display().to_string())?;
    Ok(Some(Key(Sha256::digest(&certificate).into())))
}

/// The certificate and its key; `None` without TLS.
fn files(config: &Config) -> anyhow::Result<Option<(PathBuf, PathBuf)>> {
    Ok(match config.http.tls {
        Tls::Off => None,
        Tls::Files => Some((config.http.certificate.clone(), config.http.key.clone())),
        Tls::SelfSigned => {
            make_own(config)?;
            Some((config.data.dir.join(CERTIFICATE), config.data.dir.join(KEY)))
        }
    })
}

/// When the certificate ends, in seconds of UTC; `None` without TLS.
pub(crate) fn ends_s(config: &Config) -> anyhow::Result<Option<u64>> {
    let Some((certificate, _)) = files(config)? else { return Ok(None) };
    let first = CertificateDer::from_pem_file(&certificate).with_context(|| certificate.display().to_string())?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&first).with_context(|| certificate.display().to_string())?;
    Ok(u64::try_from(parsed.validity().not_after.timestamp()).ok())
}

/// What the server shows; `None` without TLS.
pub(crate) fn config(config: &Config) -> anyhow::Result<Option<RustlsConfig>> {
    let Some((certificate, key)) = files(config)? else { return Ok(None) };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| certificate.display().to_string())?;
    let private = PrivateKeyDer::from_pem_file(&key).with_context(|| key.display().to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(RustlsConfig::from_config(Arc::new(server))))
}

fn make_own(config: &Config) -> anyhow::Result<()> {
    let (certificate, key) = (config.data.dir.join(CERTIFICATE), config.data.dir.join(KEY));
    if certificate.exists() {
        return Ok(());
    }
    let host = config.team.url.trim_start_matches("https://");
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).context("a certificate")?;
    write_secret(&key, made.signing_key.serialize_pem().trim_end())?;
    fs::write(&certificate, made.cert.pem()).with_context(|| certificate.display().to_string())
}
