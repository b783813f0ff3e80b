//! A second device of one person.

use conclave_protocol::identity::{AccountKey, DeviceKey, DeviceList, ListedDevice, MAX_DEVICES, MemberCard};
use conclave_protocol::linking::{LinkRequest, LinkingError, accept, answer};
use proptest::prelude::*;

use crate::support::Seeded;

const NOW: u64 = 1_800_000_000_000;

fn old(rng: &mut Seeded) -> (DeviceKey, AccountKey, DeviceList) {
    let (key, account) = (DeviceKey::generate(rng), AccountKey::generate(rng));
    let list = DeviceList::found(&account, ListedDevice { device: key.id(), seal_key: key.seal_key() }, NOW);
    (key, account, list)
}

#[test]
fn a_second_device_is_of_the_same_person() {
    let mut rng = Seeded(1);
    let (first, account, mut list) = old(&mut rng);
    let second = DeviceKey::generate(&mut rng);
    let shown = LinkRequest::new(&second).to_text();
    let request = LinkRequest::parse(&format!(" {}\n{} ", &shown[..40], &shown[40..])).unwrap();
    assert_eq!(request.device(), second.id());
    let reply = answer(&request, &account, &mut list, "Ada", NOW + 1, &mut rng).unwrap();
    let linked = accept(&reply, &second).unwrap();
    assert_eq!((linked.account.id(), linked.name.as_str()), (account.id(), "Ada"));
    assert_eq!(linked.list, list);
    assert_eq!(list.head().version, 2);
    // Each has a card of the person, which anyone can check.
    for key in [&first, &second] {
        MemberCard::new(key, &linked.list, "Ada").unwrap().check().unwrap();
    }
    assert_eq!(answer(&request, &account, &mut list, "Ada", NOW + 2, &mut rng), Err(LinkingError::Linked));
}

#[test]
fn an_answer_opens_for_no_other_device_and_not_when_it_was_changed() {
    let mut rng = Seeded(2);
    let (first, account, mut list) = old(&mut rng);
    let (second, third) = (DeviceKey::generate(&mut rng), DeviceKey::generate(&mut rng));
    let reply = answer(&LinkRequest::new(&second), &account, &mut list, "Ada", NOW, &mut rng).unwrap();
    assert_eq!(accept(&reply, &third).unwrap_err(), LinkingError::OtherDevice);
    assert_eq!(accept(&reply, &first).unwrap_err(), LinkingError::OtherDevice);
    assert_eq!(accept(&reply[..reply.len() - 3], &second).unwrap_err(), LinkingError::Damaged);
    assert_eq!(accept(&LinkRequest::new(&second).to_text(), &second).unwrap_err(), LinkingError::NotACode);
    assert_eq!(LinkRequest::parse(&reply).unwrap_err(), LinkingError::NotACode);
}

#[test]
fn a_full_list_takes_nobody_and_stays_as_it_is() {
    let mut rng = Seeded(3);
    let (_, account, mut list) = old(&mut rng);
    for _ in 1..MAX_DEVICES {
        let device = DeviceKey::generate(&mut rng);
        answer(&LinkRequest::new(&device), &account, &mut list, "Ada", NOW, &mut rng).unwrap();
    }
    let before = list.clone();
    let one_more = LinkRequest::new(&DeviceKey::generate(&mut rng));
    assert_eq!(answer(&one_more, &account, &mut list, "Ada", NOW, &mut rng), Err(LinkingError::Full));
    assert_eq!(list, before);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), tail in "[A-Za-z0-9_-]{0,300}") {
        let key = DeviceKey::generate(&mut Seeded(4));
        for text in [text, format!("conclave://device/1#{tail}"), format!("conclave://linked/1#{tail}")] {
            prop_assert!(LinkRequest::parse(&text).is_err());
            prop_assert!(accept(&text, &key).is_err());
        }
    }
}
