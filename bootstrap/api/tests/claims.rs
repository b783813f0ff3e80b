//! Tokens, key sets, links and proofs, as a stranger would send them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use conclave_bootstrap_api::{
    Badge, Bytes, Claims, Confirmation, Head, Jwk, Key, KeySet, KeySetError, MAX_TOKEN, PROOF_LABEL, Proof, ProofError,
    STALE_SECONDS, TOKEN_SECONDS, TeamLink, TokenError, audience, label_input, sign_key_set, sign_token, thumbprint,
    verify_token,
};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;

struct Team {
    root: SigningKey,
    signing: SigningKey,
    keys: KeySet,
}

fn public(key: &SigningKey) -> Key {
    Key(key.verifying_key().to_bytes())
}

fn team() -> Team {
    let (root, signing) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let set = sign_key_set("https://node", "Team", 3, &[public(&signing)], &root).unwrap();
    let keys = KeySet::verify(&set, &public(&root), 3).unwrap();
    Team { root, signing, keys }
}

fn claims(team: &Team) -> Claims {
    Claims {
        iss: "https://node".into(),
        sub: "Ada".into(),
        aud: audience(&public(&team.root)),
        team: "Team".into(),
        apk: "x".into(),
        cnf: Confirmation { jwk: Jwk::of(Key([3; 32])) },
        iat: NOW,
        nbf: NOW,
        exp: NOW + TOKEN_SECONDS,
        jti: "1".into(),
        head: Head::EMPTY,
    }
}

/// Signs whatever it is given, as a node with a bug might.
fn sign_any(team: &Team, header: &Value, payload: &Value) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = BASE64URL_NOPAD.encode(&team.signing.sign(input.as_bytes()).to_bytes());
    format!("{input}.{signature}")
}

fn header(team: &Team) -> Value {
    json!({ "alg": "EdDSA", "typ": "JWT", "kid": thumbprint(&public(&team.signing)) })
}

