//! People, rooms, codes, devices and the state of the network.

use std::fmt::Write;

use conclave_protocol::id::DeviceId;

use super::text::{clean, moment, section, short, table};
use crate::view::{
    CallCodeView, DiagnosisView, InviteView, MediaDeviceView, MediaKind, PeerView, ProfileView, RoleView, RoomView, SpokenView,
    VerificationView,
};

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

pub(super) fn name_of(room: &RoomView, device: &DeviceId) -> String {
    room.members.iter().find(|member| member.device == *device).map_or_else(|| short(device), |member| clean(&member.name))
}

pub(crate) fn invite(invite: &InviteView) -> String {
    let people = if invite.uses == 1 { "one person".to_owned() } else { format!("{} people", invite.uses) };
    format!("{}\n\nLets in {people} as {}, until {} UTC.\n", invite.link, role(invite.role), moment(invite.expires_ms))
}

/// What to say to somebody.
pub(crate) fn spoken(spoken: &SpokenView) -> String {
    format!(
        "{}\n\nSay it to one person on the same network. It lets them in as {}, until {} UTC.\nThere: conclave-node room join '{}'\n",
        spoken.code,
        role(spoken.role),
        moment(spoken.expires_ms),
        spoken.code
    )
}

/// What still lets people in.
pub(crate) fn links(room: &RoomView) -> String {
    if room.invites.is_empty() {
        return "No link lets anybody in.\n".to_owned();
    }
    let mut rows = vec![["LINK", "LETS IN", "USED", "UNTIL (UTC)", "MADE BY"].map(str::to_owned).to_vec()];
    for invite in &room.invites {
        let who = if invite.approval { format!("{}, asked for", role(invite.role)) } else { role(invite.role).to_owned() };
        let used = format!("{} of {}", invite.used, invite.uses);
        rows.push(vec![short(&invite.invite), who, used, moment(invite.expires_ms), clean(&invite.by_name)]);
    }
    table(&rows)
}

/// A QR code of half blocks. With `colour`, black on white whatever the terminal's own colours are; without, for a light one.
pub(crate) fn qr(link: &str, colour: bool) -> Option<String> {
    let code = qrcode::QrCode::with_error_correction_level(link, qrcode::EcLevel::L).ok()?;
    let picture = code.render::<qrcode::render::unicode::Dense1x2>().quiet_zone(true).build();
    let lines = picture.lines().map(|line| if colour { format!("\x1b[30;47m{line}\x1b[0m\n") } else { format!("{line}\n") });
    Some(lines.collect())
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
            let way = peer.path.map_or_else(String::new, |path| path.as_str().to_owned());
            vec![short(&peer.device), how, way, rtt, peer.addresses.first().map(|address| clean(address)).unwrap_or_default()]
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
