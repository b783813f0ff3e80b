//! The bodies of the fuzz targets: plain functions that panic when a rule is broken. `tests/bootstrap/parsers.rs` runs all of them on
//! stable, `bootstrap/fuzz` under cargo-fuzz. No part of the program.

#![allow(clippy::panic, clippy::expect_used, clippy::missing_panics_doc, reason = "a broken rule is told by a panic")]

use conclave_bootstrap_api::{
    AddDevice, ChainEntry, Head, InviteRequest, JwkSet, Key, KeySet, LEEWAY, Login, LoginFinish, LoginStart, MAX_TOKEN,
    OpaqueRegister, Proof, PutBackup, Register, RevokeDevice, STALE_SECONDS, Signed, TOKEN_SECONDS, TeamLink, follow,
    sign_key_set, thumbprint, verify_token,
};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Config;

/// Takes whatever bytes there are.
pub type Target = fn(&[u8]);

/// All targets, by the names under which cargo-fuzz knows them.
pub const TARGETS: &[(&str, Target)] =
    &[("claims", claims), ("turn_datagrams", crate::reach::fuzz_turn), ("config", config), ("admin_json", admin_json)];

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|(other, _)| *other == name) {
        Some((_, target)) => target(data),
        None => panic!("no target {name}"),
    }
}

/// When a token is looked at here, in seconds.
pub const NOW_S: u64 = 1_800_000_000;

/// The keys of a team that is always the same: its set, and what signs its tokens.
pub fn team() -> (KeySet, SigningKey) {
    let (root, signing) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let public = |key: &SigningKey| Key(key.verifying_key().to_bytes());
    let set = sign_key_set("https://meet.example.org:7480", "Field office", 1, &[public(&signing)], &root).expect("JSON");
    (KeySet::verify(&set, &public(&root), 0).expect("a set of our own"), signing)
}

/// The input as a token, and as the claims of one that is signed.
fn claims(data: &[u8]) {
    let (keys, signing) = team();
    let text = String::from_utf8_lossy(data);
    assert!(verify_token(&text, &keys, NOW_S).is_err(), "nobody but the key signs");
    let kid = thumbprint(&Key(signing.verifying_key().to_bytes()));
    let header = BASE64URL_NOPAD.encode(format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#).as_bytes());
    let input = format!("{header}.{}", BASE64URL_NOPAD.encode(data));
    let token = format!("{input}.{}", BASE64URL_NOPAD.encode(&signing.sign(input.as_bytes()).to_bytes()));
    if let Ok((claims, _)) = verify_token(&token, &keys, NOW_S) {
        assert!(token.len() <= MAX_TOKEN && claims.iss == keys.iss && !claims.sub.is_empty() && claims.sub.len() <= 128);
        assert!(claims.exp > claims.iat && claims.exp - claims.iat <= TOKEN_SECONDS);
        assert!(claims.nbf <= NOW_S + LEEWAY && claims.iat <= NOW_S + LEEWAY && claims.exp + STALE_SECONDS >= NOW_S);
        assert!(claims.cnf.jwk.ed25519().is_some());
    }
    // What else strangers show as text.
    if let Ok(proof) = Proof::parse(&text) {
        assert_eq!(Proof::parse(&proof.header()), Ok(proof));
    }
    if let Ok(link) = TeamLink::parse(&text) {
        assert!(text.len() <= 4_096 && !link.url.is_empty());
    }
    if let Ok(set) = serde_json::from_slice::<JwkSet>(data) {
        assert!(KeySet::verify(&set, &keys.root, 0).is_err(), "nobody but the root signs");
    }
}

/// Datagrams that a machine of TURN let through, for a test of the corpus.
pub fn relayed(data: &[u8]) -> u64 {
    crate::reach::fuzz_relayed(data)
}

/// A configuration file: a value or an error with its place, and what is taken can be worked with.
fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::from_text(text) {
        Ok(config) => {
            assert!(config.team.url.starts_with("http") && (30..=600).contains(&config.turn.credential_seconds));
            assert!(!config.database_url().is_empty() && config.http.max_connections > 0 && config.http.max_logins > 0);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Every body of a request: what is taken is the same after it was written and read again.
fn admin_json(data: &[u8]) {
    same::<InviteRequest>(data);
    same::<RevokeDevice>(data);
    same::<PutBackup>(data);
    same::<Signed>(data);
    same::<Register>(data);
    same::<Login>(data);
    same::<LoginStart>(data);
    same::<LoginFinish>(data);
    same::<OpaqueRegister>(data);
    same::<AddDevice>(data);
    same::<ChainEntry>(data);
    let entries: Vec<_> = data.split(|byte| *byte == b'\n').map(|line| conclave_bootstrap_api::Bytes(line.to_vec())).collect();
    if let Ok(followed) = follow(Head::EMPTY, &entries) {
        assert!(followed.iter().zip(1..).all(|((entry, head), seq)| entry.seq == seq && head.seq == seq));
    }
}

fn same<T: Serialize + DeserializeOwned>(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(data) {
        let written = serde_json::to_vec(&value).expect("what was read can be written");
        let again: T = serde_json::from_slice(&written).expect("what was written can be read");
        assert_eq!(serde_json::to_vec(&again).expect("it can be written again"), written);
    }
}
