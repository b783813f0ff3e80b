use conclave_protocol::id::{AccountId, DeviceId, RoomId};
use conclave_protocol::link::*;
use proptest::prelude::*;

use crate::support::Seeded;

pub fn link(hints: usize, seed: u64) -> Link {
    let mut rng = Seeded(seed);
    let mut bytes = || {
        let mut bytes = [0; 32];
        bytes.iter_mut().for_each(|byte| *byte = rng.next() as u8);
        bytes
    };
    let inviter = DeviceId(bytes());
    Link {
        room: RoomId(bytes()),
        room_name: "Tuesday rehearsal".to_owned(),
        topic_key: bytes(),
        inviter,
        admin: AccountId(bytes()),
        invite_seed: bytes().into(),
        expires_ms: 1_790_000_000_000,
        hints: (0..hints)
            .map(|index| AddressHint {
                device: if index == 1 { DeviceId(bytes()) } else { inviter },
                address: format!("/ip4/192.168.100.{index}/udp/54321/quic-v1"),
            })
            .collect(),
    }
}

#[test]
fn a_link_with_three_addresses_fits_a_qr_code() {
    let mut link = link(3, 1);
    link.hints[1].device = link.inviter;
    let text = link.to_text();
    assert!(text.len() < 600, "{}", text.len());
    assert!(text.starts_with("conclave://join/1#"));
    assert_eq!(Link::parse(&text), Ok(link));
}

#[test]
fn each_kind_of_bad_link_has_its_own_error() {
    let text = link(2, 1).to_text();
    for other in ["", "hello", "https://example.org/join/1#abc", "conclave://joint/1#abc", "conclave:/join/1#x", "room:abc"] {
        assert_eq!(Link::parse(other), Err(LinkError::NotALink), "{other}");
    }
    assert_eq!(Link::parse(&text.replace("join/1#", "join/2#")), Err(LinkError::Version));
    assert_eq!(Link::parse("conclave://join/17#"), Err(LinkError::Version));
    assert_eq!(Link::parse("conclave://join/1#"), Err(LinkError::Damaged));
    assert_eq!(Link::parse("conclave://join/"), Err(LinkError::Damaged));
    assert_eq!(Link::parse(&text.replace('#', "")), Err(LinkError::Damaged));
    assert_eq!(Link::parse(&format!("{}{}", *text, "A".repeat(MAX_LINK_LEN))), Err(LinkError::TooLong));
    assert_eq!(Link::parse(&"x".repeat(1 << 20)), Err(LinkError::TooLong));
}

#[test]
fn a_link_survives_a_mail_program() {
    let link = link(3, 2);
    let text = link.to_text();
    let mut wrapped = String::from("  \r\n");
    for (index, c) in text.chars().enumerate() {
        wrapped.push(c);
        if index % 70 == 69 {
            wrapped.push_str("\r\n ");
        }
    }
    assert_eq!(Link::parse(&wrapped), Ok(link.clone()));
    assert_eq!(Link::parse(&text.replacen("conclave", "Conclave", 1)), Ok(link));
}

#[test]
fn a_link_does_not_show_its_secret() {
    let link = link(1, 3);
    let shown = format!("{link:?}");
    assert!(!shown.contains(&format!("{:?}", *link.invite_seed)) && !shown.contains("topic"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read(seed in any::<u64>(), hints in 0..=MAX_HINTS, expires_ms in any::<u64>(), name in "[a-zäß日 ]{0,30}") {
        let mut link = link(hints, seed);
        link.expires_ms = expires_ms;
        link.room_name = name.trim().to_owned();
        prop_assert_eq!(Link::parse(&link.to_text()), Ok(link));
    }

    #[test]
    fn any_changed_missing_doubled_or_swapped_character_is_noticed(seed in 0_u64..20, at in 0_usize..2_000, to in "[A-Za-z0-9_-]") {
        let text = link(2, seed).to_text().to_string();
        let start = "conclave://join/1#".len();
        let at = start + at % (text.len() - start);
        let to = to.chars().next().unwrap();
        let mut changed = text.clone().into_bytes();
        changed[at] = to as u8;
        if changed != text.as_bytes() {
            prop_assert_eq!(Link::parse(std::str::from_utf8(&changed).unwrap()), Err(LinkError::Damaged));
        }
        let mut missing = text.clone();
        missing.remove(at);
        prop_assert_eq!(Link::parse(&missing), Err(LinkError::Damaged));
        let mut added = text.clone();
        added.insert(at, to);
        prop_assert_eq!(Link::parse(&added), Err(LinkError::Damaged));
        let mut swapped = text.clone().into_bytes();
        if at + 1 < swapped.len() && swapped[at] != swapped[at + 1] {
            swapped.swap(at, at + 1);
            prop_assert_eq!(Link::parse(std::str::from_utf8(&swapped).unwrap()), Err(LinkError::Damaged));
        }
        prop_assert_eq!(Link::parse(&text[..at]), Err(LinkError::Damaged));
    }

    #[test]
    fn any_text_is_a_link_or_an_error(text in "(conclave://join/1#)?\\PC{0,200}") {
        let _ = Link::parse(&text);
    }
}

#[test]
fn a_room_that_does_not_know_who_made_the_link_does_not_bear_it_out() {
    use conclave_protocol::room::{CreateRoom, Room};
    let founder = crate::support::Person::new("Founder", 7).me();
    let wish = CreateRoom { name: "The room".to_owned(), approval: true, full_history: true };
    let (room, _) = Room::create(founder.clone(), wish, 1, 1_800_000_000_000, &mut Seeded(1)).unwrap();
    let own = Link { room: room.id(), inviter: founder.key.id(), admin: founder.card.account, ..link(1, 3) };
    assert!(own.is_borne_out_by(room.acl()));
    assert!(!Link { inviter: DeviceId([9; 32]), ..own.clone() }.is_borne_out_by(room.acl()));
    assert!(!Link { admin: AccountId([9; 32]), ..own }.is_borne_out_by(room.acl()));
}
