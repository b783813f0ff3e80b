//! Answers and events as text for a person. What others wrote is shown, never obeyed: no control sequence of theirs reaches the
//! terminal.

use std::fmt::{Display, Write};

use conclave_protocol::id::{DeviceId, OpHash};

use crate::event::{Event, LeaveReason};
use crate::view::{
    CallCodeView, DiagnosisView, InviteView, JoinView, MediaDeviceView, MediaKind, MessageView, PeerView, ProfileView, RoleView,
    RoomView, StreamKind, VerificationView,
};

/// Characters of an id's body that a person is shown; enough to tell apart what one device has, and taken back as a choice.
const SHORT: usize = 8;

/// What another person wrote, on one line, without what a terminal would act on or a reader be misled by.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if is_harmless(c) { c } else { '\u{fffd}' }).collect()
}

fn is_harmless(c: char) -> bool {
    let misleading =
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}');
    !c.is_control() && !misleading
}

/// The beginning of an id, as a person is shown it.
pub(crate) fn short(id: &impl Display) -> String {
    let text = id.to_string();
    let body = text.find(':').map_or(0, |colon| colon + 1);
    text.chars().take(body + SHORT).collect()
}

/// `2026-11-22 13:05`, UTC. Proleptic Gregorian calendar.
pub(crate) fn moment(ms: u64) -> String {
    let minutes = ms / 60_000;
    format!("{} {:02}:{:02}", day(ms), minutes / 60 % 24, minutes % 60)
}

fn day(ms: u64) -> String {
    // Days since 0000-03-01, in eras of 400 years.
    let days = ms / 86_400_000 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

pub(crate) fn role(role: RoleView) -> &'static str {
    match role {
        RoleView::Viewer => "viewer",
        RoleView::Member => "member",
        RoleView::Admin => "admin",
        RoleView::Owner => "owner",
    }
}

pub(crate) fn profile(profile: &ProfileView, dir: &std::path::Path) -> String {
    table(&[
        vec!["name".to_owned(), clean(&profile.name)],
        vec!["device".to_owned(), profile.device.to_string()],
        vec!["account".to_owned(), profile.account.to_string()],
        vec!["keys".to_owned(), keys(&profile.protection).to_owned()],
        vec!["data".to_owned(), dir.display().to_string()],
    ])
}

fn keys(protection: &str) -> &str {
    match protection {
        "keyring" => "in the keyring of the operating system",
        "passphrase" => "protected by a passphrase",
        "insecure" => "in the clear (--insecure-store)",
        other => other,
    }
}

pub(crate) fn rooms(rooms: &[RoomView]) -> String {
    if rooms.is_empty() {
        return "No rooms yet. Make one with `conclave-node room create NAME`, or join one with `conclave-node room join LINK`.\n".to_owned();
    }
    let mut rows = vec![["ROOM", "ROLE", "PEOPLE", "UNREAD", "CALL", "ID"].map(str::to_owned).to_vec()];
    for room in rooms {
        rows.push(vec![
            clean(&room.name),
            if room.gone { "gone".to_owned() } else { role(room.my_role).to_owned() },
            format!("{} ({} here)", room.members.len(), room.members.iter().filter(|member| member.online || member.me).count()),
            match room.mentions {
                0 => room.unread.to_string(),
                mentions => format!("{} (@{mentions})", room.unread),
            },
            room.call.as_ref().map_or_else(|| "-".to_owned(), |call| call.people.len().to_string()),
            short(&room.room),
        ]);
    }
    table(&rows)
}

