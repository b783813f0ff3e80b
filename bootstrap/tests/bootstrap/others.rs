//! Other people's programs agree: PyJWT and jwcrypto judge our tokens by our key set as we do, coturn's client uses our TURN.

use std::io::Write;
use std::process::{Command, Stdio};

use conclave_bootstrap_api::TurnReply;
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};

use crate::program::{Program, claims, jwt};
use crate::support::{Place, random};

/// Debian's, for whose packages these are.
const PYTHON: &str = "/usr/bin/python3";

const PYJWT: &str = r#"
import json, sys, jwt
asked = json.load(sys.stdin)
keys = {key.key_id: key.key for key in jwt.PyJWKSet.from_dict(asked["keys"]).keys}
def judge(token):
    try:
        jwt.decode(token, keys[jwt.get_unverified_header(token)["kid"]], algorithms=["EdDSA"], audience=asked["audience"],
                   issuer=asked["issuer"], options={"require": ["exp", "nbf", "iss", "aud", "sub", "jti", "cnf"]})
        return True
    except (jwt.PyJWTError, KeyError):
        return False
print(json.dumps([judge(token) for token in asked["tokens"]]))
"#;

const JWCRYPTO: &str = r#"
import json, sys
from jwcrypto import jwk, jwt, jws
from jwcrypto.common import JWException
asked = json.load(sys.stdin)
keys = jwk.JWKSet.from_json(json.dumps({"keys": asked["keys"]["keys"]}))
required = {"iss": asked["issuer"], "aud": asked["audience"], "sub": None, "jti": None, "cnf": None, "exp": None, "nbf": None}
def judge(token):
    try:
        jwt.JWT(jwt=token, key=keys, algs=["EdDSA"], check_claims=required)
        return True
    except (JWException, ValueError, KeyError):
        return False
print(json.dumps([judge(token) for token in asked["tokens"]]))
"#;

fn judged(script: &str, asked: &Value) -> Vec<bool> {
    let mut child = Command::new(PYTHON).args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Debian's python3-jwt and python3-jwcrypto: make test-full"]
async fn a_token_is_taken_by_pyjwt_and_jwcrypto_and_a_tampered_one_by_neither() {
    let team = Program::start(&[]);
    let (_, token) = team.join("Ada").await;
    let key = team.another_signing_key().await;
    let good = claims(&token);
    let keys: Value =
        team.client().get(format!("{}/.well-known/jwks.json", team.url())).send().await.unwrap().json().await.unwrap();
    let with = |claim: &str, value: Value| {
        let mut claims = good.clone();
        claims[claim] = value;
        jwt(&key, &claims)
    };
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("a token") };
    let header_of = |alg: &str| {
        let mut header: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes()).unwrap()).unwrap();
        header["alg"] = alg.into();
        BASE64URL_NOPAD.encode(header.to_string().as_bytes())
    };
    let mut flipped = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    flipped[40] ^= 1;
    let mut other = good.clone();
    other["sub"] = json!("Eve");
    let hs256 = format!("{}.{payload}", header_of("HS256"));
    let public = BASE64URL_NOPAD.decode(keys["keys"][1]["x"].as_str().unwrap().as_bytes()).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&public).unwrap();
    mac.update(hs256.as_bytes());
    let refused = [
        format!("{header}.{}.{signature}", BASE64URL_NOPAD.encode(other.to_string().as_bytes())),
        format!("{header}.{payload}.{}", BASE64URL_NOPAD.encode(&flipped)),
        format!("{}.{payload}.", header_of("none")),
        format!("{hs256}.{}", BASE64URL_NOPAD.encode(&mac.finalize().into_bytes())),
        with("aud", json!("conclave:somebody else")),
        with("iss", json!("https://elsewhere.example")),
        with("exp", json!(1_000_000_000)),
        with("nbf", json!(good["exp"].as_i64().unwrap() + 10)),
        jwt(&SigningKey::from_bytes(&random()), &good),
    ];
    // The one that the node gave, and what this test signs where nothing is changed: what is refused is refused for its change.
    let tokens: Vec<String> = [token.clone(), jwt(&key, &good)].into_iter().chain(refused).collect();
    let asked = json!({ "keys": keys, "audience": good["aud"], "issuer": good["iss"], "tokens": tokens });
    for (name, script) in [("PyJWT", PYJWT), ("jwcrypto", JWCRYPTO)] {
        let judged = judged(script, &asked);
        let taken: Vec<usize> = judged.iter().enumerate().filter(|(_, taken)| **taken).map(|(n, _)| n).collect();
        assert_eq!((taken, judged.len()), (vec![0, 1], tokens.len()), "{name}");
    }
}

/// Runs coturn's client against a node; what it said, and whether it was content.
fn uclient(turn: &TurnReply, more: &[&str]) -> (bool, String) {
    let (host, port) = turn.urls.iter().find_map(|url| url.strip_prefix("turn:")).unwrap().split_once(':').unwrap();
    let port = port.split('?').next().unwrap();
    let mut command = Command::new("turnutils_uclient");
    command.args(["-u", &turn.username, "-w", &turn.password, "-p", port, "-m", "2", "-n", "20", "-l", "200", "-c"]);
    let output = command.args(more).arg(host).output().expect("turnutils_uclient, of Debian's coturn");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Debian's coturn: make test-full"]
async fn the_client_of_coturn_relays_through_this_node() {
    let team = Program::start(&[("TURN__ENABLED", "true"), ("TURN__LISTEN", "127.0.0.1:0"), ("TURN__EXTERNAL", "127.0.0.1")]);
    let (ada, token) = team.join("Ada").await;
    let turn: TurnReply = ada.ask(team.at(), (Method::POST, "/v1/turn"), &token, None).await.unwrap();
    // Client to client: every message goes through two relayed addresses of this node. By channels, then by Send and Data.
    for more in [&["-y"][..], &["-y", "-s"]] {
        let (content, said) = uclient(&turn, more);
        assert!(content && said.contains("lost packets 0 (0.000000%)"), "{more:?}: {said}");
    }
    let wrong = TurnReply { password: "not it".into(), ..turn };
    assert!(!uclient(&wrong, &["-y"]).0, "without the password nothing is relayed");
}
