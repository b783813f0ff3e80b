use std::collections::BTreeMap;

use conclave_protocol::codes::*;
use conclave_protocol::id::{AccountId, RoomId};
use conclave_protocol::verification::*;
use data_encoding::HEXLOWER;
use proptest::prelude::*;

#[derive(serde::Deserialize)]
struct Vectors {
    call: Vec<BTreeMap<String, String>>,
    pairwise: Vec<BTreeMap<String, String>>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../../docs/vectors/codes.json")).unwrap()
}

fn bytes(vector: &BTreeMap<String, String>, key: &str) -> [u8; 32] {
    HEXLOWER.decode(vector[key].as_bytes()).unwrap().try_into().unwrap()
}

#[test]
fn call_codes_are_those_of_the_published_vectors() {
    assert!(vectors().call.len() >= 3);
    for vector in vectors().call {
        let code = CallCode::new(&bytes(&vector, "epoch_authenticator"), &RoomId(bytes(&vector, "room"))).unwrap();
        assert_eq!(code.to_string(), vector["code"]);
        assert_eq!(code.to_string().bytes().filter(u8::is_ascii_digit).count(), 30);
    }
}

#[test]
fn pairwise_codes_are_those_of_the_published_vectors() {
    assert!(vectors().pairwise.len() >= 3);
    for vector in vectors().pairwise {
        let (one, other) = (AccountId(bytes(&vector, "one")), AccountId(bytes(&vector, "other")));
        let code = PairwiseCode::new(one, other).unwrap();
        assert_eq!(code.to_string(), vector["code"]);
        assert_eq!(code.to_string().bytes().filter(u8::is_ascii_digit).count(), 45);
        assert_eq!(code.link().to_string(), vector["link"]);
        assert!(vector["hash"].starts_with(&HEXLOWER.encode(&code.link().hash)));
    }
}

#[test]
fn a_scan_verifies_the_same_two_people_and_nobody_else() {
    let [ada, bob, eve] = [1, 2, 3].map(|byte| AccountId([byte; 32]));
    let (here, there) = (PairwiseCode::new(ada, bob).unwrap(), PairwiseCode::new(bob, ada).unwrap());
    assert_eq!(here.check(&there.link().to_string()), Ok(()));
    assert_eq!(here.check(&format!(" {}\n", there.link())), Ok(()));
    // Someone in between shows each side a code of their own.
    let between = PairwiseCode::new(eve, ada).unwrap();
    assert_eq!(here.check(&between.link().to_string()), Err(VerifyError::OtherPeople));
    // The right people and digits that were made up.
    let forged = VerifyLink { hash: between.link().hash, ..*here.link() };
    assert_eq!(here.check(&forged.to_string()), Err(VerifyError::OtherPeople));
    assert_eq!(PairwiseCode::new(ada, ada), Err(CodeError::OnePerson));
}

#[test]
fn each_kind_of_bad_scan_has_its_own_error() {
    let code = PairwiseCode::new(AccountId([1; 32]), AccountId([2; 32])).unwrap();
    let text = code.link().to_string();
    for other in ["", "conclave://join/1#abc", "https://example.org/verify/1#", &"x".repeat(1 << 16)] {
        assert_eq!(VerifyLink::parse(other), Err(VerifyError::NotALink));
    }
    assert_eq!(VerifyLink::parse(&text.replace("verify/1#", "verify/2#")), Err(VerifyError::Version));
    assert_eq!(VerifyLink::parse(&text.replace('#', "")), Err(VerifyError::Damaged));
    assert_eq!(VerifyLink::parse("conclave://verify/1#"), Err(VerifyError::Damaged));
    for end in text.len() - 10..text.len() {
        assert_eq!(VerifyLink::parse(&text[..end]), Err(VerifyError::Damaged));
    }
    let [one, other] = code.link().people;
    let turned = VerifyLink { people: [other, one], ..*code.link() };
    assert_eq!(VerifyLink::parse(&turned.to_string()), Err(VerifyError::Damaged));
}

