//! Commands that do one thing and end. Each is one or a few requests to a node; what is typed is resolved, never guessed.

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::time::Duration;

use conclave_protocol::id::{DeviceId, OpHash, RoomId};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

pub(crate) use self::person::{backup, device, restore, wipe};
use super::args::{ChatCommand, DeviceCommand, FileCommand, RoomCommand, TeamCommand, VerifyCommand};
use super::client::{Client, Failure, part};
use super::{render, select};
use crate::command::{Command, Reply};
use crate::error::ErrorCode;
use crate::event::Event;
use crate::view::{
    DiagnosisView, InviteView, JoinView, MessageView, PeerView, RoleView, RoomView, SpokenEndView, SpokenView, TeamView,
    VerificationView,
};

mod person;

/// After a member was reached: for what was said to get across.
const SETTLE: Duration = Duration::from_millis(700);
/// Messages that are looked through for the beginning of an id.
const LOOK_BACK: u32 = 1000;
/// Longest text that is read from standard input; the room's own limit is far below.
const TEXT_LIMIT: u64 = 1024 * 1024;

/// What a command answers, for a script and for a person.
pub(crate) struct Output {
    pub(crate) json: Value,
    pub(crate) text: String,
}

/// Whether a command needs others, or only what is on this disk.
pub(crate) fn needs_network(command: &super::args::Command) -> bool {
    use super::args::Command as Typed;
    match command {
        Typed::Init { .. } | Typed::Passphrase { .. } | Typed::Devices | Typed::Verify(_) => false,
        Typed::Backup { .. } | Typed::Wipe { .. } => false,
        Typed::Device(device) => matches!(device, DeviceCommand::Remove { .. }),
        // These speak with the team's node alone.
        Typed::Team(_) | Typed::Login { .. } | Typed::Logout => false,
        Typed::Id { rename } => rename.is_some(),
        Typed::Diagnose { .. } | Typed::Run(_) => true,
        Typed::Room(room) => !matches!(room, RoomCommand::Create { .. } | RoomCommand::List | RoomCommand::Show { .. }),
        Typed::File(file) => !matches!(file, FileCommand::List { .. } | FileCommand::Limits { .. }),
        Typed::Board(board) => board.is_heard(),
        Typed::Chat(chat) => !matches!(chat, ChatCommand::Read { .. } | ChatCommand::Search { .. }),
    }
}

pub(crate) async fn id(client: &mut Client, rename: Option<String>, dir: &Path, linger: Duration) -> Result<Output, Failure> {
    if let Some(name) = rename {
        client.ask(Command::ProfileRename { name }).await?;
        let rooms: Vec<RoomView> = client.ask_for(Command::RoomList {}, "rooms").await?;
        if let Some(room) = rooms.iter().find(|room| room.members.len() > 1) {
            let room = room.room;
            be_heard(client, room, linger).await?;
        }
    }
    let json = client.ask(Command::ProfileShow {}).await?;
    let text = render::profile(&part(&json, "profile")?, dir);
    Ok(Output { json, text })
}

pub(crate) async fn diagnose(client: &mut Client, patience: Duration) -> Result<Output, Failure> {
    if client.is_own() {
        tokio::time::sleep(patience).await;
    }
    let json = client.ask(Command::NetDiagnose {}).await?;
    let peers: Vec<PeerView> = client.ask_for(Command::NetPeers {}, "peers").await?;
    let text = render::diagnosis(&part(&json, "diagnosis")?, &peers);
    Ok(Output { json, text })
}

