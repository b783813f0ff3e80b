//! From the first start to a call and out again.

use conclave::backend::{KeptBy, StorePresence};
use conclave::intent::{Intent, Panel};
use conclave::state::Place;
use conclave_node::command::Command;
use conclave_node::config::Protection;
use conclave_node::event::Event;
use conclave_node::view::*;
use conclave_protocol::id::{DeviceId, RoomId};

use crate::scripted::{World, account, member, portrait};
use crate::window::Window;

#[test]
fn first_start_to_a_call_and_out_again() {
    let mut window = Window::open(World::empty(""), StorePresence::Absent);
    assert!(window.has("Welcome to Conclave"));

    // A name and a passphrase, and in.
    window.type_into("Your name", "Mira Okafor");
    window.click("Passphrase");
    let fields: Vec<_> = ["correct horse battery", "correct horse battery"].into();
    window.want(Intent::WelcomePassphrase(fields[0].into()));
    window.click("Get started");
    assert!(window.script.opened().is_empty(), "the passphrase was typed only once");
    window.type_into("The same once more", fields[1]);
    window.click("Get started");
    let opened = window.script.opened();
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0].name.as_deref(), Some("Mira Okafor"));
    assert!(matches!(&opened[0].protection, Protection::Passphrase(passphrase) if passphrase.as_str() == fields[0]));
    assert!(window.has("No rooms yet"));

    // A room, whose invitation is made at once.
    window.click("New meeting");
    window.type_into("Name of the room", "Standup");
    window.commands();
    window.click("Create room");
    let commands = window.commands();
    assert!(matches!(&commands[0], Command::RoomCreate { name, approval: true, .. } if name == "Standup"));
    assert!(commands.iter().any(|command| matches!(command, Command::RoomInvite { uses: 1, role: RoleView::Member, .. })));
    assert!(window.has("Invitation as a QR code"));
    window.click("Copy link");
    assert!(window.has("Copied"));
    let room = window.state().rooms[0].room;

    // Somebody knocks, and is let in after the codes were compared.
    let ben = DeviceId([2; 32]);
    let knock = KnockView { device: ben, account: account(ben), name: "Ben".into(), code: "12345678".into(), since_ms: 0 };
    window.script.change_room(room, |room| room.knocks.push(knock.clone()));
    window.script.event(Event::KnockReceived { room, knock });
    window.settle();
    assert!(window.has("Ben wants to come in to Standup"));
    window.click("Show");
    assert!(window.has("1234 5678"));
    window.click("Let in");
    assert!(window.commands().contains(&Command::RoomApprove { room, device: ben }));
    assert!(window.state().member(room, ben).is_some());

    // Words, an answer, a reaction, an edit.
    window.want(Intent::OpenPanel(None));
    window.type_into("Message Standup", "hello **there**");
    window.press(egui::Key::Enter);
    assert!(window.commands().contains(&Command::ChatSend { room, body: "hello **there**".into(), reply_to: None }));
    let theirs = window.script.say(room, ben, "hi @Mira Okafor");
    window.settle();
    assert!(window.says("@Mira Okafor"));
    window.want(Intent::Reply(room, theirs));
    window.type_into("Message Standup", "yes?");
    window.click("Send");
    assert!(window.commands().contains(&Command::ChatSend { room, body: "yes?".into(), reply_to: Some(theirs) }));
    window.want(Intent::React { room, message: theirs, emoji: "👍".into(), on: true });
    assert!(window.says("👍 Mira Okafor"));
    window.press(egui::Key::ArrowUp);
    window.press(egui::Key::Enter);
    assert!(window.commands().iter().any(|command| matches!(command, Command::ChatEdit { body, .. } if body == "yes?")));
    assert!(window.state().chats[&room].messages.iter().all(|message| !message.unread), "what is before one's eyes is read");

    // The lobby shows how one looks and who is inside; the microphone is off.
    window.script.change_room(room, |room| {
        room.call = Some(RoomCallView { call: conclave_protocol::id::CallId([5; 16]), people: vec![ben] });
    });
    window.settle();
    window.commands();
    window.click("Join call");
    assert!(matches!(&window.state().place, Place::Lobby(lobby) if !lobby.mic_on && lobby.camera_on));
    assert!(window.commands().contains(&Command::MediaPreview { source: Some("v4l2:/dev/video0".into()) }));
    assert!(window.has("Ben inside"));
    window.script.slot(PictureKey::Preview).put(portrait(320, 180, 0.1));
    window.settle();
    window.click("Join call");
    let commands = window.commands();
    assert_eq!(commands[0], Command::MediaPreview { source: None }, "the preview lets go of the camera first");
    assert_eq!(
        commands[1],
        Command::CallJoin {
            room,
            mic: Some("pulse".into()),
            mic_on: false,
            camera: Some("v4l2:/dev/video0".into()),
            speaker: Some("pulse".into()),
        }
    );

    // The call: pictures come, the bar asks what it says.
    window.script.slot(PictureKey::Remote { device: ben, stream: StreamKind::Camera }).put(portrait(320, 180, 0.5));
    window.settle();
    assert!(window.has("Ben, microphone on"));
    window.click("Unmute");
    assert!(window.commands().contains(&Command::CallMic { on: true, source: None }));
    window.click("Mute");
    window.click("Turn camera off");
    assert!(window.commands().contains(&Command::CallCamera { source: None }));
    window.click("Share screen");
    assert!(
        !window.commands().iter().any(|command| matches!(command, Command::CallScreen { .. })),
        "nothing is shared without a choice"
    );
    // What it shows is chosen beside it, and remembered.
    window.click("Motion");
    window.click("480 lines");
    window.click("Text Editor — notes.md");
    assert!(window.commands().contains(&Command::CallScreen {
        source: Some("x11:window:0x1".into()),
        content: Some(ShareContent::Motion),
        fps: Some(30),
        height: Some(480),
    }));
    assert!(window.says("Your screen"));
    window.click("Stop sharing");
    assert!(window.commands().contains(&Command::CallScreen { source: None, content: None, fps: None, height: None }));
    window.click("Silence everyone");
    assert!(window.commands().contains(&Command::CallDeafen { on: true }));
    window.click("Record");
    assert!(
        !window.commands().iter().any(|command| matches!(command, Command::CallRecord { .. })),
        "a recording is asked for first"
    );
    window.click("Start recording");
    assert!(
        window
            .commands()
            .iter()
            .any(|command| matches!(command, Command::CallRecord { dir: Some(dir) } if dir.starts_with("/recordings")))
    );
    window.click("Chat");
    assert_eq!(window.state().panel, Some(Panel::Chat));
    window.type_into("Message Standup", "in the call now");
    window.press(egui::Key::Enter);
    assert!(
        window.commands().iter().any(|command| matches!(command, Command::ChatSend { body, .. } if body == "in the call now"))
    );

    window.click("Leave");
    assert!(window.commands().contains(&Command::CallLeave {}));
    assert!(window.state().call.is_none());
    assert!(window.has("Message Standup"), "one is back in the room");
}

