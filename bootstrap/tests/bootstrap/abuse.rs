//! The abuse cases of HTTP and of login, by number, against the program itself. Each asserts three things: the process lives, its memory
//! stayed under its ceiling, and an honest person is still served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use conclave_bootstrap_api::{DevicesReply, RefusalCode};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::json;

use crate::program::{Program, claims, jwt};
use crate::support::{Person, Place, code, now_ms, send};

/// The three things.
async fn is_well(team: &mut Program, person: &Person, token: &str) {
    person.ask::<DevicesReply>(team.at(), (Method::GET, "/v1/devices"), token, None).await.unwrap();
    team.lives_within_its_ceiling();
}

async fn shows(team: &Program, person: &Person, token: &str, time_ms: u64) -> (u16, RefusalCode) {
    let proof = person.proof("GET", "/v1/devices", b"", token, time_ms);
    code(send::<DevicesReply>(team.client(), team.url(), (Method::GET, "/v1/devices"), token, &proof, Vec::new()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn case_07_a_request_that_never_ends_is_cut_while_others_are_served() {
    let mut team = Program::start(&[]);
    let (ada, token) = team.join("Ada").await;
    let address = team.http;
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
    is_well(&mut team, &ada, &token).await;
    for took in slow.await.unwrap() {
        assert!(took < Duration::from_secs(15), "{took:?}");
    }
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_08_connections_beyond_the_cap_are_closed_and_room_comes_back() {
    let mut team = Program::start(&[("HTTP__MAX_CONNECTIONS", "8")]);
    let (ada, token) = team.join("Ada").await;
    let address = team.http;
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
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_21_a_token_without_a_signature_or_under_the_public_key_is_refused() {
    let mut team = Program::start(&[]);
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
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_22_a_claim_that_is_missing_or_of_another_type_is_refused() {
    let mut team = Program::start(&[]);
    let (ada, token) = team.join("Ada").await;
    // By a key of the team: what is wrong is the claims, and nothing else.
    let (key, claims) = (team.another_signing_key().await, claims(&token));
    for claim in ["iss", "sub", "aud", "team", "apk", "cnf", "iat", "nbf", "exp", "jti", "head"] {
        let mut missing = claims.clone();
        missing.as_object_mut().unwrap().remove(claim).unwrap();
        let mut wrong = claims.clone();
        wrong[claim] = if claims[claim].is_string() { json!(7) } else { json!("seven") };
        for claims in [missing, wrong] {
            let forged = jwt(&key, &claims);
            assert_eq!(shows(&team, &ada, &forged, now_ms()).await, (401, RefusalCode::Unauthorized), "{claim}: {claims}");
        }
    }
    // With the claims as they were it is taken.
    let again = jwt(&key, &claims);
    is_well(&mut team, &ada, &again).await;
    for (claim, off) in [("exp", -10_i64), ("nbf", 400), ("iat", 400)] {
        let mut off_claims = claims.clone();
        off_claims[claim] =
            json!(if claim == "exp" { claims["iat"].as_i64().unwrap() + off } else { now_ms() as i64 / 1000 + off });
        let forged = jwt(&key, &off_claims);
        assert_eq!(shows(&team, &ada, &forged, now_ms()).await.0, 401, "{claim}");
    }
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_23_a_clock_that_is_off_is_told_the_time() {
    let mut team = Program::start(&[]);
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
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_24_a_token_from_another_device_is_worth_nothing() {
    let mut team = Program::start(&[]);
    let (ada, token) = team.join("Ada").await;
    let (eve, _) = team.join("Eve").await;
    assert_eq!(shows(&team, &eve, &token, now_ms()).await, (401, RefusalCode::Unauthorized));
    // A proof is for one request.
    let proof = ada.proof("GET", "/v1/devices", b"", &token, now_ms());
    for (method, path, body) in [(Method::GET, "/v1/backup", ""), (Method::POST, "/v1/devices/revoke", "{}")] {
        let answer = send::<serde_json::Value>(team.client(), team.url(), (method, path), &token, &proof, body.into()).await;
        assert_eq!(code(answer), (401, RefusalCode::Unauthorized), "{path}");
    }
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_25_a_key_that_nobody_knows_costs_one_look_and_is_refused() {
    let mut team = Program::start(&[]);
    let (ada, token) = team.join("Ada").await;
    let rest = token.split_once('.').unwrap().1;
    let header = BASE64URL_NOPAD.encode(br#"{"alg":"EdDSA","kid":"nobody"}"#);
    assert_eq!(shows(&team, &ada, &format!("{header}.{rest}"), now_ms()).await, (401, RefusalCode::Unauthorized));
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_26_an_invite_redeemed_fifty_times_at_once_lets_one_in() {
    let mut team = Program::start(&[]);
    let (ada, token) = team.join("Ada").await;
    let link = team.invite(1).await;
    let people: Vec<Person> = (0..50).map(|n| Person::new(&format!("person {n}"))).collect();
    let answers = futures::future::join_all(people.iter().map(|person| person.register(&team, &link, None))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.into_iter().filter(Result::is_err).map(code).all(|(status, _)| [403, 429].contains(&status)));
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_27_guessing_is_stopped_and_a_name_that_nobody_has_answers_alike() {
    let mut team = Program::start(&[]);
    let link = team.invite(1).await;
    let ada = Person::new("Ada");
    let token = ada.register(&team, &link, Some("correct horse")).await.unwrap().token.unwrap();
    let nobody = Person::new("Nobody");
    let at = (team.client(), team.url());
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
    // The first half of setting a password evaluates one as well: it is no way round.
    let eve = Person { name: "Ada".into(), ..Person::new("Eve") };
    let mut evaluated = 0;
    for _ in 0..10 {
        let started =
            opaque_ke::ClientRegistration::<conclave_bootstrap_api::Suite>::start(&mut opaque_ke::rand::rngs::OsRng, b"guess");
        let request = conclave_bootstrap_api::Bytes(started.unwrap().message.serialize().to_vec());
        let body = json!({ "name": eve.name, "request": request });
        evaluated += usize::from(team.post::<serde_json::Value>("/v1/opaque/register", &body).await.is_ok());
    }
    assert!(evaluated <= 5, "{evaluated}");
    // From one address there is an end to it too, whatever the names.
    let mut refused = 0;
    for n in 0..20 {
        refused += usize::from(Person::new(&format!("name {n}")).login_start(at, "guess").await.is_err());
    }
    assert!(refused >= 8, "{refused}");
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_or_no_json_is_refused_in_words() {
    let mut team = Program::start(&[]);
    let (ada, token) = team.join("Ada").await;
    // The node closes the connection of a body that it does not read to its end: the next request must not be sent on it.
    let post = |body: Vec<u8>| {
        let request = team.client().post(format!("{}/v1/login/start", team.url()));
        request.header("connection", "close").body(body).send()
    };
    assert_eq!(post(vec![b'x'; 1024 * 1024]).await.unwrap().status(), 413);
    for body in ["", "{", "[]", "null", r#"{"name":1,"request":"AA"}"#, r#"{"name":"a","request":"!"}"#] {
        let answer = post(body.into()).await.unwrap();
        assert_eq!(answer.status(), 400, "{body}");
        assert!(!answer.text().await.unwrap().contains("line 1"), "no internals");
    }
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_28_a_flood_of_logins_is_shed_and_memory_stays_flat() {
    let mut team = Program::start(&[("HTTP__MAX_LOGINS", "2"), ("HTTP__TRUSTED_PROXIES", "[\"127.0.0.1\"]")]);
    let link = team.invite(1).await;
    let ada = Person::new("Ada");
    let token = ada.register(&team, &link, Some("correct horse")).await.unwrap().token.unwrap();
    let before = team.rss_mib();
    let start =
        opaque_ke::ClientLogin::<conclave_bootstrap_api::Suite>::start(&mut opaque_ke::rand::rngs::OsRng, b"guess").unwrap();
    let request = conclave_bootstrap_api::Bytes(start.message.serialize().to_vec());
    // Each from an address and for a name of its own: no limit of attempts holds them back.
    let flood = (0..800_u32).map(|n| {
        let body = json!({ "name": format!("name {n}"), "request": request });
        let request = team.client().post(format!("{}/v1/login/start", team.url())).json(&body);
        let from = std::net::Ipv4Addr::from(0x0b00_0000 + n * 256);
        async move {
            let answer = request.header("x-forwarded-for", from.to_string()).send().await.ok()?;
            Some((answer.status().as_u16(), answer.headers().contains_key("retry-after")))
        }
    });
    let answers: Vec<(u16, bool)> = futures::future::join_all(flood).await.into_iter().flatten().collect();
    let served = answers.iter().filter(|(status, _)| *status == 200).count();
    let shed = answers.iter().filter(|answer| **answer == (503, true)).count();
    assert!(served > 0 && shed > 0 && served + shed == answers.len(), "{served} served, {shed} shed of {}", answers.len());
    assert!(team.rss_mib() < before + 48.0, "{} MiB before, {} after", before, team.rss_mib());
    assert!(ada.login_by_password(&team, link.root, "correct horse").await.unwrap().unwrap().token.is_some());
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_07_a_tls_handshake_that_never_ends_is_cut_while_others_are_served() {
    let mut team = Program::start_tls();
    let (ada, token) = team.join("Ada").await;
    let address = team.http;
    let slow = tokio::task::spawn_blocking(move || {
        let mut half = TcpStream::connect(address).unwrap();
        // The head of a ClientHello, and no more of it.
        half.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).unwrap();
        let silent = TcpStream::connect(address).unwrap();
        let began = Instant::now();
        [half, silent].map(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let ended = stream.read_to_end(&mut Vec::new());
            assert!(ended.is_ok() || ended.unwrap_err().kind() == std::io::ErrorKind::ConnectionReset);
            began.elapsed()
        })
    });
    is_well(&mut team, &ada, &token).await;
    for took in slow.await.unwrap() {
        assert!(took < Duration::from_secs(15), "{took:?}");
    }
    is_well(&mut team, &ada, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_so_many_devices_and_no_more() {
    let mut team = Program::start(&[("HTTP__TRUSTED_PROXIES", "[\"127.0.0.1\"]")]);
    let link = team.invite(1).await;
    let ada = Person::new("Ada");
    let token = ada.register(&team, &link, Some("correct horse")).await.unwrap().token.unwrap();
    let added = team.add_devices(&ada, link.root, 40).await;
    assert_eq!(added.len(), 31, "with the first one 32");
    let devices: DevicesReply = ada.ask(team.at(), (Method::GET, "/v1/devices"), &token, None).await.unwrap();
    assert_eq!(devices.devices.len(), 32);
    let body = json!({ "device": added[0].device_key() });
    ada.ask::<DevicesReply>(team.at(), (Method::POST, "/v1/devices/revoke"), &token, Some(body)).await.unwrap();
    assert_eq!(team.add_devices(&ada, link.root, 2).await.len(), 1, "one that is revoked makes room");
    is_well(&mut team, &ada, &token).await;
}
