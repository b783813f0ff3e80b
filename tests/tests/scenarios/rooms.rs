//! Rooms, admission and chat between processes on loopback.

use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::{JoinView, RoleView, SpokenEndView, SpokenView};
use conclave_protocol::id::OpHash;

use crate::{loopback, on_loopback};
use conclave_tests::peer::Peer;

#[tokio::test]
async fn an_admin_sees_who_knocks_with_the_same_code_and_lets_them_in() {
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Approval", true).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    ben.request(Command::RoomJoin { link, address: None }).await.unwrap();
    let knock = ada
        .wait("a knock", |event| match event {
            Event::KnockReceived { knock, .. } => Some(knock.clone()),
            _ => None,
        })
        .await
        .unwrap();
    assert_eq!((knock.name.as_str(), knock.device), ("Ben", ben.device()));
    let code = ben
        .wait("to be told that an admin was asked", |event| match event {
            Event::JoinProgress { join: JoinView::Waiting { code, .. } } => Some(code.clone()),
            _ => None,
        })
        .await
        .unwrap();
    assert_eq!(code, knock.code, "both screens show one code");
    assert_eq!(ada.room(room).await.unwrap().members.len(), 1, "nobody is in before an admin says so");
    ada.request(Command::RoomApprove { room, device: ben.device() }).await.unwrap();
    ben.wait("admission", |event| matches!(event, Event::JoinProgress { join: JoinView::Joined { .. } }).then_some(()))
        .await
        .unwrap();
    ben.wait_room(room, "both members", |view| view.members.len() == 2).await.unwrap();
    ada.say(room, "welcome").await.unwrap();
    ben.wait_message(room, "welcome").await.unwrap();
}

#[tokio::test]
async fn a_knock_that_is_refused_ends_the_join() {
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Approval", true).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    ben.request(Command::RoomJoin { link, address: None }).await.unwrap();
    ada.wait("a knock", |event| matches!(event, Event::KnockReceived { .. }).then_some(())).await.unwrap();
    ada.request(Command::RoomRefuse { room, device: ben.device() }).await.unwrap();
    assert_eq!(failure(&mut ben).await, "refused");
    assert_eq!(ada.room(room).await.unwrap().members.len(), 1);
}

#[tokio::test]
async fn each_kind_of_wrong_link_gets_its_own_code() {
    let (mut ada, mut ben, mut cleo) = (loopback("Ada").await, loopback("Ben").await, loopback("Cleo").await);
    let room = ada.create_room("Links", false).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    let mut at = async |link: String| {
        ben.ask(Command::RoomJoin { link, address: None }).await.unwrap().expect_err("no such link may be taken").code
    };
    assert_eq!(at("https://example.org/".into()).await, "link_invalid");
    assert_eq!(at(String::new()).await, "link_invalid");
    assert_eq!(at(link.replace("/join/1#", "/join/9#")).await, "link_version");
    let (head, tail) = link.split_at(link.len() - 7);
    let other = if tail.starts_with('A') { 'B' } else { 'A' };
    assert_eq!(at(format!("{head}{other}{}", &tail[1..])).await, "link_damaged");
    assert_eq!(at(link[..link.len() - 3].to_owned()).await, "link_damaged");
    ben.join(&link, None).await.unwrap();
    cleo.request(Command::RoomJoin { link, address: None }).await.unwrap();
    assert_eq!(failure(&mut cleo).await, "link_used_up");
}

#[tokio::test]
async fn nobody_found_tells_what_was_tried() {
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Gone", false).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    assert_eq!(ada.stop().await.unwrap(), Some(0));
    ben.request(Command::RoomJoin { link, address: None }).await.unwrap();
    let tried = ben
        .wait("to be told what was tried", |event| match event {
            Event::JoinProgress { join: JoinView::Searching { tried, .. } } if !tried.dialled.is_empty() => Some(tried.clone()),
            _ => None,
        })
        .await
        .unwrap();
    assert!(tried.dialled.iter().any(|dial| dial.address.contains("127.0.0.1") && !dial.outcome.is_empty()), "{tried:?}");
    assert!(!tried.hints.is_empty(), "a person needs to know what to do next");
}