#[test]
fn join_by_link_tells_how_far_it_is() {
    let mut launch = crate::window::launch(StorePresence::Present(conclave::backend::KeptBy::Keyring));
    launch.link = Some("conclave://join/1#abc".into());
    let mut window = Window::open_with(World::empty("Mira"), launch);
    assert!(
        window.has("Paste the invitation that you were given, or type the code that somebody said to you."),
        "a link on the command line opens the dialog"
    );
    window.click("Join");
    assert!(window.commands().contains(&Command::RoomJoin { link: "conclave://join/1#abc".into(), address: None }));
    assert!(window.says("no other Conclave is seen on this network"));
    assert!(window.says("A firewall may block"));

    let room = RoomId([77; 32]);
    window.script.event(Event::JoinProgress { join: JoinView::Waiting { room, code: "73014488".into() } });
    window.settle();
    assert!(window.has("7301 4488"));

    let me = DeviceId([1; 32]);
    let joined =
        RoomView { members: vec![member(me, "Mira", RoleView::Member, true)], ..crate::scripted::room(77, "Choir", &[]) };
    window.script.event(Event::RoomChanged { room: joined });
    window.script.event(Event::JoinProgress { join: JoinView::Joined { room } });
    window.settle();
    assert!(window.has("You are in Choir"));
    assert!(window.state().joins.is_empty());
}

