//! What happens while a node runs, one line each.

use conclave_protocol::id::DeviceId;

use super::chat::message_line;
use super::rooms::name_of;
use super::text::{clean, short};
use crate::event::{Event, LeaveReason};
use crate::view::{JoinView, RoomView, SpokenEndView, StreamKind};

/// How far a join has come, in a line.
pub(crate) fn join(join: &JoinView) -> String {
    match join {
        JoinView::Searching { tried, .. } => {
            format!(
                "looking for someone of the room … ({} neighbours seen, {} addresses tried)",
                tried.neighbours,
                tried.dialled.len()
            )
        }
        JoinView::Hearing { number, tried } => {
            format!("looking for whoever spoke code {number} … ({} neighbours seen)", tried.neighbours)
        }
        JoinView::Waiting { code, .. } => format!("an admin sees the knock; compare this code by voice: {code}"),
        JoinView::Joined { .. } | JoinView::Heard { .. } => "joined".to_owned(),
        JoinView::Failed { error, .. } | JoinView::Unheard { error, .. } => format!("not admitted: {}", clean(&error.message)),
    }
}

/// What happened, in a line; `None` where a person would not care.
pub(crate) fn event(event: &Event, rooms: &[RoomView]) -> Option<String> {
    let named = |room: &conclave_protocol::id::RoomId| {
        rooms.iter().find(|known| known.room == *room).map_or_else(|| short(room), |known| clean(&known.name))
    };
    let who = |room: &conclave_protocol::id::RoomId, device: &DeviceId| {
        rooms.iter().find(|known| known.room == *room).map_or_else(|| short(device), |known| name_of(known, device))
    };
    Some(match event {
        Event::Ready { profile, listening } => format!("{} is here; listening on {}", clean(&profile.name), listening.join(" ")),
        Event::Listening { listening } => format!("listening on {}", listening.join(" ")),
        Event::ProfileChanged { profile } => format!("this device is {} from here on", clean(&profile.name)),
        Event::PeerDiscovered { peer, .. } => format!("found {} on the network", short(&peer.device)),
        Event::PeerConnected { peer } => {
            format!("connected to {} ({})", short(&peer.device), peer.transport.as_deref().unwrap_or("?"))
        }
        Event::PeerLost { device } => format!("lost the connection to {}", short(device)),
        Event::RoomRemoved { .. } | Event::RoomChanged { .. } | Event::ChatReordered { .. } | Event::KnockEnded { .. } => {
            return None;
        }
        Event::FileChanged { room, file } => return crate::cli::files::changed(&named(room), file),
        Event::FileRemoved { room, file } => format!("{}: {} is shared no more", named(room), short(file)),
        Event::FileHashing { path, done, size, .. } => {
            format!("reading {}: {}", clean(path), crate::cli::files::share_of(*done, *size))
        }
        Event::TeamChanged { team: Some(team) } => {
            let node = if team.online { "its node is there" } else { "its node is not there" };
            format!("team {}: {node}{}", clean(&team.team), if team.relayed { ", and relays" } else { "" })
        }
        Event::TeamChanged { team: None } => "this device belongs to no team any more".to_owned(),
        // A stroke is no line of text: `board show` tells what stands there.
        Event::BoardChanged { .. } | Event::BoardReset { .. } | Event::BoardPicture { .. } | Event::BoardLive { .. } => {
            return None;
        }
        Event::CallChanged { .. } | Event::MediaDevices { .. } | Event::MediaLevel { .. } => return None,
        Event::CallReaction { room, device, emoji } => format!("{}: {} {}", named(room), who(room, device), clean(emoji)),
        Event::CallHandLowered { room, device: Some(device) } => {
            format!("{}: {} lowered your hand", named(room), who(room, device))
        }
        Event::CallHandLowered { room, device: None } => format!("{}: your hand went down because you spoke", named(room)),
        Event::CallMutedBy { room, device } => format!("{}: {} muted you", named(room), who(room, device)),
        Event::JoinProgress { join: progress } => join(progress),
        Event::KnockReceived { room, knock } => format!(
            "{}: {} knocks, code {} — `conclave-node room approve {} {}` lets them in",
            named(room),
            clean(&knock.name),
            knock.code,
            short(room),
            short(&knock.device)
        ),
        Event::SpokenFailed { room, number, failures } => {
            format!("{}: somebody had the wrong words for code {number} ({failures} of 3)", named(room))
        }
        Event::SpokenEnded { room, number, end } => {
            let why = match end {
                SpokenEndView::Used => "somebody came in by it",
                SpokenEndView::Expired => "ten minutes are over",
                SpokenEndView::Burnt => "three times the words were wrong",
                SpokenEndView::Withdrawn => "it was taken back",
            };
            format!("{}: code {number} lets nobody in any more: {why}", named(room))
        }
        Event::MemberJoined { room, name, .. } => format!("{}: {} joined", named(room), clean(name)),
        Event::MemberRevoked { room, name, .. } => format!("{}: {} is no member any more", named(room), clean(name)),
        Event::MemberOnline { room, device, online } => {
            format!("{}: {} is {}", named(room), who(room, device), if *online { "here" } else { "away" })
        }
        Event::MemberEquivocated { room, device } => {
            format!("{}: {} signed two histories and is frozen; nothing more of theirs is taken", named(room), who(room, device))
        }
        Event::ChatMessage { room, message, new, .. } => {
            if !new || message.mine {
                return None;
            }
            format!("{}: {}", named(room), message_line(message, 0, &[]).trim_start_matches(['•', ' ']))
        }
        Event::CallParticipantJoined { room, device } => format!("{}: {} is in the call", named(room), who(room, device)),
        Event::CallParticipantLeft { room, device, reason } => {
            let how = match reason {
                LeaveReason::Left => "left the call",
                LeaveReason::Lost => "was lost from the call",
                LeaveReason::Revoked => "was removed from the call",
                LeaveReason::Mismatch => "was cut off: their certificate is not the one they signed",
            };
            format!("{}: {} {how}", named(room), who(room, device))
        }
        Event::CallConnected { room, device, after_ms } => {
            format!("{}: media with {} after {after_ms} ms", named(room), who(room, device))
        }
        Event::CallMismatch { room, device, message } => format!("{}: {}: {}", named(room), who(room, device), clean(message)),
        Event::CallFirstFrame { room, device, stream, after_ms } => {
            let stream = match stream {
                StreamKind::Camera => "camera",
                StreamKind::Screen => "screen",
            };
            format!("{}: first picture of {}'s {stream} after {after_ms} ms", named(room), who(room, device))
        }
        Event::CallRecording { room, device, on } => {
            format!("{}: {} {}", named(room), who(room, device), if *on { "records the call" } else { "no longer records" })
        }
        Event::CallEnded { room, error } => match error {
            None => format!("{}: left the call", named(room)),
            Some(error) => format!("{}: the call ended: {}", named(room), clean(&error.message)),
        },
        Event::Problem { error } => format!("problem: {}", clean(&error.message)),
        Event::Lagged { missed } => format!("{missed} events were missed"),
        Event::Stopped {} => "stopped".to_owned(),
    })
}
