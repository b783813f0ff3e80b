//! The room around a call on real media: hands, reactions, who speaks, and what those who lead may ask.

use conclave_node::command::{Command, HostAsk};
use conclave_node::event::Event;
use conclave_node::view::{CallView, RoleView};
use conclave_protocol::id::{DeviceId, RoomId};
use conclave_tests::peer::Peer;

use crate::calls::{meet, person};
use crate::loopback;

fn join(room: RoomId) -> Command {
    Command::CallJoin { room, mic: Some("tone".into()), mic_on: false, camera: None, speaker: Some("null".into()) }
}

/// Waits until the call is as it should be, as this peer sees it.
async fn call(peer: &mut Peer, what: &str, fits: impl Fn(&CallView) -> bool) -> CallView {
    peer.wait(what, |event| match event {
        Event::CallChanged { call: Some(call) } if fits(call) => Some(call.clone()),
        _ => None,
    })
    .await
    .unwrap()
}

async fn happens(peer: &mut Peer, what: &str, fits: impl Fn(&Event) -> bool) {
    peer.wait(what, |event| fits(event).then_some(())).await.unwrap();
}

#[tokio::test]
async fn hands_reactions_and_hosts_work_between_three_people() {
    let mut people = vec![loopback("Ada").await, loopback("Ben").await, loopback("Cleo").await];
    let room = meet(&mut people).await;
    for peer in &mut people {
        peer.request(join(room)).await.unwrap();
    }
    let [ada, ben, cleo]: [DeviceId; 3] = people.iter().map(Peer::device).collect::<Vec<_>>().try_into().unwrap();
    for peer in &mut people {
        call(peer, "everybody", |call| call.people.len() == 2).await;
    }

    // Hands are queued in the order in which they went up.
    people[1].request(Command::CallHand { on: true }).await.unwrap();
    call(&mut people[2], "Ben's hand", |call| call.hands == [ben]).await;
    people[2].request(Command::CallHand { on: true }).await.unwrap();
    call(&mut people[0], "both hands", |call| call.hands == [ben, cleo]).await;

    // Who speaks gets a ring and then the large picture, and needs the hand no more.
    people[1].request(Command::CallMic { on: true, source: None }).await.unwrap();
    happens(&mut people[1], "the hand going down by itself", |event| {
        matches!(event, Event::CallHandLowered { device: None, .. })
    })
    .await;
    let speaks = |call: &CallView| call.people.iter().any(|person| person.device == ben && person.speaking);
    call(&mut people[0], "Ben speaking", |call| speaks(call) && call.speaker == Some(ben) && call.hands == [cleo]).await;

    // A member leads nobody; the owner does, and nobody unmutes anybody.
    let refused = people[2].ask(Command::CallHost { act: HostAsk::Mute, device: Some(ben) }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "not_permitted");
    let refused = people[2].ask(Command::CallHost { act: HostAsk::End, device: None }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "not_permitted");
    people[0].request(Command::CallHost { act: HostAsk::Mute, device: Some(ben) }).await.unwrap();
    happens(&mut people[1], "being muted", |event| matches!(event, Event::CallMutedBy { device, .. } if *device == ada)).await;
    person(&mut people[2], ben, "Ben muted", |person| !person.mic_on && !person.speaking).await;
    // Muted, the tone goes on unheard: a person would be told.
    call(&mut people[1], "the hint", |call| call.me.talking_muted && !call.me.mic_on).await;
    people[0].request(Command::CallHost { act: HostAsk::LowerHand, device: Some(cleo) }).await.unwrap();
    happens(
        &mut people[2],
        "the lowered hand",
        |event| matches!(event, Event::CallHandLowered { device: Some(device), .. } if *device == ada),
    )
    .await;
    call(&mut people[1], "no hands", |call| call.hands.is_empty()).await;

    // Reactions, volumes and sound.
    people[1].request(Command::CallReact { emoji: "👏".into() }).await.unwrap();
    happens(
        &mut people[2],
        "the reaction",
        |event| matches!(event, Event::CallReaction { device, emoji, .. } if *device == ben && emoji == "👏"),
    )
    .await;
    let refused = people[1].ask(Command::CallReact { emoji: "x".repeat(33) }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "bad_text");
    people[0].request(Command::CallVolume { device: cleo, volume: 0.25 }).await.unwrap();
    person(&mut people[0], cleo, "the volume", |person| person.volume == 0.25).await;
    let refused = people[0].ask(Command::CallVolume { device: cleo, volume: 2.5 }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "bad_request");
    people[0].request(Command::MediaSound { echo: None, noise: Some(false), gain: None, chimes: Some(false) }).await.unwrap();
    call(&mut people[0], "what was switched off", |call| !call.me.sound.noise && !call.me.sound.chimes && call.me.sound.echo)
        .await;

    // Out of the call, and its end for everyone.
    people[0].request(Command::CallHost { act: HostAsk::Remove, device: Some(cleo) }).await.unwrap();
    let removed =
        |event: &Event| matches!(event, Event::CallEnded { error: Some(error), .. } if error.code == "removed_from_call");
    happens(&mut people[2], "being removed", removed).await;
    call(&mut people[1], "Cleo gone", |call| call.people.iter().all(|person| person.device != cleo)).await;
    people[2].request(join(room)).await.unwrap();
    call(&mut people[1], "Cleo back", |call| call.people.iter().any(|person| person.device == cleo)).await;
    people[0].request(Command::CallHost { act: HostAsk::End, device: None }).await.unwrap();
    happens(&mut people[1], "the end for all", removed).await;
    happens(&mut people[2], "the end for all", removed).await;
    happens(&mut people[0], "the end", |event| matches!(event, Event::CallEnded { error: None, .. })).await;
}

