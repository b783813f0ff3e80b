//! The abuse cases of HTTP and of login, by number. After each, an honest person is still served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use conclave_bootstrap_api::{DevicesReply, RefusalCode};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::json;

use crate::support::{Person, Team1, code, config, now_ms, send};

async fn is_served(team: &Team1, person: &Person, token: &str) {
    person.ask::<DevicesReply>((&team.client, &team.url), (Method::GET, "/v1/devices"), token, None).await.unwrap();
}

async fn shows(team: &Team1, person: &Person, token: &str, time_ms: u64) -> (u16, RefusalCode) {
    let proof = person.proof("GET", "/v1/devices", b"", token, time_ms);
    code(send::<DevicesReply>(&team.client, &team.url, (Method::GET, "/v1/devices"), token, &proof, Vec::new()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn case_07_a_request_that_never_ends_is_cut_while_others_are_served() {
    let team = Team1::start("").await;
    let (ada, token) = team.join("Ada").await;
    let address = team.server.address();
    let slow = tokio::task::spawn_blocking(move || {
        let mut head = TcpStream::connect(address).unwrap();
        head.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
        let mut body = TcpStream::connect(address).unwrap();
        body.write_all(b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{").unwrap();
        let began = Instant::now();
        [head, body].map(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut rest = Vec::new();
            // An answer or none: what counts is that it ends.
            let ended = stream.read_to_end(&mut rest);
            assert!(ended.is_ok() || ended.unwrap_err().kind() == std::io::ErrorKind::ConnectionReset);
            began.elapsed()
        })
    });
    is_served(&team, &ada, &token).await;
    for took in slow.await.unwrap() {
        assert!(took < Duration::from_secs(15), "{took:?}");
    }
    is_served(&team, &ada, &token).await;
    team.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_08_connections_beyond_the_cap_are_closed_and_room_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir, "");
    config.http.max_connections = 8;
    conclave_bootstrap::initialise(&config, &dir.path().join("root.key")).await.unwrap();
    let team = Team1::bind(config, dir).await;
    let (ada, token) = team.join("Ada").await;
    let address = team.server.address();
    let held = tokio::task::spawn_blocking(move || {
        let mut streams: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
        // Closed at once, but for the few that there is room for.
        let closed = streams.iter_mut().rev().take(100).filter(|stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut stream: &TcpStream = stream;
            match stream.read(&mut [0]) {
                Ok(bytes) => bytes == 0,
                Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        });
        (closed.count(), streams)
    });
    let (closed, streams) = held.await.unwrap();
    assert_eq!(closed, 100);
    drop(streams);
    is_served(&team, &ada, &token).await;
    team.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_21_a_token_without_a_signature_or_under_the_public_key_is_refused() {
    let team = Team1::start("").await;
    let (ada, token) = team.join("Ada").await;
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("a token") };
    let header: serde_json::Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes()).unwrap()).unwrap();
    let with = |alg: &str| {
        let mut header = header.clone();
        header["alg"] = alg.into();
        format!("{}.{payload}", BASE64URL_NOPAD.encode(header.to_string().as_bytes()))
    };
    let root = team.invite(1).await.root;
    let public = team.keys(&root).await.key(header["kid"].as_str().unwrap()).unwrap();
    let hs256 = with("HS256");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&public.0).unwrap();
    mac.update(hs256.as_bytes());
    let hs256 = format!("{hs256}.{}", BASE64URL_NOPAD.encode(&mac.finalize().into_bytes()));
    let none = with("none");
    for forged in
        [format!("{none}."), format!("{none}.{signature}"), hs256, with("ES256") + "." + signature, "a.b.c".into(), "..".into()]
    {
        assert_eq!(shows(&team, &ada, &forged, now_ms()).await, (401, RefusalCode::Unauthorized), "{forged}");
    }
    is_served(&team, &ada, &token).await;
    team.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_23_a_clock_that_is_off_is_told_the_time() {
    let team = Team1::start("").await;
    let (ada, token) = team.join("Ada").await;
    let off = 301_000;
    for time in [now_ms() - off, now_ms() + off] {
        assert_eq!(shows(&team, &ada, &token, time).await, (401, RefusalCode::Clock));
    }
    let root = team.invite(1).await.root;
    let request = json!({ "root": root, "device": ada.device_key(), "time_ms": now_ms() + off, "nonce": "AAAA" });
    let answer = team.post::<serde_json::Value>("/v1/login", &ada.signed("conclave/login/1", &request)).await.unwrap_err();
    assert_eq!(answer.1.code, RefusalCode::Clock);
    assert!(answer.1.time_ms.abs_diff(now_ms()) < 60_000);
    is_served(&team, &ada, &token).await;
    team.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_24_a_token_from_another_device_is_worth_nothing() {
    let team = Team1::start("").await;
    let (ada, token) = team.join("Ada").await;
    let (eve, _) = team.join("Eve").await;
    assert_eq!(shows(&team, &eve, &token, now_ms()).await, (401, RefusalCode::Unauthorized));
    // A proof is for one request.
    let proof = ada.proof("GET", "/v1/devices", b"", &token, now_ms());
    for (method, path, body) in [(Method::GET, "/v1/backup", ""), (Method::POST, "/v1/devices/revoke", "{}")] {
        let answer = send::<serde_json::Value>(&team.client, &team.url, (method, path), &token, &proof, body.into()).await;
        assert_eq!(code(answer), (401, RefusalCode::Unauthorized), "{path}");
    }
    is_served(&team, &ada, &token).await;
    team.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_25_a_key_that_nobody_knows_costs_one_look_and_is_refused() {
    let team = Team1::start("").await;
    let (ada, token) = team.join("Ada").await;
    let rest = token.split_once('.').unwrap().1;
    let header = BASE64URL_NOPAD.encode(br#"{"alg":"EdDSA","kid":"nobody"}"#);
    assert_eq!(shows(&team, &ada, &format!("{header}.{rest}"), now_ms()).await, (401, RefusalCode::Unauthorized));
    is_served(&team, &ada, &token).await;
    team.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_27_guessing_is_stopped_and_a_name_that_nobody_has_answers_alike() {
    let team = Team1::start("").await;
    let link = team.invite(1).await;
    let ada = Person::new("Ada");
    let token = ada.register(&team, &link, Some("correct horse")).await.unwrap().token.unwrap();
    let nobody = Person::new("Nobody");
    let at = (&team.client, team.url.as_str());
    let (_, known) = ada.login_start(at, "guess").await.unwrap();
    let (state, unknown) = nobody.login_start(at, "guess").await.unwrap();
    assert_eq!((known.response.0.len(), known.login.0.len()), (unknown.response.0.len(), unknown.login.0.len()));
    let opened = opaque_ke::CredentialResponse::deserialize(&unknown.response.0).unwrap();
    assert!(state.finish(&mut opaque_ke::rand::rngs::OsRng, b"guess", opened, Default::default()).is_err());
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(nobody.login_start(at, "guess").await.map_or_else(|(status, _)| status.as_u16(), |_| 200));
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
    // From one address there is an end to it too, whatever the names.
    let mut refused = 0;
    for n in 0..20 {
        refused += usize::from(Person::new(&format!("name {n}")).login_start(at, "guess").await.is_err());
    }
    assert!(refused >= 8, "{refused}");
    is_served(&team, &ada, &token).await;
    team.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_or_no_json_is_refused_in_words() {
    let team = Team1::start("").await;
    let (ada, token) = team.join("Ada").await;
    // The node closes the connection of a body that it does not read to its end: the next request must not be sent on it.
    let post = |body: Vec<u8>| {
        let request = team.client.post(format!("{}/v1/login/start", team.url));
        request.header("connection", "close").body(body).send()
    };
    assert_eq!(post(vec![b'x'; 1024 * 1024]).await.unwrap().status(), 413);
    for body in ["", "{", "[]", "null", r#"{"name":1,"request":"AA"}"#, r#"{"name":"a","request":"!"}"#] {
        let answer = post(body.into()).await.unwrap();
        assert_eq!(answer.status(), 400, "{body}");
        assert!(!answer.text().await.unwrap().contains("line 1"), "no internals");
    }
    is_served(&team, &ada, &token).await;
    team.server.shutdown().await;
}
