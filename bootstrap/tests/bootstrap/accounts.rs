//! One suite over both databases. PostgreSQL's run by `make test-full`, against the server in `CONCLAVE_POSTGRES` (a URL without a
//! database name at its end), which the module starts from Debian's package where the variable is unset.

use conclave_bootstrap_api::{Badge, ChainReply, DevicesReply, Head, RefusalCode, TurnReply, follow, verify_token};
use reqwest::Method;
use serde_json::json;

use crate::support::{Person, Place, Team1, code, now_ms, send};

mod postgres;

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name("").await;
            })*
        }
        mod postgresql {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs Debian's postgresql: make test-full"]
            async fn $name() {
                let server = super::postgres::Postgres::start();
                super::$name(&server.database()).await;
            })*
        }
    };
}

on_both_databases!(
    a_person_registers_logs_in_and_is_verified_offline,
    a_password_brings_another_device,
    an_invite_redeemed_fifty_times_at_once_lets_one_in,
    a_disabled_person_and_a_revoked_device_are_out_at_once,
    the_chain_of_registrations_has_everything_and_its_head_is_in_each_token,
    two_replicas_count_attempts_together_and_share_keys,
    names_differ_by_more_than_case,
);

async fn a_person_registers_logs_in_and_is_verified_offline(database: &str) {
    let team = Team1::start(database).await;
    let link = team.invite(1).await;
    let ada = Person::new("Ada");
    let first = ada.register(&team, &link, None).await.unwrap();
    let keys = team.keys(&link.root).await;
    let again = ada.login(&team, link.root).await.unwrap();
    for token in [first.token.unwrap(), again.token.clone().unwrap()] {
        let (claims, badge) = verify_token(&token, &keys, now_ms() / 1000).unwrap();
        assert_eq!((claims.sub.as_str(), claims.team.as_str(), badge), ("Ada", "Field office", Badge::Fresh));
        assert_eq!(claims.cnf.jwk.ed25519(), Some(ada.device_key()));
        assert_eq!(claims.apk, conclave_bootstrap_api::thumbprint(&ada.account_key()));
    }
    let at = (&team.client, team.url.as_str());
    let turn: TurnReply = ada.ask(at, (Method::POST, "/v1/turn"), &again.token.unwrap(), None).await.unwrap();
    assert!(turn.ttl_s <= 600 && turn.username.split_once(':').unwrap().0.parse::<u64>().unwrap() <= now_ms() / 1000 + 600);
    // Somebody whom no invite let in.
    assert_eq!(code(Person::new("Eve").login(&team, link.root).await), (401, RefusalCode::Unauthorized));
    assert_eq!(code(Person::new("Eve").register(&team, &link, None).await), (403, RefusalCode::InviteInvalid));
    team.server.shutdown().await;
}

async fn a_password_brings_another_device(database: &str) {
    let team = Team1::start(database).await;
    let link = team.invite(1).await;
    let ada = Person::new("Ada");
    ada.register(&team, &link, Some("correct horse")).await.unwrap();
    // On the same device a password gives a token.
    assert!(ada.login_by_password(&team, link.root, "correct horse").await.unwrap().unwrap().token.is_some());
    assert!(ada.login_by_password(&team, link.root, "wrong horse").await.is_none(), "the client sees it");
    // On another one it gives the backup and a ticket, and the account key says yes.
    let phone = Person { device: Person::new("x").device, ..ada.clone() };
    let reply = phone.login_by_password(&team, link.root, "correct horse").await.unwrap().unwrap();
    assert_eq!((reply.token, reply.backup.unwrap().0), (None, b"sealed".to_vec()));
    let ticket = reply.ticket.unwrap();
    let thief = Person { account: Person::new("x").account, ..phone.clone() };
    assert_eq!(code(thief.add_device(&team, link.root, ticket.clone()).await), (401, RefusalCode::Unauthorized));
    assert_eq!(
        code(phone.add_device(&team, link.root, ticket).await),
        (401, RefusalCode::Unauthorized),
        "a ticket is for one attempt"
    );
    let ticket = phone.login_by_password(&team, link.root, "correct horse").await.unwrap().unwrap().ticket.unwrap();
    let token = phone.add_device(&team, link.root, ticket).await.unwrap().token.unwrap();
    let at = (&team.client, team.url.as_str());
    let devices: DevicesReply = phone.ask(at, (Method::GET, "/v1/devices"), &token, None).await.unwrap();
    assert_eq!(devices.devices.iter().map(|device| device.label.as_str()).collect::<Vec<_>>(), ["laptop", "phone"]);
    team.server.shutdown().await;
}