pub(crate) fn room(room: &RoomView) -> String {
    let mut out = table(&[
        vec!["room".to_owned(), clean(&room.name)],
        vec!["id".to_owned(), room.room.to_string()],
        vec!["admission".to_owned(), if room.approval { "an admin is asked" } else { "a link is enough" }.to_owned()],
        vec![
            "history".to_owned(),
            if room.full_history { "newcomers read all of it" } else { "newcomers read what comes after them" }.to_owned(),
        ],
        vec!["unread".to_owned(), room.unread.to_string()],
    ]);
    if room.gone {
        out.push_str("This device is no member any more; what it has of the history stays readable.\n");
    }
    if let Some(code) = &room.call_code {
        let _ = writeln!(out, "call code  {} ({})", code.code, code_reason(code));
    }
    let mut rows = vec![["PERSON", "ROLE", "", "ID"].map(str::to_owned).to_vec()];
    for member in &room.members {
        let state = match (member.frozen, member.me, member.online) {
            (true, ..) => "frozen: signed two histories",
            (_, true, _) => "this device",
            (_, _, true) => "here",
            _ => "away",
        };
        let trust = match (member.key_changed, member.verified_ms) {
            (true, _) => ", another key under this name",
            (_, Some(_)) => ", verified",
            _ => "",
        };
        rows.push(vec![clean(&member.name), role(member.role).to_owned(), format!("{state}{trust}"), short(&member.device)]);
    }
    let _ = write!(out, "\n{}", table(&rows));
    if let Some(call) = &room.call {
        let people: Vec<_> = call.people.iter().map(|device| name_of(room, device)).collect();
        let _ = writeln!(out, "\nIn the call: {}", people.join(", "));
    }
    if !room.knocks.is_empty() {
        let mut rows = vec![["KNOCKS", "CODE", "SINCE", "ID"].map(str::to_owned).to_vec()];
        for knock in &room.knocks {
            rows.push(vec![clean(&knock.name), knock.code.clone(), moment(knock.since_ms), short(&knock.device)]);
        }
        let _ = write!(out, "\n{}", table(&rows));
    }
    out
}

fn code_reason(code: &CallCodeView) -> String {
    let names = |names: &[String]| names.iter().map(|name| clean(name)).collect::<Vec<_>>().join(", ");
    match (code.joined.is_empty(), code.left.is_empty()) {
        (true, true) => "the keys were renewed".to_owned(),
        (false, true) => format!("{} came", names(&code.joined)),
        (true, false) => format!("{} went", names(&code.left)),
        (false, false) => format!("{} came, {} went", names(&code.joined), names(&code.left)),
    }
}

/// The code of two people in three lines of three groups, and what is known of the other.
pub(crate) fn verification(view: &VerificationView) -> String {
    let groups: Vec<_> = view.code.split(' ').collect();
    let mut out = format!("Compare this with what {} sees, by voice or side by side:\n\n", clean(&view.name));
    for line in groups.chunks(3) {
        let _ = writeln!(out, "  {}", line.join(" "));
    }
    let known = match (view.key_changed, view.verified_ms) {
        (true, _) => {
            "Another key had this name before. No media go to or come from it until it was verified or accepted.".to_owned()
        }
        (_, Some(since_ms)) => format!("Verified since {} UTC.", moment(since_ms)),
        _ => "Not verified yet.".to_owned(),
    };
    let _ = writeln!(out, "\n{known}");
    if view.history.len() > 1 {
        let mut rows = vec![["KEY", "SINCE", ""].map(str::to_owned).to_vec()];
        for key in &view.history {
            let accepted = if key.accepted { "" } else { "not accepted" };
            rows.push(vec![short(&key.account), moment(key.since_ms), accepted.to_owned()]);
        }
        let _ = write!(out, "\n{}", table(&rows));
    }
    out
}

fn name_of(room: &RoomView, device: &DeviceId) -> String {
    room.members.iter().find(|member| member.device == *device).map_or_else(|| short(device), |member| clean(&member.name))
}

pub(crate) fn invite(invite: &InviteView) -> String {
    let people = if invite.uses == 1 { "one person".to_owned() } else { format!("{} people", invite.uses) };
    format!("{}\n\nLets in {people} as {}, until {} UTC.\n", invite.link, role(invite.role), moment(invite.expires_ms))
}

/// A QR code of half blocks. With `colour`, black on white whatever the terminal's own colours are; without, for a light one.
pub(crate) fn qr(link: &str, colour: bool) -> Option<String> {
    let code = qrcode::QrCode::with_error_correction_level(link, qrcode::EcLevel::L).ok()?;
    let picture = code.render::<qrcode::render::unicode::Dense1x2>().quiet_zone(true).build();
    let lines = picture.lines().map(|line| if colour { format!("\x1b[30;47m{line}\x1b[0m\n") } else { format!("{line}\n") });
    Some(lines.collect())
}

pub(crate) fn messages(messages: &[MessageView]) -> String {
    if messages.is_empty() {
        return "No messages.\n".to_owned();
    }
    let width = messages.iter().map(|message| clean(&message.author_name).chars().count()).max().unwrap_or(0).min(20);
    let mut out = String::new();
    let mut shown_day = String::new();
    for message in messages {
        let day = day(message.sent_ms);
        if day != shown_day {
            let _ = writeln!(out, "── {day} (UTC) ──");
            shown_day = day;
        }
        let _ = writeln!(out, "{}", message_line(message, width, messages));
    }
    out
}

