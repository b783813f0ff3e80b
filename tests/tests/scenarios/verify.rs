//! The codes that people compare, the marks, and a key that changed, between processes on loopback.

use conclave_node::command::Command;
use conclave_node::view::{LinkState, RoomView, VerificationView};
use conclave_protocol::id::{DeviceId, RoomId};
use conclave_tests::peer::Peer;

use crate::calls::{join, meet, person};
use crate::loopback;

#[tokio::test]
async fn all_in_a_session_see_one_call_code_and_why_it_changed() {
    let mut people = vec![loopback("Ada").await, loopback("Ben").await];
    let room = meet(&mut people).await;
    let seen = code_of(&mut people[0], room, 2).await;
    assert_eq!(code_of(&mut people[1], room, 2).await, seen);
    assert_eq!(seen.bytes().filter(u8::is_ascii_digit).count(), 30);

    let link = people[0].invite(room, 1).await.unwrap();
    let mut cleo = loopback("Cleo").await;
    cleo.join(&link, None).await.unwrap();
    let with_cleo = code_of(&mut cleo, room, 3).await;
    assert_ne!(with_cleo, seen);
    let view = people[0]
        .wait_room(room, "the code with Cleo", |view| view.call_code.as_ref().is_some_and(|code| code.code == with_cleo))
        .await
        .unwrap();
    assert_eq!(view.call_code.unwrap().joined, ["Cleo"]);
    assert_eq!(view.session.people, 3);

    cleo.stop().await.unwrap();
    let without = |view: &RoomView| view.call_code.as_ref().is_some_and(|code| code.left == ["Cleo"]);
    let view = people[1].wait_room(room, "the code without Cleo", without).await.unwrap();
    assert_ne!(view.call_code.unwrap().code, with_cleo);
}

#[tokio::test]
async fn two_people_compare_a_code_scan_it_and_keep_the_mark() {
    let mut people = vec![loopback("Ada").await, loopback("Ben").await];
    let room = meet(&mut people).await;
    let (ada, ben) = (people[0].device(), people[1].device());
    let here = verification(&mut people[0], room, ben).await;
    let there = verification(&mut people[1], room, ada).await;
    assert_eq!((&here.code, &here.link), (&there.code, &there.link));
    assert_eq!(here.code.bytes().filter(u8::is_ascii_digit).count(), 45);
    assert_eq!((here.verified_ms, here.key_changed, here.history.len()), (None, false, 1));

    let scan = |scanned: &str| Command::VerifyConfirm { room, device: ben, scanned: Some(scanned.to_owned()) };
    let forged =
        conclave_protocol::codes::PairwiseCode::new(people[0].profile.account, here_is_eve()).unwrap().link().to_string();
    for (scanned, code) in
        [(forged.as_str(), "code_mismatch"), ("hello", "link_invalid"), ("conclave://verify/1#a", "link_damaged")]
    {
        assert_eq!(people[0].ask(scan(scanned)).await.unwrap().unwrap_err().code, code);
    }
    assert_eq!(verified(&mut people[0], room, ben).await, None, "what is refused leaves no mark");
    people[0].request(scan(&there.link)).await.unwrap();
    assert!(verified(&mut people[0], room, ben).await.is_some());
    assert_eq!(verified(&mut people[1], room, ada).await, None, "a mark is of the one who made it");
    let oneself = people[0].ask(Command::VerifyConfirm { room, device: ada, scanned: None }).await.unwrap().unwrap_err();
    assert_eq!(oneself.code, "bad_request");

    let mut first = people.swap_remove(0);
    first.kill().await.unwrap();
    let mut first = first.restart(None).await.unwrap();
    assert!(verified(&mut first, room, ben).await.is_some(), "a mark survives");
    first.request(Command::VerifyClear { room, device: ben }).await.unwrap();
    assert_eq!(verified(&mut first, room, ben).await, None);
}

#[tokio::test]
async fn another_key_under_a_known_name_gets_no_media_until_it_is_accepted() {
    let mut people = vec![loopback("Ada").await, loopback("Ben").await, loopback("Ben").await];
    let room = people[0].create_room("Call", false).await.unwrap();
    // One after the other, so that one of the two is the first of the name.
    for index in 1..3 {
        let link = people[0].invite(room, 1).await.unwrap();
        people[index].join(&link, None).await.unwrap();
    }
    let (first, second) = (people[1].device(), people[2].device());
    let view = people[0].wait_room(room, "three members", |view| view.members.len() == 3).await.unwrap();
    let changed = |view: &RoomView, device| view.members.iter().any(|member| member.device == device && member.key_changed);
    assert!(!changed(&view, first) && changed(&view, second));
    assert_eq!(verification(&mut people[0], room, second).await.history.len(), 2);

    for index in [0, 2] {
        people[index].wait_room(room, "a session of three", |view| view.session.people == 3).await.unwrap();
        people[index].request(join(room, "test:320x180@10")).await.unwrap();
    }
    person(&mut people[0], second, "blocked", |person| person.link == LinkState::KeyChanged).await;
    people[0].request(Command::VerifyAccept { room, device: second }).await.unwrap();
    person(&mut people[0], second, "media after accepting", |person| person.link == LinkState::Connected).await;
    assert!(!changed(&people[0].room(room).await.unwrap(), second));
    assert_eq!(verified(&mut people[0], room, second).await, None, "accepted is not verified");
}

fn here_is_eve() -> conclave_protocol::id::AccountId {
    conclave_protocol::id::AccountId([7; 32])
}

async fn code_of(peer: &mut Peer, room: RoomId, people: u32) -> String {
    let stands = |view: &RoomView| view.session.people == people && view.call_code.is_some();
    peer.wait_room(room, "a call code", stands).await.unwrap().call_code.unwrap().code
}

async fn verification(peer: &mut Peer, room: RoomId, device: DeviceId) -> VerificationView {
    let answer = peer.request(Command::VerifyShow { room, device }).await.unwrap();
    serde_json::from_value(answer["verification"].clone()).unwrap()
}

async fn verified(peer: &mut Peer, room: RoomId, device: DeviceId) -> Option<u64> {
    peer.room(room).await.unwrap().members.into_iter().find(|member| member.device == device).unwrap().verified_ms
}