#[tokio::test]
async fn an_admin_leads_but_not_the_owner() {
    let mut people = vec![loopback("Ada").await, loopback("Ben").await];
    let room = meet(&mut people).await;
    let (ada, ben) = (people[0].device(), people[1].device());
    people[0].request(Command::RoomRole { room, device: ben, role: RoleView::Admin }).await.unwrap();
    people[1]
        .wait("being an admin", |event| match event {
            Event::RoomChanged { room } if room.my_role == RoleView::Admin => Some(()),
            _ => None,
        })
        .await
        .unwrap();
    for peer in &mut people {
        peer.request(join(room)).await.unwrap();
    }
    call(&mut people[1], "Ada", |call| call.people.iter().any(|person| person.device == ada)).await;
    let refused = people[1].ask(Command::CallHost { act: HostAsk::Remove, device: Some(ada) }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "not_permitted");
    people[1].request(Command::CallHost { act: HostAsk::End, device: None }).await.unwrap();
    happens(&mut people[0], "the end", |event| matches!(event, Event::CallEnded { error: Some(_), .. })).await;
}

#[tokio::test]
async fn a_speaker_and_a_microphone_can_be_tried_without_a_call() {
    let mut ada = loopback("Ada").await;
    ada.request(Command::MediaMeter { source: Some("tone".into()) }).await.unwrap();
    happens(
        &mut ada,
        "how loud the tone is",
        |event| matches!(event, Event::MediaLevel { level } if (level - 0.177).abs() < 0.03),
    )
    .await;
    ada.request(Command::MediaMeter { source: None }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let heard = folder.path().join("heard.wav");
    let sink = format!("file:{}", heard.display());
    ada.request(Command::MediaTry { sink: sink.clone(), source: Some("tone".into()), seconds: 1 }).await.unwrap();
    assert!(std::fs::metadata(&heard).unwrap().len() > 80_000, "a second of sound");
    let refused = ada.ask(Command::MediaTry { sink, source: None, seconds: 60 }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "bad_request");
    let refused = ada.ask(Command::MediaMeter { source: Some("mic?".into()) }).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "bad_request");
}