pub(crate) async fn room(client: &mut Client, command: RoomCommand, linger: Duration) -> Result<Output, Failure> {
    match command {
        RoomCommand::Create { name, no_approval, no_history } => {
            let json = client.ask(Command::RoomCreate { name, approval: !no_approval, full_history: !no_history }).await?;
            let room: RoomView = part(&json, "room")?;
            let text = format!(
                "{}\nInvite people with `conclave-node room invite {}`.\n",
                render::room(&room),
                render::short(&room.room)
            );
            Ok(Output { json, text })
        }
        RoomCommand::List => {
            let json = client.ask(Command::RoomList {}).await?;
            let text = render::rooms(&part::<Vec<RoomView>>(&json, "rooms")?);
            Ok(Output { json, text })
        }
        RoomCommand::Show { room } => {
            let room = find_room(client, &room).await?;
            let json = client.ask(Command::RoomShow { room }).await?;
            let text = render::room(&part(&json, "room")?);
            Ok(Output { json, text })
        }
        RoomCommand::Invite { room, role, uses, expires, approval, no_approval, qr } => {
            let room = find_room(client, &room).await?;
            let approval = (approval || no_approval).then_some(approval);
            let invite = Command::RoomInvite { room, role: role.into(), uses, expires_s: expires, approval };
            let json = client.ask(invite).await?;
            let view: InviteView = part(&json, "invite")?;
            let mut text = render::invite(&view);
            if qr {
                let code = render::qr(&view.link, std::io::stdout().is_terminal());
                text.push_str(&code.unwrap_or_else(|| "The link is too long for a QR code.\n".to_owned()));
            }
            if client.is_own() {
                text.push_str("People can come in while a node runs here: `conclave-node run`.\n");
            }
            Ok(Output { json, text })
        }
        RoomCommand::Links { room } => {
            let room = find_room(client, &room).await?;
            let json = client.ask(Command::RoomShow { room }).await?;
            let text = render::links(&part::<RoomView>(&json, "room")?);
            Ok(Output { json, text })
        }
        RoomCommand::CloseLink { room, link } => {
            let room = find_room(client, &room).await?;
            let view: RoomView = part(&client.ask(Command::RoomShow { room }).await?, "room")?;
            let invite = select::invite(&view.invites, &link)?;
            done(client, Command::RoomCloseInvite { room, invite }, room, linger, "Closed.").await
        }
        RoomCommand::Speak { room, end: Some(number), .. } => {
            let room = find_room(client, &room).await?;
            let json = client.ask(Command::RoomSpeakEnd { room, number }).await?;
            Ok(Output { json, text: "Taken back.\n".to_owned() })
        }
        RoomCommand::Speak { room, role, wait, .. } => speak(client, &room, role.into(), wait).await,
        RoomCommand::Join { link, address, wait } => join(client, link, address, wait).await,
        RoomCommand::Approve { room, person } => {
            let (room, device) = find_person(client, &room, &person).await?;
            done(client, Command::RoomApprove { room, device }, room, linger, "Let in.").await
        }
        RoomCommand::Refuse { room, person } => {
            let (room, device) = find_person(client, &room, &person).await?;
            done(client, Command::RoomRefuse { room, device }, room, linger, "Turned away.").await
        }
        RoomCommand::Role { room, person, role } => {
            let (room, device) = find_person(client, &room, &person).await?;
            done(client, Command::RoomRole { room, device, role: role.into() }, room, linger, "Changed.").await
        }
        RoomCommand::Revoke { room, person } => {
            let (room, device) = find_person(client, &room, &person).await?;
            done(client, Command::RoomRevoke { room, device }, room, linger, "Removed. Open invites are void.").await
        }
        RoomCommand::Leave { room } => {
            let room = find_room(client, &room).await?;
            let json = leave(client, room, linger).await?;
            Ok(Output { json, text: "Left; the history stays readable here.\n".to_owned() })
        }
        RoomCommand::Delete { room } => {
            let room = find_room(client, &room).await?;
            // Leaving first gives the others the chance to hear of it, which a deleted room could not.
            let view: RoomView = client.ask_for(Command::RoomShow { room }, "room").await?;
            if !view.gone && view.members.len() > 1 && client.is_own() {
                leave(client, room, linger).await?;
            }
            let json = client.ask(Command::RoomDelete { room }).await?;
            Ok(Output { json, text: "Deleted from this device.\n".to_owned() })
        }
    }
}

pub(crate) async fn team(client: &mut Client, command: TeamCommand) -> Result<Output, Failure> {
    match command {
        TeamCommand::Register { link, name } => ask_team(client, Command::TeamRegister { link, name }).await,
        TeamCommand::Show => ask_team(client, Command::TeamShow {}).await,
    }
}

pub(crate) async fn ask_team(client: &mut Client, command: Command) -> Result<Output, Failure> {
    let json = client.ask(command).await?;
    let text = render::team(part::<Option<TeamView>>(&json, "team")?.as_ref());
    Ok(Output { json, text })
}

pub(crate) async fn logout(client: &mut Client) -> Result<Output, Failure> {
    let json = client.ask(Command::TeamLogout {}).await?;
    Ok(Output { json, text: "Logged out.\n".to_owned() })
}