async fn an_invite_redeemed_fifty_times_at_once_lets_one_in(database: &str) {
    let team = Team1::start(database).await;
    let link = team.invite(1).await;
    let people: Vec<Person> = (0..50).map(|n| Person::new(&format!("person {n}"))).collect();
    let answers = futures::future::join_all(people.iter().map(|person| person.register(&team, &link, None))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    // Refused for the invite, or, from one address, for their number.
    assert!(answers.into_iter().filter(Result::is_err).map(code).all(|(status, _)| [403, 429].contains(&status)));
    assert_eq!(team.server.users().await.unwrap().len(), 1);
    team.server.shutdown().await;
}

async fn a_disabled_person_and_a_revoked_device_are_out_at_once(database: &str) {
    let team = Team1::start(database).await;
    let (ada, token) = team.join("Ada").await;
    let root = team.invite(1).await.root;
    let at = (&team.client, team.url.as_str());
    let devices =
        async |person: &Person, token: &str| person.ask::<DevicesReply>(at, (Method::GET, "/v1/devices"), token, None).await;
    assert_eq!(devices(&ada, &token).await.unwrap().devices.len(), 1);
    assert!(team.server.set_disabled("ada", true).await.unwrap());
    assert_eq!(code(devices(&ada, &token).await), (401, RefusalCode::Unauthorized));
    assert_eq!(code(ada.login(&team, root).await), (401, RefusalCode::Unauthorized));
    assert!(team.server.set_disabled("ada", false).await.unwrap());
    assert!(devices(&ada, &token).await.is_ok());
    let body = json!({ "device": ada.device_key() });
    let revoked: DevicesReply = ada.ask(at, (Method::POST, "/v1/devices/revoke"), &token, Some(body)).await.unwrap();
    assert!(revoked.devices[0].revoked);
    assert_eq!(code(devices(&ada, &token).await), (401, RefusalCode::Unauthorized));
    assert_eq!(code(ada.login(&team, root).await), (401, RefusalCode::Unauthorized));
    team.server.shutdown().await;
}

async fn the_chain_of_registrations_has_everything_and_its_head_is_in_each_token(database: &str) {
    let team = Team1::start(database).await;
    let (ada, _) = team.join("Ada").await;
    let (bob, token) = team.join("Bob").await;
    team.server.set_disabled("Ada", true).await.unwrap();
    let at = (&team.client, team.url.as_str());
    let reply: ChainReply = bob.ask(at, (Method::GET, "/v1/chain?after=0"), &token, None).await.unwrap();
    let followed = follow(Head::EMPTY, &reply.entries).unwrap();
    assert_eq!(followed.last().unwrap().1, reply.head);
    let said: Vec<_> = followed.iter().map(|(entry, _)| (entry.name.as_str(), entry.account)).collect();
    assert_eq!(said, [("Ada", ada.account_key()), ("Bob", bob.account_key()), ("Ada", ada.account_key())]);
    let keys = team.keys(&team.invite(1).await.root).await;
    let (claims, _) = verify_token(&token, &keys, now_ms() / 1000).unwrap();
    assert_eq!(claims.head, followed[1].1, "the head when Bob's token was made");
    // What was left out or changed is seen.
    assert!(follow(Head::EMPTY, &reply.entries[1..]).is_err());
    let mut changed = reply.entries.clone();
    changed[0].0 = String::from_utf8(changed[0].0.clone()).unwrap().replace("Ada", "Eve").into_bytes();
    assert!(follow(Head::EMPTY, &changed).is_err());
    team.server.shutdown().await;
}

async fn two_replicas_count_attempts_together_and_share_keys(database: &str) {
    let team = Team1::start(database).await;
    let (ada, token) = team.join("Ada").await;
    let other = conclave_bootstrap::Server::bind(&team.config).await.unwrap();
    let url = format!("http://{}", other.address());
    ada.ask::<DevicesReply>((&team.client, &url), (Method::GET, "/v1/devices"), &token, None).await.unwrap();
    let bob = Person::new("Bob");
    let mut statuses = Vec::new();
    for n in 0..8 {
        let at = if n % 2 == 0 { &team.url } else { &url };
        statuses.push(bob.login_start((&team.client, at), "guess").await.map_or_else(|(status, _)| status.as_u16(), |_| 200));
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429], "five of one name, whichever replica is asked");
    other.shutdown().await;
    team.server.shutdown().await;
}

async fn names_differ_by_more_than_case(database: &str) {
    let team = Team1::start(database).await;
    team.join("Ada").await;
    let link = team.invite(1).await;
    assert_eq!(code(Person::new(" aDA ").register(&team, &link, None).await), (409, RefusalCode::NameTaken));
    // The invite was not used up by it.
    Person::new("Bob").register(&team, &link, None).await.unwrap();
    assert_eq!(code(Person::new("").register(&team, &team.invite(1).await, None).await), (400, RefusalCode::BadRequest));
    team.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_before_a_rotation_is_good_and_one_of_another_team_is_not() {
    let team = Team1::start("").await;
    let (ada, token) = team.join("Ada").await;
    let at = (&team.client, team.url.as_str());
    let asks = || ada.ask::<DevicesReply>(at, (Method::GET, "/v1/devices"), &token, None);
    crate::command::run(&team, &["keys", "rotate", "--root-key", team.dir.path().join("root.key").to_str().unwrap()]);
    asks().await.unwrap();
    let root = team.invite(1).await.root;
    // What a replica that has not looked yet knows nothing of costs one look.
    let newer = ada.login(&team, root).await.unwrap().token.unwrap();
    ada.ask::<DevicesReply>(at, (Method::GET, "/v1/devices"), &newer, None).await.unwrap();
    let keys = team.keys(&root).await;
    assert_eq!(keys.serial, 2);
    verify_token(&token, &keys, now_ms() / 1000).unwrap();
    let other = Team1::start("").await;
    let (eve, foreign) = other.join("Ada").await;
    let proof = eve.proof("GET", "/v1/devices", b"", &foreign, now_ms());
    let answer = send::<DevicesReply>(&team.client, &team.url, (Method::GET, "/v1/devices"), &foreign, &proof, Vec::new()).await;
    assert_eq!(code(answer), (401, RefusalCode::Unauthorized));
    other.server.shutdown().await;
    team.server.shutdown().await;
}