fn message_line(message: &MessageView, width: usize, others: &[MessageView]) -> String {
    let time = moment(message.sent_ms);
    let time = time.get(11..).unwrap_or(&time);
    let mark = if message.unread { '•' } else { ' ' };
    let mut body = if message.deleted {
        "(deleted)".to_owned()
    } else if message.from_newer_version {
        "(from a newer version of Conclave)".to_owned()
    } else {
        let indent = format!("\n{:1$}", "", width + 10);
        message.body.split('\n').map(clean).collect::<Vec<_>>().join(&indent)
    };
    if let Some(reply_to) = &message.reply_to {
        body = format!("↳ {}: {body}", reply_target(reply_to, others));
    }
    if message.edited {
        body.push_str(" (edited)");
    }
    for reaction in &message.reactions {
        let _ = write!(body, " {}{}", clean(&reaction.emoji), reaction.by.len());
    }
    format!("{mark} {time}  {:<width$}  {body}  [{}]", clean(&message.author_name), short(&message.id))
}

fn reply_target(id: &OpHash, others: &[MessageView]) -> String {
    let target = others.iter().find(|message| message.id == *id);
    target.map_or_else(|| short(id), |message| format!("{} “{}”", clean(&message.author_name), excerpt(&message.body)))
}

fn excerpt(body: &str) -> String {
    let line = clean(body.split('\n').next().unwrap_or_default());
    if line.chars().count() > 30 { line.chars().take(29).chain(['…']).collect() } else { line }
}

pub(crate) fn found(messages: &[MessageView]) -> String {
    if messages.is_empty() {
        return "Nothing found.\n".to_owned();
    }
    let rows: Vec<_> = messages
        .iter()
        .map(|message| {
            vec![
                moment(message.sent_ms),
                clean(&message.author_name),
                message.body.split('\n').map(clean).collect::<Vec<_>>().join(" "),
                short(&message.id),
            ]
        })
        .collect();
    table(&rows)
}

pub(crate) fn devices(devices: &[MediaDeviceView]) -> String {
    let mut rows = vec![["KIND", "SPEC", "WHAT"].map(str::to_owned).to_vec()];
    for device in devices {
        let what = match &device.unavailable {
            None => clean(&device.label),
            Some(reason) => format!("{} (not usable: {})", clean(&device.label), clean(reason)),
        };
        rows.push(vec![kind(device.kind).to_owned(), clean(&device.spec), what]);
    }
    table(&rows)
}

fn kind(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Camera => "camera",
        MediaKind::Microphone => "mic",
        MediaKind::Speaker => "speaker",
        MediaKind::Screen => "screen",
    }
}

pub(crate) fn diagnosis(diagnosis: &DiagnosisView, peers: &[PeerView]) -> String {
    let mut out = String::new();
    let interfaces: Vec<_> = diagnosis
        .interfaces
        .iter()
        .map(|interface| {
            vec![clean(&interface.name), interface.address.clone(), if interface.loopback { "loopback" } else { "" }.to_owned()]
        })
        .collect();
    section(&mut out, "Interfaces", &interfaces);
    section(&mut out, "Listening on", &diagnosis.listening.iter().map(|address| vec![address.clone()]).collect::<Vec<_>>());
    let multicast = if diagnosis.multicast { "goes out" } else { "does not go out: neighbours are not found by themselves" };
    let _ = writeln!(out, "Multicast {multicast}. Neighbours seen: {}.", diagnosis.neighbours);
    let peers: Vec<_> = peers
        .iter()
        .map(|peer| {
            let how =
                if peer.connected { peer.transport.clone().unwrap_or_else(|| "connected".to_owned()) } else { "seen".to_owned() };
            let rtt = peer.rtt_ms.map_or_else(String::new, |rtt| format!("{rtt} ms"));
            vec![short(&peer.device), how, rtt, peer.addresses.first().map(|address| clean(address)).unwrap_or_default()]
        })
        .collect();
    section(&mut out, "Peers", &peers);
    section(
        &mut out,
        "Tried",
        &diagnosis.dialled.iter().map(|dial| vec![clean(&dial.address), clean(&dial.outcome)]).collect::<Vec<_>>(),
    );
    for hint in &diagnosis.hints {
        let _ = writeln!(out, "- {hint}");
    }
    out
}