#[test]
fn another_key_under_a_known_name_is_changed_until_accepted_or_verified() {
    let [ada, new, third] = [1, 2, 3].map(|byte| AccountId([byte; 32]));
    let (mut pins, mut marks) = (Pins::default(), Marks::default());
    assert!(pins.see("Ada", ada, 10));
    assert!(!pins.see("Ada", ada, 11), "a second device of hers is no news");
    assert!(!pins.is_changed("Ada", &ada, &marks));
    assert!(pins.see("Ada", new, 20));
    assert!(pins.see("Ada", third, 30));
    assert!(pins.is_changed("Ada", &new, &marks) && pins.is_changed("Ada", &third, &marks));
    assert!(!pins.is_changed("Ada", &ada, &marks), "the first stays who it was");
    assert!(pins.accept("Ada", &new));
    assert!(!pins.accept("Ada", &new));
    assert!(!pins.is_changed("Ada", &new, &marks));
    assert!(marks.verify(third, 40) && marks.verify(third, 50));
    assert_eq!(marks.since(&third), Some(40));
    assert!(!pins.is_changed("Ada", &third, &marks));
    assert!(marks.clear(&third) && !marks.clear(&third));
    assert!(pins.is_changed("Ada", &third, &marks), "what only a mark vouched for is changed again without it");
    assert!(!pins.is_changed("Bob", &third, &marks), "a name that nobody had");
    let seen: Vec<_> = pins.history("Ada").iter().map(|key| (key.account, key.since_ms, key.accepted)).collect();
    assert_eq!(seen, [(ada, 10, true), (new, 20, true), (third, 30, false)]);
}

#[test]
fn a_flood_of_names_and_keys_is_bounded_and_forgets_nobody_who_was_accepted() {
    let account = |number: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        AccountId(bytes)
    };
    let (mut pins, marks) = (Pins::default(), Marks::default());
    pins.see("Ada", account(0), 0);
    for number in 1..1_000 {
        pins.see("Ada", account(number), 1);
        assert!(pins.history("Ada").len() <= MAX_HISTORY);
        assert!(pins.is_changed("Ada", &account(number), &marks));
    }
    assert!(!pins.is_changed("Ada", &account(0), &marks));
    assert!(pins.is_changed("Ada", &account(5), &marks), "forgotten, and still not taken for her");
    for number in 0..2 * MAX_PINS as u32 {
        pins.see(&format!("name {number}"), account(number), 1);
    }
    assert_eq!(pins.history("name 1").len(), 1);
    assert!(!pins.see("one more", account(7), 1));
    assert!(!pins.see(&"x".repeat(10_000), account(7), 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn both_sides_see_one_pairwise_code(one in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        prop_assume!(one != other);
        let here = PairwiseCode::new(AccountId(one), AccountId(other)).unwrap();
        let there = PairwiseCode::new(AccountId(other), AccountId(one)).unwrap();
        prop_assert_eq!(here, there);
        prop_assert_eq!(VerifyLink::parse(&here.link().to_string()), Ok(*there.link()));
    }

    #[test]
    fn another_room_or_epoch_has_another_call_code(room in any::<[u8; 32]>(), epoch in any::<[u8; 32]>(), bit in 0..256_usize) {
        let code = CallCode::new(&epoch, &RoomId(room)).unwrap();
        let mut other = epoch;
        other[bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(code, CallCode::new(&other, &RoomId(room)).unwrap());
        prop_assert_eq!(code, CallCode::new(&epoch, &RoomId(room)).unwrap());
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), tail in "[A-Za-z0-9_-]{0,200}") {
        let _ = VerifyLink::parse(&text);
        let _ = VerifyLink::parse(&format!("conclave://verify/1#{tail}"));
    }

    #[test]
    fn what_is_kept_comes_back(names in proptest::collection::vec((".{1,8}", any::<[u8; 32]>(), any::<u64>()), 0..20)) {
        let (mut pins, mut marks) = (Pins::default(), Marks::default());
        for (name, account, now_ms) in &names {
            pins.see(name, AccountId(*account), *now_ms);
            marks.verify(AccountId(*account), *now_ms);
        }
        prop_assert_eq!(minicbor::decode::<Pins>(&minicbor::to_vec(&pins).unwrap()).unwrap(), pins);
        prop_assert_eq!(minicbor::decode::<Marks>(&minicbor::to_vec(&marks).unwrap()).unwrap(), marks);
    }
}