#[test]
fn a_code_that_somebody_said_leads_into_the_room() {
    let mut window = Window::open(World::empty("Mira"), StorePresence::Present(KeptBy::Keyring));
    window.want(Intent::ShowJoin);
    window.want(Intent::JoinLink("42 apple river stone".into()));
    window.want(Intent::Join);
    window.settle();
    assert!(window.commands().contains(&Command::RoomJoin { link: "42 apple river stone".into(), address: None }));
    assert!(window.says("whoever said code"));
    let error = ErrorView { code: "code_wrong".into(), message: String::new() };
    window.script.event(Event::JoinProgress { join: JoinView::Unheard { number: 42, error } });
    window.settle();
    assert!(window.says("The words are not those of the code."));
    let room = RoomId([77; 32]);
    let joined = crate::scripted::room(77, "Choir", &[]);
    window.script.event(Event::RoomChanged { room: joined });
    window.script.event(Event::JoinProgress { join: JoinView::Heard { number: 42, room } });
    window.settle();
    assert!(window.has("You are in Choir"));
    assert!(window.state().joins.is_empty());
}

#[test]
fn a_code_is_made_said_and_taken_back() {
    let mut window = Window::lively();
    let room = RoomId([10; 32]);
    window.want(Intent::SelectRoom(room));
    window.want(Intent::OpenPanel(Some(Panel::Invite)));
    window.settle();
    window.click("Make a code");
    assert!(window.says("42 apple river stone"));
    window.script.event(Event::SpokenFailed { room, number: 42, failures: 2 });
    window.settle();
    assert!(window.says("Wrong words"));
    window.click("Take the code back");
    assert!(window.commands().contains(&Command::RoomSpeakEnd { room, number: 42 }));
    window.settle();
    assert!(window.says("The code was taken back."));
    assert!(!window.says("42 apple river stone"));
}

#[test]
fn people_are_removed_only_after_a_question() {
    let mut window = Window::lively();
    let (room, ada) = (RoomId([10; 32]), DeviceId([3; 32]));
    window.click("People");
    window.click("More about Ada Lindqvist");
    window.click("Remove from the room…");
    assert!(!window.commands().iter().any(|command| matches!(command, Command::RoomRevoke { .. })));
    window.click("Remove");
    assert!(window.commands().contains(&Command::RoomRevoke { room, device: ada }));
    assert!(!window.says("Ada Lindqvist ("));

    // A role below one's own may be given; the founder has no such menu for himself.
    window.click("More about Tomás Ferreira");
    window.click("Make Admin");
    assert!(window.commands().contains(&Command::RoomRole { room, device: DeviceId([4; 32]), role: RoleView::Admin }));
    window.click("More about Mira Okafor");
    assert!(!window.has("Remove from the room…"));
}

#[test]
fn mismatched_certificate_shows_no_picture() {
    let mut window = Window::lively();
    let (room, ben) = (RoomId([10; 32]), DeviceId([2; 32]));
    window.click("Join call");
    window.click("Join call");
    let key = PictureKey::Remote { device: ben, stream: StreamKind::Camera };
    window.script.slot(key).put(portrait(320, 180, 0.5));
    window.script.change_call(|call| call.people[0].link = LinkState::Mismatch);
    window.script.event(Event::CallMismatch { room, device: ben, message: "fingerprint".into() });
    window.settle();
    assert!(window.says("Not who they signed as"));
    assert!(window.says("the other side is not who they signed as"));
}

#[test]
fn quiet_window_asks_for_no_frame() {
    let mut window = Window::lively();
    for _ in 0..4 {
        window.harness.step();
    }
    let output = window.harness.output();
    let delay = output.viewport_output.values().map(|viewport| viewport.repaint_delay).min().unwrap();
    assert!(
        delay > std::time::Duration::from_secs(3600),
        "asks again after {delay:?}: {:?}",
        window.harness.ctx.repaint_causes()
    );
}