fn section(out: &mut String, title: &str, rows: &[Vec<String>]) {
    if !rows.is_empty() {
        let _ = writeln!(out, "{title}:");
        for line in table(rows).lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
}

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
        JoinView::Waiting { code, .. } => format!("an admin sees the knock; compare this code by voice: {code}"),
        JoinView::Joined { .. } => "joined".to_owned(),
        JoinView::Failed { error, .. } => format!("not admitted: {}", clean(&error.message)),
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
        Event::CallChanged { .. } | Event::MediaDevices { .. } => return None,
        Event::JoinProgress { join: progress } => join(progress),
        Event::KnockReceived { room, knock } => format!(
            "{}: {} knocks, code {} — `conclave-node room approve {} {}` lets them in",
            named(room),
            clean(&knock.name),
            knock.code,
            short(room),
            short(&knock.device)
        ),
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

/// Columns of their widest cell, two spaces apart. Width is counted in characters.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// Views for the tests of this and its neighbours.
#[cfg(test)]
pub(crate) mod samples {
    use conclave_protocol::id::{AccountId, CallId, DeviceId, OpHash, RoomId};

    use crate::view::{
        KnockView, MemberView, MessageView, ReactionView, RoleView, RoomCallView, RoomView, SessionPhase, SessionView,
    };

    pub(crate) fn member(number: u8, name: &str) -> MemberView {
        MemberView {
            device: DeviceId([number; 32]),
            account: AccountId([number; 32]),
            name: name.to_owned(),
            role: RoleView::Member,
            online: true,
            me: false,
            frozen: false,
            verified_ms: None,
            key_changed: false,
        }
    }

    pub(crate) fn room(number: u8, name: &str) -> RoomView {
        RoomView {
            room: RoomId([number; 32]),
            name: name.to_owned(),
            approval: true,
            full_history: true,
            my_role: RoleView::Admin,
            gone: false,
            members: vec![MemberView { me: true, role: RoleView::Admin, ..member(1, "Ada") }, member(2, "Bob")],
            knocks: vec![KnockView {
                device: DeviceId([7; 32]),
                account: AccountId([7; 32]),
                name: "Mallory".to_owned(),
                code: "1234 5678".to_owned(),
                since_ms: 1_700_000_000_000,
            }],
            unread: 3,
            mentions: 1,
            last_message: None,
            call: Some(RoomCallView { call: CallId([5; 16]), people: vec![DeviceId([2; 32])] }),
            session: SessionView { phase: SessionPhase::Idle, people: 0, epoch: None },
            call_code: None,
        }
    }

    pub(crate) fn message(number: u8, body: &str) -> MessageView {
        MessageView {
            id: OpHash([number; 32]),
            author: DeviceId([2; 32]),
            author_name: "Bob".to_owned(),
            body: body.to_owned(),
            sent_ms: 1_700_000_000_000 + u64::from(number) * 60_000,
            edited: false,
            deleted: false,
            reply_to: None,
            mentions: Vec::new(),
            reactions: vec![ReactionView { emoji: "👍".to_owned(), by: vec![DeviceId([1; 32])] }],
            mine: false,
            unread: true,
            from_newer_version: false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use conclave_protocol::id::AccountId;
    use proptest::prelude::*;

    use super::*;
    use crate::view::KeySeenView;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01 00:00"),
            (951_782_400_000, "2000-02-29 00:00"),
            (1_700_000_000_000, "2023-11-14 22:13"),
            (1_798_675_199_000, "2026-12-30 23:59"),
            (4_107_542_400_000, "2100-03-01 00:00"),
        ] {
            assert_eq!(moment(ms), text);
        }
        let _ = moment(u64::MAX);
    }

    #[test]
    fn what_others_wrote_moves_no_cursor() {
        let mut message = samples::message(1, "\x1b[2Jgone\u{202e}evil\nsecond line\r");
        message.author_name = "Bob\x07".to_owned();
        let text = messages(&[message.clone()]);
        assert!(!text.contains(['\x1b', '\x07', '\r', '\u{202e}']), "{text:?}");
        assert!(text.contains("second line"));
        let text = event(
            &Event::ChatMessage { room: samples::room(1, "K\x1b").room, message, after: None, new: true },
            &[samples::room(1, "K\x1b")],
        );
        assert!(!text.unwrap().contains('\x1b'));
    }

    #[test]
    fn a_room_shows_names_roles_and_who_knocks() {
        let text = room(&samples::room(1, "Kitchen"));
        let expected = "\
room       Kitchen
id         room:aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq
admission  an admin is asked
history    newcomers read all of it
unread     3

PERSON  ROLE                 ID
Ada     admin   this device  dev:aeaqcaib
Bob     member  here         dev:aibaeaqc

In the call: Bob

KNOCKS   CODE       SINCE             ID
Mallory  1234 5678  2023-11-14 22:13  dev:a4dqobyh
";
        assert_eq!(text, expected);
    }

    #[test]
    fn marks_changed_keys_and_the_call_code_are_shown() {
        let mut view = samples::room(1, "Kitchen");
        let code = "12345 67890 12345 67890 12345 67890".to_owned();
        view.call_code = Some(CallCodeView { code, joined: vec!["Bob".to_owned()], left: vec![] });
        view.members[1].verified_ms = Some(5);
        let text = room(&view);
        assert!(text.contains("here, verified"), "{text}");
        assert!(text.contains("call code  12345 67890 12345 67890 12345 67890 (Bob came)"), "{text}");
        view.members[1].key_changed = true;
        assert!(room(&view).contains("another key under this name"));
    }

    #[test]
    fn the_code_of_two_people_stands_in_three_lines() {
        let key = |number, accepted| KeySeenView { account: AccountId([number; 32]), since_ms: 1_700_000_000_000, accepted };
        let view = VerificationView {
            device: DeviceId([2; 32]),
            account: AccountId([2; 32]),
            name: "Bob\x1b".to_owned(),
            code: "00001 00002 00003 00004 00005 00006 00007 00008 00009".to_owned(),
            link: "conclave://verify/1#x".to_owned(),
            verified_ms: None,
            key_changed: true,
            history: vec![key(3, true), key(2, false)],
        };
        let expected = "\
Compare this with what Bob\u{fffd} sees, by voice or side by side:

  00001 00002 00003
  00004 00005 00006
  00007 00008 00009

Another key had this name before. No media go to or come from it until it was verified or accepted.

KEY            SINCE
acct:ambqgayd  2023-11-14 22:13
acct:aibaeaqc  2023-11-14 22:13  not accepted
";
        assert_eq!(verification(&view), expected);
    }

    #[test]
    fn rooms_stand_in_columns() {
        let text = rooms(&[samples::room(1, "Kitchen"), samples::room(2, "Übungsraum")]);
        let expected = "\
ROOM        ROLE   PEOPLE      UNREAD  CALL  ID
Kitchen     admin  2 (2 here)  3 (@1)  1     room:aeaqcaib
Übungsraum  admin  2 (2 here)  3 (@1)  1     room:aibaeaqc
";
        assert_eq!(text, expected);
        assert!(rooms(&[]).contains("room create"));
    }

    #[test]
    fn messages_show_replies_edits_and_reactions() {
        let mut reply = samples::message(2, "yes");
        reply.reply_to = Some(samples::message(1, "").id);
        reply.edited = true;
        reply.unread = false;
        let text = messages(&[samples::message(1, "is the soup ready?\nreally?"), reply]);
        let expected = "\
── 2023-11-14 (UTC) ──
• 22:14  Bob  is the soup ready?
             really? 👍1  [op:aeaqcaib]
  22:15  Bob  ↳ Bob “is the soup ready?”: yes (edited) 👍1  [op:aibaeaqc]
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_qr_code_has_a_quiet_zone_and_the_size_of_its_content() {
        let plain = qr("conclave://join/1#abcdefgh", false).unwrap();
        let width = plain.lines().next().unwrap().chars().count();
        assert!(plain.lines().all(|line| line.chars().count() == width));
        assert!(plain.lines().next().unwrap().trim().is_empty());
        assert!(qr("conclave://join/1#abcdefgh", true).unwrap().contains("\x1b[30;47m"));
        assert!(qr(&"x".repeat(10_000), false).is_none());
    }

    proptest! {
        #[test]
        fn no_text_of_others_puts_a_control_character_out(body in any::<String>(), name in any::<String>()) {
            let mut message = samples::message(1, &body);
            message.author_name = name;
            let text = messages(&[message]);
            prop_assert!(text.chars().all(|c| c == '\n' || is_harmless(c)));
        }
    }
}