pub(crate) async fn verify(client: &mut Client, command: VerifyCommand) -> Result<Output, Failure> {
    let (command, text) = match command {
        VerifyCommand::Show { room, person, qr } => {
            let (room, device) = find_person(client, &room, &person).await?;
            let json = client.ask(Command::VerifyShow { room, device }).await?;
            let view: VerificationView = part(&json, "verification")?;
            let mut text = render::verification(&view);
            if qr {
                let code = render::qr(&view.link, std::io::stdout().is_terminal());
                text.push_str(&code.unwrap_or_else(|| "The code is too long for a QR code.\n".to_owned()));
            }
            return Ok(Output { json, text });
        }
        VerifyCommand::Confirm { room, person, scanned } => {
            let (room, device) = find_person(client, &room, &person).await?;
            (Command::VerifyConfirm { room, device, scanned }, "Verified.\n")
        }
        VerifyCommand::Accept { room, person } => {
            let (room, device) = find_person(client, &room, &person).await?;
            (Command::VerifyAccept { room, device }, "Accepted; not verified.\n")
        }
        VerifyCommand::Clear { room, person } => {
            let (room, device) = find_person(client, &room, &person).await?;
            (Command::VerifyClear { room, device }, "Not verified any more.\n")
        }
    };
    let json = client.ask(command).await?;
    Ok(Output { json, text: text.to_owned() })
}

pub(crate) async fn chat(client: &mut Client, command: ChatCommand, linger: Duration) -> Result<Output, Failure> {
    match command {
        ChatCommand::Send { room, reply_to, text } => {
            let room = find_room(client, &room).await?;
            let reply_to = match reply_to {
                Some(typed) => Some(find_message(client, room, &typed).await?),
                None => None,
            };
            let json = client.ask(Command::ChatSend { room, body: words(text)?, reply_to }).await?;
            be_heard(client, room, linger).await?;
            let text = render::messages(&[part::<MessageView>(&json, "message")?]);
            Ok(Output { json, text })
        }
        ChatCommand::Read { room, limit, before, mark_read } => {
            let room = find_room(client, &room).await?;
            let before = match before {
                Some(typed) => Some(find_message(client, room, &typed).await?),
                None => None,
            };
            let json = client.ask(Command::ChatRead { room, limit, before }).await?;
            let messages: Vec<MessageView> = part(&json, "messages")?;
            if let Some(last) = messages.last().filter(|_| mark_read) {
                client.ask(Command::ChatMarkRead { room, message: last.id }).await?;
            }
            Ok(Output { json, text: render::messages(&messages) })
        }
        ChatCommand::Search { query, room, limit } => {
            let room = match room {
                Some(typed) => Some(find_room(client, &typed).await?),
                None => None,
            };
            let json = client.ask(Command::ChatSearch { query, room, limit }).await?;
            let text = render::found(&part::<Vec<MessageView>>(&json, "messages")?);
            Ok(Output { json, text })
        }
        ChatCommand::Edit { room, message, text } => {
            let (room, message) = find_message_in(client, &room, &message).await?;
            done(client, Command::ChatEdit { room, message, body: words(text)? }, room, linger, "Changed.").await
        }
        ChatCommand::Delete { room, message } => {
            let (room, message) = find_message_in(client, &room, &message).await?;
            done(client, Command::ChatDelete { room, message }, room, linger, "Deleted.").await
        }
        ChatCommand::React { room, message, emoji, off } => {
            let (room, message) = find_message_in(client, &room, &message).await?;
            done(client, Command::ChatReact { room, message, emoji, on: !off }, room, linger, "Done.").await
        }
    }
}

async fn join(client: &mut Client, link: String, address: Option<String>, wait_s: u64) -> Result<Output, Failure> {
    client.follow_events().await?;
    let deadline =
        Instant::now() + if wait_s == 0 { Duration::from_secs(10 * 365 * 86_400) } else { Duration::from_secs(wait_s) };
    let begun: Reply = part_of(&client.ask(Command::RoomJoin { link, address }).await?)?;
    let view = wait_for_join(client, begun, deadline, |line| eprintln!("{line}")).await?;
    let text = format!("Joined.\n\n{}", render::room(&view));
    Ok(Output { json: json!({ "room": view }), text })
}