#[tokio::test]
async fn whoever_was_away_gets_the_chat_from_any_member() {
    let (mut ada, mut ben, mut cleo) = (loopback("Ada").await, loopback("Ben").await, loopback("Cleo").await);
    let room = ada.create_room("Away", false).await.unwrap();
    let link = ada.invite(room, 2).await.unwrap();
    ben.join(&link, None).await.unwrap();
    cleo.join(&link, None).await.unwrap();
    for peer in [&mut ada, &mut ben, &mut cleo] {
        peer.wait_room(room, "all three online", |view| {
            view.members.iter().filter(|member| member.online || member.me).count() == 3
        })
        .await
        .unwrap();
    }
    // Ada told them where the other is; that each is online they may have heard from her too.
    cleo.wait_met(ben.device()).await.unwrap();
    assert_eq!(cleo.stop().await.unwrap(), Some(0));
    ada.say(room, "written while Cleo was away").await.unwrap();
    ben.wait_message(room, "written while Cleo was away").await.unwrap();
    // The author is gone too: only Ben can tell.
    assert_eq!(ada.stop().await.unwrap(), Some(0));
    let mut cleo = cleo.restart(None).await.unwrap();
    cleo.wait_message(room, "written while Cleo was away").await.unwrap();
    let (at_ben, at_cleo) = (order(&mut ben, room).await, order(&mut cleo, room).await);
    assert_eq!(at_ben, at_cleo);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let mut ada = loopback("Ada").await;
    let room = ada.create_room("Kill", false).await.unwrap();
    for number in 0..20 {
        ada.say(room, &format!("message {number}")).await.unwrap();
    }
    ada.kill().await.unwrap();
    let mut ada = ada.restart(None).await.unwrap();
    let bodies: Vec<String> = ada.chat(room).await.unwrap().into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, (0..20).map(|number| format!("message {number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_revoked_member_is_cut_off_and_cannot_come_back_by_the_old_link() {
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Revoke", false).await.unwrap();
    let link = ada.invite(room, 5).await.unwrap();
    ben.join(&link, None).await.unwrap();
    ada.wait_room(room, "Ben online", |view| view.members.iter().any(|member| member.device == ben.device() && member.online))
        .await
        .unwrap();
    ada.request(Command::RoomRevoke { room, device: ben.device() }).await.unwrap();
    ben.wait_room(room, "that it is out", |view| view.gone).await.unwrap();
    ada.say(room, "not for Ben").await.unwrap();
    let refused = ben.ask(Command::ChatSend { room, body: "still here".into(), reply_to: None }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "not_member");
    ben.request(Command::RoomJoin { link, address: None }).await.unwrap();
    assert_eq!(failure(&mut ben).await, "link_revoked");
    assert!(ben.chat(room).await.unwrap().iter().all(|message| message.body != "not for Ben"));
}

#[tokio::test]
async fn a_viewer_reads_and_cannot_write() {
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Roles", false).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    ben.join(&link, None).await.unwrap();
    ada.request(Command::RoomRole { room, device: ben.device(), role: RoleView::Viewer }).await.unwrap();
    ben.wait_room(room, "to be a viewer", |view| view.my_role == RoleView::Viewer).await.unwrap();
    let refused = ben.ask(Command::ChatSend { room, body: "hello".into(), reply_to: None }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "not_permitted");
    ada.say(room, "read this").await.unwrap();
    ben.wait_message(room, "read this").await.unwrap();
}

#[tokio::test]
async fn edits_replies_reactions_and_deletions_reach_the_other_side() {
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Chat", false).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    ben.join(&link, None).await.unwrap();
    let first = ada.say(room, "frist").await.unwrap();
    ada.request(Command::ChatEdit { room, message: first.id, body: "first, @Ben".into() }).await.unwrap();
    let seen = ben.wait_message(room, "first, @Ben").await.unwrap();
    assert!(seen.edited);
    ben.request(Command::ChatReact { room, message: first.id, emoji: "👍".into(), on: true }).await.unwrap();
    ben.request(Command::ChatSend { room, body: "an answer".into(), reply_to: Some(first.id) }).await.unwrap();
    assert_eq!(ada.wait_message(room, "an answer").await.unwrap().reply_to, Some(first.id));
    ada.request(Command::ChatDelete { room, message: first.id }).await.unwrap();
    ben.wait("the deletion", |event| {
        matches!(event, Event::ChatMessage { message, .. } if message.id == first.id && message.deleted).then_some(())
    })
    .await
    .unwrap();
    let found = ben.request(Command::ChatSearch { query: "ANSWER".into(), room: None, limit: 10 }).await.unwrap();
    assert_eq!(found["messages"].as_array().unwrap().len(), 1);
    let refused = ben.ask(Command::ChatEdit { room, message: first.id, body: "not mine".into() }).await.unwrap().unwrap_err();
    assert!(["not_permitted", "unknown_message"].contains(&refused.code.as_str()), "{refused:?}");
}

#[tokio::test]
async fn a_second_process_on_one_data_directory_is_refused() {
    let ada = loopback("Ada").await;
    let output = std::process::Command::new(conclave_tests::process::program("conclave-node").unwrap())
        .arg("--data")
        .arg(ada.data())
        .args(["--insecure-store", "run", "--no-mdns", "--for", "1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn two_who_say_something_at_once_see_it_in_one_order() {
    let (mut ada, mut ben) = (loopback("Ada").await, Peer::start(on_loopback("Ben")).await.unwrap());
    let room = ada.create_room("Order", false).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    ben.join(&link, None).await.unwrap();
    for number in 0..10 {
        let (from_ada, from_ben) = (format!("ada {number}"), format!("ben {number}"));
        let (at_ada, at_ben) = tokio::join!(ada.say(room, &from_ada), ben.say(room, &from_ben));
        at_ada.unwrap();
        at_ben.unwrap();
    }
    for number in 0..10 {
        ada.wait_message(room, &format!("ben {number}")).await.unwrap();
        ben.wait_message(room, &format!("ada {number}")).await.unwrap();
    }
    assert_eq!(order(&mut ada, room).await, order(&mut ben, room).await);
}

async fn failure(peer: &mut Peer) -> String {
    peer.wait("a join that fails", |event| match event {
        Event::JoinProgress { join: JoinView::Failed { error, .. } } => Some(error.code.clone()),
        _ => None,
    })
    .await
    .unwrap()
}

async fn order(peer: &mut Peer, room: conclave_protocol::id::RoomId) -> Vec<(OpHash, String)> {
    peer.chat(room).await.unwrap().into_iter().map(|message| (message.id, message.body)).collect()
}

#[tokio::test]
async fn a_closed_link_lets_nobody_in() {
    let mut ada = loopback("Ada").await;
    let room = ada.create_room("Kitchen", false).await.unwrap();
    let link = ada.invite(room, 5).await.unwrap();
    let mut ben = loopback("Ben").await;
    ben.join(&link, None).await.unwrap();
    let open = ada.wait_room(room, "one use", |view| view.invites.iter().any(|invite| invite.used == 1)).await.unwrap();
    assert!(ben.room(room).await.unwrap().invites.is_empty(), "only admins see what is open");
    let invite = open.invites[0].invite;
    let refused = ben.ask(Command::RoomCloseInvite { room, invite }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "not_permitted");
    ada.request(Command::RoomCloseInvite { room, invite }).await.unwrap();
    assert!(ada.room(room).await.unwrap().invites.is_empty());
    let mut cleo = loopback("Cleo").await;
    cleo.request(Command::RoomJoin { link, address: None }).await.unwrap();
    assert_eq!(failure(&mut cleo).await, "link_revoked");
}

/// The code that a peer says, and where it is found: in a test without mDNS somebody has to be told.
async fn spoken(peer: &mut Peer, room: conclave_protocol::id::RoomId) -> (SpokenView, String) {
    let said = peer.request(Command::RoomSpeak { room, role: RoleView::Member }).await.unwrap();
    let listening: Vec<String> = peer.request(Command::NetDiagnose {}).await.unwrap()["diagnosis"]["listening"]
        .as_array()
        .unwrap()
        .iter()
        .map(|address| address.as_str().unwrap().to_owned())
        .collect();
    (serde_json::from_value(said["spoken"].clone()).unwrap(), listening[0].clone())
}

#[tokio::test]
async fn a_spoken_code_lets_one_person_in_without_a_link() {
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    // Nobody is asked, though the room has approval on: whoever says the code has decided.
    let room = ada.create_room("Kitchen", true).await.unwrap();
    let (spoken, address) = spoken(&mut ada, room).await;
    assert_eq!(ben.join(&spoken.code, Some(address.clone())).await.unwrap(), room);
    let end = ada
        .wait("the end of the code", |event| match event {
            Event::SpokenEnded { number, end, .. } if *number == spoken.number => Some(*end),
            _ => None,
        })
        .await
        .unwrap();
    assert_eq!(end, SpokenEndView::Used);
    ada.wait_room(room, "Ben online", |view| view.members.iter().any(|member| member.device == ben.device() && member.online))
        .await
        .unwrap();
    ben.say(room, "here by three words").await.unwrap();
    ada.wait_message(room, "here by three words").await.unwrap();
    // Who is a member and no admin says none.
    let refused = ben.ask(Command::RoomSpeak { room, role: RoleView::Member }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "not_permitted");
}

#[tokio::test]
async fn three_wrong_guesses_burn_a_spoken_code() {
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Kitchen", false).await.unwrap();
    let (spoken, address) = spoken(&mut ada, room).await;
    let words = if spoken.code.ends_with("zoo zoo zoo") { "able able able" } else { "zoo zoo zoo" };
    let wrong = format!("{} {words}", spoken.number);
    for failures in 1..=3 {
        ben.request(Command::RoomJoin { link: wrong.clone(), address: Some(address.clone()) }).await.unwrap();
        assert_eq!(unheard(&mut ben).await, "code_wrong");
        ada.wait("a failure", |event| {
            matches!(event, Event::SpokenFailed { failures: now, .. } if *now == failures).then_some(())
        })
        .await
        .unwrap();
    }
    ada.wait("the end", |event| matches!(event, Event::SpokenEnded { end: SpokenEndView::Burnt, .. }).then_some(()))
        .await
        .unwrap();
    let refused = ben.ask(Command::RoomJoin { link: "42 appel river stone".into(), address: None }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "code_wrong");
    assert!(refused.message.contains("appel"));
    assert_eq!(ada.room(room).await.unwrap().members.len(), 1);
}

async fn unheard(peer: &mut Peer) -> String {
    peer.wait("a code that leads nowhere", |event| match event {
        Event::JoinProgress { join: JoinView::Unheard { error, .. } } => Some(error.code.clone()),
        _ => None,
    })
    .await
    .unwrap()
}