#[test]
fn the_thumbprint_is_that_of_rfc_8037() {
    let key: Key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse().unwrap();
    assert_eq!(thumbprint(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_token_is_fresh_then_stale_then_nothing() {
    let team = team();
    let token = sign_token(&claims(&team), &team.signing).unwrap();
    let at = |now| verify_token(&token, &team.keys, now).map(|(_, badge)| badge);
    let end = NOW + TOKEN_SECONDS;
    for (now, is) in [
        (NOW - 301, Err(TokenError::NotYet)),
        (NOW - 300, Ok(Badge::Fresh)),
        (end + 300, Ok(Badge::Fresh)),
        (end + 301, Ok(Badge::Stale)),
        (end + STALE_SECONDS, Ok(Badge::Stale)),
        (end + STALE_SECONDS + 1, Err(TokenError::Expired)),
        (u64::MAX, Err(TokenError::Expired)),
    ] {
        assert_eq!(at(now), is, "{now}");
    }
}

#[test]
fn case_22_a_claim_that_is_missing_or_of_another_type_is_refused() {
    let team = team();
    let good = serde_json::to_value(claims(&team)).unwrap();
    verify_token(&sign_any(&team, &header(&team), &good), &team.keys, NOW).unwrap();
    for name in good.as_object().unwrap().keys() {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(name);
        let refused = verify_token(&sign_any(&team, &header(&team), &without), &team.keys, NOW);
        assert!(matches!(refused, Err(TokenError::Claim(_))), "{name}");
        for value in [json!(null), json!([]), json!({}), json!(-1), json!(1.5), json!(true)] {
            let mut wrong = good.clone();
            wrong[name] = value;
            assert!(verify_token(&sign_any(&team, &header(&team), &wrong), &team.keys, NOW).is_err(), "{name}: {wrong}");
        }
    }
    for (name, value) in [
        ("iss", json!("https://other")),
        ("aud", json!("conclave:other")),
        ("sub", json!("")),
        ("exp", json!(NOW + TOKEN_SECONDS + 1)),
        ("exp", json!(NOW - 1)),
        ("exp", json!(u64::MAX)),
        ("nbf", json!(NOW + TOKEN_SECONDS + 1)),
        ("cnf", json!({ "jwk": { "kty": "RSA", "crv": "Ed25519", "x": Key([3; 32]) } })),
    ] {
        let mut wrong = good.clone();
        wrong[name] = value;
        let refused = verify_token(&sign_any(&team, &header(&team), &wrong), &team.keys, NOW);
        assert!(matches!(refused, Err(TokenError::Claim(_) | TokenError::NotYet)), "{name}: {refused:?}");
    }
}

#[test]
fn the_header_chooses_nothing() {
    let team = team();
    let good = serde_json::to_value(claims(&team)).unwrap();
    let with = |name: &str, value: Value| {
        let mut header = header(&team);
        header[name] = value;
        verify_token(&sign_any(&team, &header, &good), &team.keys, NOW).map(|_| ())
    };
    assert_eq!(with("alg", json!("Ed25519")), Ok(()), "RFC 9864");
    for alg in ["none", "None", "HS256", "eddsa", "ES256", ""] {
        assert_eq!(with("alg", json!(alg)), Err(TokenError::Algorithm), "{alg}");
    }
    assert_eq!(with("alg", json!(1)), Err(TokenError::Algorithm));
    assert_eq!(with("kid", json!("other")), Err(TokenError::UnknownKey));
    assert_eq!(with("crit", json!(["exp"])), Err(TokenError::Malformed));
    let token = sign_token(&claims(&team), &team.signing).unwrap();
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(verify_token(&String::from_utf8(bytes).unwrap(), &team.keys, NOW).is_err(), "byte {at}");
        assert!(verify_token(&token[..at], &team.keys, NOW).is_err());
    }
    assert_eq!(verify_token(&"a".repeat(MAX_TOKEN + 1), &team.keys, NOW).unwrap_err(), TokenError::Malformed);
}

#[test]
fn a_key_set_is_the_roots_and_never_an_older_one() {
    let team = team();
    let set = sign_key_set("https://node", "Team", 3, &[public(&team.signing)], &team.root).unwrap();
    let root = public(&team.root);
    assert_eq!(KeySet::verify(&set, &root, 4), Err(KeySetError::RolledBack));
    assert_eq!(KeySet::verify(&set, &public(&team.signing), 3), Err(KeySetError::Signature));
    let mut added = set.clone();
    added.keys.push(Jwk::signing(Key([9; 32])));
    assert!(KeySet::verify(&added, &root, 3).unwrap().key(&thumbprint(&Key([9; 32]))).is_none(), "only what is signed counts");
    added.signed.0.push(b' ');
    assert_eq!(KeySet::verify(&added, &root, 3), Err(KeySetError::Signature));
}

#[test]
fn a_proof_is_for_one_request_of_one_device() {
    let key = SigningKey::from_bytes(&[5; 32]);
    let nonce = [7; 16];
    let signature =
        key.sign(&label_input(PROOF_LABEL, &Proof::payload("POST", "/v1/turn", b"{}", "token", 1_000_000, &nonce))).to_bytes();
    let proof = Proof::parse(&Proof { time_ms: 1_000_000, nonce, signature }.header()).unwrap();
    let check = |device: &Key, method: &str, path: &str, body: &[u8], token: &str, now| {
        proof.verify(device, method, path, body, token, now)
    };
    let device = public(&key);
    assert_eq!(check(&device, "POST", "/v1/turn", b"{}", "token", 1_300_000), Ok(()));
    assert_eq!(check(&device, "POST", "/v1/turn", b"{}", "token", 1_300_001), Err(ProofError::Time));
    for (device, method, path, body, token) in [
        (&Key([5; 32]), "POST", "/v1/turn", "{}", "token"),
        (&device, "GET", "/v1/turn", "{}", "token"),
        (&device, "POST", "/v1/turn?", "{}", "token"),
        (&device, "POST", "/v1/turn", "{ }", "token"),
        (&device, "POST", "/v1/turn", "{}", "other"),
    ] {
        assert_eq!(check(device, method, path, body.as_bytes(), token, 1_000_000), Err(ProofError::Signature));
    }
    for bad in ["", ".", "1.2.3", "x.AA.AA", "1.AAAA.AAAA.AAAA"] {
        assert_eq!(Proof::parse(bad), Err(ProofError::Malformed), "{bad}");
    }
}

#[test]
fn a_link_keeps_what_it_says_and_no_password_goes_in_the_clear() {
    let link =
        |url: &str| TeamLink { url: url.into(), root: Key([1; 32]), pin: Some(Key([2; 32])), invite: Some(Bytes(vec![3; 16])) };
    for url in ["https://meet.example.org:7480", "http://127.0.0.1:7480", "http://localhost", "http://[::1]:7480"] {
        assert_eq!(TeamLink::parse(&link(url).to_text()).unwrap(), link(url));
    }
    for url in [
        "http://meet.example.org",
        "http://127.0.0.1.evil.org",
        "ftp://x",
        "https://",
        "https://a/b",
        "https://a@b",
        "http://localhost.evil",
    ] {
        assert!(TeamLink::parse(&link(url).to_text()).is_err(), "{url}");
    }
    let text = link("https://a").to_text();
    assert!(!format!("{:?}", link("https://a")).contains("AwMDAw"));
    (0..text.len()).for_each(|at| assert!(TeamLink::parse(&text[..at]).is_err()));
}