/// Makes a code, and where only this command keeps it open waits until it has ended.
async fn speak(client: &mut Client, room: &str, role: RoleView, wait: bool) -> Result<Output, Failure> {
    let room = find_room(client, room).await?;
    client.follow_events().await?;
    let json = client.ask(Command::RoomSpeak { room, role }).await?;
    let spoken: SpokenView = part(&json, "spoken")?;
    let text = render::spoken(&spoken);
    if !client.is_own() && !wait {
        return Ok(Output { json, text });
    }
    eprint!("{text}");
    loop {
        match client.next_event().await {
            None => return Err(Failure::new(ErrorCode::Stopped, "the node stopped")),
            Some(Event::SpokenFailed { number, failures, .. }) if number == spoken.number => {
                eprintln!("somebody had the wrong words ({failures} of 3)");
            }
            Some(Event::SpokenEnded { room: of, number, end }) if of == room && number == spoken.number => {
                if end == SpokenEndView::Used && client.is_own() {
                    // For the log to get across.
                    tokio::time::sleep(SETTLE).await;
                }
                let json = json!({ "spoken": spoken, "end": end });
                return match end {
                    SpokenEndView::Used => Ok(Output { json, text: "Somebody came in.\n".to_owned() }),
                    SpokenEndView::Withdrawn => Ok(Output { json, text: "Taken back.\n".to_owned() }),
                    SpokenEndView::Expired => Err(Failure::new(ErrorCode::LinkExpired, "nobody came in ten minutes")),
                    SpokenEndView::Burnt => {
                        Err(Failure::new(ErrorCode::CodeWrong, "three times the words were wrong; make another code"))
                    }
                };
            }
            Some(_) => {}
        }
    }
}

/// An answer as a whole.
pub(crate) fn part_of(json: &Value) -> Result<Reply, Failure> {
    serde_json::from_value(json.clone())
        .map_err(|error| Failure::new(ErrorCode::BadVersion, format!("the node's answer: {error}")))
}

/// Waits until this device is a member of the room that the join `begun` is for, and tells each step once.
pub(crate) async fn wait_for_join(
    client: &mut Client,
    begun: Reply,
    deadline: Instant,
    mut tell: impl FnMut(&str),
) -> Result<RoomView, Failure> {
    let mut told = String::new();
    let mut waiting = false;
    loop {
        let Ok(event) = timeout_at(deadline, client.next_event()).await else {
            let tried: DiagnosisView = client.ask_for(Command::NetDiagnose {}, "diagnosis").await?;
            let cancel = match begun {
                Reply::Joining { joining } => Command::RoomJoinCancel { room: joining },
                _ => Command::RoomHearCancel {},
            };
            let _ = client.ask(cancel).await;
            return Err(Failure::new(
                ErrorCode::NobodyFound,
                match waiting {
                    true => "nobody let this device in before the time was over".to_owned(),
                    false => format!("nobody of the room answered.\n{}", render::diagnosis(&tried, &[])),
                },
            ));
        };
        let join = match event {
            None => return Err(Failure::new(ErrorCode::Stopped, "the node stopped")),
            Some(Event::JoinProgress { join }) if is_about(&join, &begun) => join,
            // An event may have been the one that mattered.
            Some(Event::Lagged { .. }) => match &begun {
                Reply::Joining { joining } => match joined(client, *joining).await? {
                    Some(view) => return Ok(view),
                    None => continue,
                },
                _ => continue,
            },
            Some(_) => continue,
        };
        let line = render::join(&join);
        if line != told {
            tell(&line);
            told = line;
        }
        match join {
            JoinView::Joined { room } | JoinView::Heard { room, .. } => {
                let view = joined(client, room).await?;
                return view.ok_or_else(|| Failure::new(ErrorCode::UnknownRoom, "the room is not there after joining it"));
            }
            JoinView::Failed { error, .. } | JoinView::Unheard { error, .. } => return Err(error.into()),
            JoinView::Searching { .. } | JoinView::Hearing { .. } => waiting = false,
            JoinView::Waiting { .. } => waiting = true,
        }
    }
}

