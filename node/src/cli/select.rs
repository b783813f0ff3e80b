//! From what a person typed to the one room, person or message that is meant. It never guesses between two.

use std::fmt::Display;

use conclave_protocol::id::{DeviceId, FileId, OpHash, RoomId};

use super::client::Failure;
use crate::error::ErrorCode;
use crate::view::{FileView, MessageView, OpenInviteView, RoomView};

/// Shortest beginning of an id that is taken for one.
const SHORTEST: usize = 3;

/// The room that is meant.
pub(crate) fn room(rooms: &[RoomView], typed: &str) -> Result<RoomId, Failure> {
    if let Ok(exact) = typed.parse() {
        return Ok(exact);
    }
    let choices: Vec<_> = rooms.iter().map(|room| (room.room, room.name.as_str())).collect();
    choose(&choices, "room:", typed, "room", ErrorCode::UnknownRoom)
}

/// The member, or whoever knocks, that is meant.
pub(crate) fn person(room: &RoomView, typed: &str) -> Result<DeviceId, Failure> {
    if let Ok(exact) = typed.parse() {
        return Ok(exact);
    }
    let members = room.members.iter().map(|member| (member.device, member.name.as_str()));
    let knocks = room.knocks.iter().map(|knock| (knock.device, knock.name.as_str()));
    let mut choices: Vec<_> = members.chain(knocks).collect();
    choices.sort_unstable();
    choices.dedup_by_key(|(device, _)| *device);
    choose(&choices, "dev:", typed, "person", ErrorCode::UnknownDevice)
}

/// The message that is meant. Messages have no names.
pub(crate) fn message(messages: &[MessageView], typed: &str) -> Result<OpHash, Failure> {
    if let Ok(exact) = typed.parse() {
        return Ok(exact);
    }
    let choices: Vec<_> = messages.iter().map(|message| (message.id, "")).collect();
    choose(&choices, "op:", typed, "message", ErrorCode::UnknownMessage)
}

/// The invitation that is meant. Invitations have no names.
pub(crate) fn invite(invites: &[OpenInviteView], typed: &str) -> Result<OpHash, Failure> {
    if let Ok(exact) = typed.parse() {
        return Ok(exact);
    }
    let choices: Vec<_> = invites.iter().map(|invite| (invite.invite, "")).collect();
    choose(&choices, "op:", typed, "open link", ErrorCode::LinkRevoked)
}

/// The file that is meant.
pub(crate) fn file(files: &[FileView], typed: &str) -> Result<FileId, Failure> {
    if let Ok(exact) = typed.parse() {
        return Ok(exact);
    }
    let choices: Vec<_> = files.iter().map(|file| (file.file, file.name.as_str())).collect();
    choose(&choices, "file:", typed, "file", ErrorCode::UnknownFile)
}

fn choose<T: Copy + Display>(
    choices: &[(T, &str)],
    prefix: &str,
    typed: &str,
    what: &str,
    unknown: ErrorCode,
) -> Result<T, Failure> {
    let by_name: Vec<_> = choices.iter().filter(|(_, name)| !name.is_empty() && *name == typed).collect();
    let body = typed.strip_prefix(prefix).unwrap_or(typed).trim_end_matches('…');
    let by_id: Vec<_> = match body.len() >= SHORTEST {
        true => {
            choices.iter().filter(|(id, _)| id.to_string().strip_prefix(prefix).is_some_and(|id| id.starts_with(body))).collect()
        }
        false => Vec::new(),
    };
    // A name goes before the beginning of an id: it is what a person sees.
    match (by_name.as_slice(), by_id.as_slice()) {
        ([(only, _)], _) | ([], [(only, _)]) => Ok(*only),
        ([], []) => Err(Failure::new(unknown, format!("there is no {what} `{}` here", super::render::clean(typed)))),
        (several, _) if several.len() > 1 => {
            let ids: Vec<_> = several.iter().map(|(id, _)| super::render::short(id)).collect();
            Err(Failure::usage(format!("more than one {what} has that name; say which: {}", ids.join(", "))))
        }
        (_, several) => {
            let ids: Vec<_> = several.iter().map(|(id, _)| id.to_string()).collect();
            Err(Failure::usage(format!("more than one {what} begins so: {}", ids.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::render::samples;
    use super::*;

    fn rooms() -> Vec<RoomView> {
        [(1, "Kitchen"), (2, "Attic"), (3, "Attic")].map(|(number, name)| samples::room(number, name)).to_vec()
    }

    #[test]
    fn a_room_is_found_by_name_id_and_beginning_of_an_id() {
        let rooms = rooms();
        let kitchen = RoomId([1; 32]);
        assert_eq!(room(&rooms, "Kitchen").unwrap(), kitchen);
        assert_eq!(room(&rooms, &kitchen.to_string()).unwrap(), kitchen);
        assert_eq!(room(&rooms, &kitchen.to_string()[..12]).unwrap(), kitchen);
        assert_eq!(room(&rooms, &kitchen.to_string()[5..12]).unwrap(), kitchen);
        assert_eq!(room(&rooms, &super::super::render::short(&kitchen)).unwrap(), kitchen);
        // One that this device does not know is the node's to refuse.
        assert_eq!(room(&rooms, &RoomId([9; 32]).to_string()).unwrap(), RoomId([9; 32]));
    }

    #[test]
    fn two_of_a_name_are_not_guessed_between() {
        let rooms = rooms();
        let failure = room(&rooms, "Attic").unwrap_err();
        assert_eq!(failure.exit_code, 2);
        assert!(failure.view.message.contains("more than one room"));
        assert_eq!(room(&rooms, "Cellar").unwrap_err().view.code, "unknown_room");
        assert_eq!(room(&rooms, "").unwrap_err().view.code, "unknown_room");
        assert_eq!(room(&rooms, "ro").unwrap_err().view.code, "unknown_room");
    }

    #[test]
    fn whoever_knocks_is_a_person_too() {
        let view = samples::room(1, "Kitchen");
        assert_eq!(person(&view, "Ada").unwrap(), view.members.first().unwrap().device);
        assert_eq!(person(&view, "Mallory").unwrap(), view.knocks.first().unwrap().device);
        assert_eq!(person(&view, "Nobody").unwrap_err().view.code, "unknown_device");
    }
}
