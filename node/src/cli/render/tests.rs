#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use conclave_protocol::id::{AccountId, DeviceId};
use proptest::prelude::*;

use super::text::{is_harmless, moment};
use super::*;
use crate::event::Event;
use crate::view::{CallCodeView, KeySeenView, VerificationView};

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