async fn joined(client: &mut Client, room: RoomId) -> Result<Option<RoomView>, Failure> {
    match client.ask_for(Command::RoomShow { room }, "room").await {
        Ok(view) => Ok(Some(view)),
        Err(failure) if failure.view.code == ErrorCode::UnknownRoom.as_str() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Whether what is told is about the join that was begun with this answer.
fn is_about(join: &JoinView, begun: &Reply) -> bool {
    match join {
        JoinView::Searching { room, .. }
        | JoinView::Waiting { room, .. }
        | JoinView::Joined { room }
        | JoinView::Failed { room, .. } => matches!(begun, Reply::Joining { joining } if joining == room),
        JoinView::Hearing { number, .. } | JoinView::Heard { number, .. } | JoinView::Unheard { number, .. } => {
            matches!(begun, Reply::Hearing { hearing } if hearing == number)
        }
    }
}

/// Once gone, nobody of the room speaks with this device any more: so the others are looked for first.
async fn leave(client: &mut Client, room: RoomId, linger: Duration) -> Result<Value, Failure> {
    let heard = be_heard(client, room, linger).await?;
    let json = client.ask(Command::RoomLeave { room }).await?;
    if heard && client.is_own() {
        tokio::time::sleep(SETTLE).await;
    }
    Ok(json)
}

pub(crate) async fn done(
    client: &mut Client,
    command: Command,
    room: RoomId,
    linger: Duration,
    text: &str,
) -> Result<Output, Failure> {
    let json = client.ask(command).await?;
    be_heard(client, room, linger).await?;
    Ok(Output { json, text: format!("{text}\n") })
}

/// A node that was opened for this command alone stays until someone of the room was there to hear it, but not for long.
/// Whether someone was.
pub(crate) async fn be_heard(client: &mut Client, room: RoomId, linger: Duration) -> Result<bool, Failure> {
    if !client.is_own() || linger.is_zero() {
        return Ok(true);
    }
    let view: RoomView = client.ask_for(Command::RoomShow { room }, "room").await?;
    if view.members.iter().all(|member| member.me) {
        return Ok(true);
    }
    let deadline = Instant::now() + linger;
    let mut heard = view.members.iter().any(|member| member.online && !member.me);
    while !heard {
        match timeout_at(deadline, client.next_event()).await {
            Ok(Some(Event::MemberOnline { room: of, online: true, .. })) => heard = of == room,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    if heard {
        tokio::time::sleep(SETTLE).await;
    } else {
        eprintln!(
            "Nobody of the room is here now; they get it when this device and one of theirs run at the same time (`conclave-node run`)."
        );
    }
    Ok(heard)
}

pub(crate) async fn find_room(client: &mut Client, typed: &str) -> Result<RoomId, Failure> {
    if let Ok(exact) = typed.parse() {
        return Ok(exact);
    }
    let rooms: Vec<RoomView> = client.ask_for(Command::RoomList {}, "rooms").await?;
    select::room(&rooms, typed)
}

async fn find_person(client: &mut Client, room: &str, person: &str) -> Result<(RoomId, DeviceId), Failure> {
    let room = find_room(client, room).await?;
    let view: RoomView = client.ask_for(Command::RoomShow { room }, "room").await?;
    let found = select::person(&view, person).map_err(|mut failure| {
        if client.is_own() && failure.view.code == ErrorCode::UnknownDevice.as_str() {
            failure.view.message.push_str(". Who knocks is known only to a node that runs: start `conclave-node run`");
        }
        failure
    })?;
    Ok((room, found))
}

async fn find_message(client: &mut Client, room: RoomId, typed: &str) -> Result<OpHash, Failure> {
    if let Ok(exact) = typed.parse() {
        return Ok(exact);
    }
    let messages: Vec<MessageView> =
        client.ask_for(Command::ChatRead { room, limit: LOOK_BACK, before: None }, "messages").await?;
    select::message(&messages, typed)
}

async fn find_message_in(client: &mut Client, room: &str, typed: &str) -> Result<(RoomId, OpHash), Failure> {
    let room = find_room(client, room).await?;
    Ok((room, find_message(client, room, typed).await?))
}

/// The words of a message, or what standard input has where there is only `-`.
fn words(words: Vec<String>) -> Result<String, Failure> {
    if words != ["-"] {
        return Ok(words.join(" "));
    }
    let mut text = String::new();
    let read = std::io::stdin().take(TEXT_LIMIT).read_to_string(&mut text);
    read.map_err(|error| Failure::new(ErrorCode::BadText, format!("standard input is not text: {error}")))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
