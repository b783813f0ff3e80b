//! Keys, seals, names and device lists.

use conclave_protocol::id::{DeviceId, RoomId, SealKey};
use conclave_protocol::identity::*;
use conclave_protocol::wire::Signed;

use crate::support::*;

#[test]
fn a_signature_holds_for_its_label_room_payload_and_key_alone() {
    let key = DeviceKey::generate(&mut Seeded(1));
    let room = RoomId([3; 32]);
    let sig = key.sign("conclave/test/1", &room, b"payload");
    let id = *key.id().as_bytes();
    assert_eq!(verify(&id, "conclave/test/1", &room, b"payload", &sig), Ok(()));
    assert_eq!(verify(&id, "conclave/test/2", &room, b"payload", &sig), Err(BadSignature));
    assert_eq!(verify(&id, "conclave/test/1", &RoomId([4; 32]), b"payload", &sig), Err(BadSignature));
    assert_eq!(verify(&id, "conclave/test/1", &room, b"payloae", &sig), Err(BadSignature));
    let other = DeviceKey::generate(&mut Seeded(2));
    assert_eq!(verify(other.id().as_bytes(), "conclave/test/1", &room, b"payload", &sig), Err(BadSignature));
    // The neutral element as a key would accept anything under the lax rule.
    let mut weak = [0; 32];
    weak[0] = 1;
    let mut weak_sig = [0; 64];
    weak_sig[0] = 1;
    assert_eq!(verify(&weak, "conclave/test/1", &room, b"payload", &weak_sig), Err(BadSignature));
    assert_eq!(DeviceKey::from_seed(&key.seed()).id(), key.id());
    assert!(!format!("{key:?}").contains(&data_encoding::HEXLOWER.encode(key.seed().as_ref())));
}

#[test]
fn what_is_sealed_opens_for_its_device_and_context_alone() {
    let mut rng = Seeded(5);
    let key = DeviceKey::generate(&mut rng);
    let other = DeviceKey::generate(&mut rng);
    let sealed = seal(key.seal_key(), b"context", b"secret", &mut rng);
    assert_eq!(sealed.len(), 6 + SEAL_OVERHEAD);
    assert_eq!(key.open_sealed(b"context", &sealed).unwrap().as_slice(), b"secret");
    assert!(other.open_sealed(b"context", &sealed).is_err());
    assert!(key.open_sealed(b"contexu", &sealed).is_err());
    assert_ne!(sealed, seal(key.seal_key(), b"context", b"secret", &mut rng));
    for at in 0..sealed.len() {
        let mut bent = sealed.clone();
        bent[at] ^= 1;
        assert!(key.open_sealed(b"context", &bent).is_err());
        assert!(key.open_sealed(b"context", &sealed[..at]).is_err());
    }
}

#[test]
fn a_device_list_is_a_chain_signed_by_its_account() {
    let mut rng = Seeded(6);
    let account = AccountKey::generate(&mut rng);
    let keys: Vec<DeviceKey> = (0..3).map(|_| DeviceKey::generate(&mut rng)).collect();
    let listed = |key: &DeviceKey| ListedDevice { device: key.id(), seal_key: key.seal_key() };
    let mut list = DeviceList::found(&account, listed(&keys[0]), 1);
    list.extend(&account, vec![listed(&keys[0]), listed(&keys[1])], 2).unwrap();
    list.extend(&account, vec![listed(&keys[1])], 3).unwrap();
    assert_eq!(DeviceList::parse(list.chain().to_vec()).unwrap(), list);
    assert_eq!(list.head().version, 3);

    let chain = list.chain().to_vec();
    assert_eq!(DeviceList::parse(vec![]), Err(IdentityError::Chain));
    assert_eq!(DeviceList::parse(chain[1..].to_vec()), Err(IdentityError::Chain));
    assert_eq!(DeviceList::parse(vec![chain[0].clone(), chain[2].clone()]), Err(IdentityError::Chain));
    let mut bent = chain.clone();
    bent[1].sig[0] ^= 1;
    assert_eq!(DeviceList::parse(bent), Err(IdentityError::Signature(BadSignature)));
    let stranger = AccountKey::generate(&mut rng);
    assert_eq!(list.extend(&stranger, vec![], 4), Err(IdentityError::Chain));

    assert!(MemberCard::new(&keys[1], &list, "Second").is_ok());
    assert_eq!(MemberCard::new(&keys[0], &list, "First"), Err(IdentityError::NotListed), "no longer in the list");
}

#[test]
fn a_card_with_anything_changed_is_refused() {
    let card = person("Carla").card;
    assert_eq!(card.check(), Ok(()));
    let bad = [
        MemberCard { device: DeviceId([9; 32]), ..card.clone() },
        MemberCard { seal_key: SealKey([9; 32]), ..card.clone() },
        MemberCard { seal_key: SealKey([0; 32]), ..card.clone() },
        MemberCard { account: person("Other").card.account, ..card.clone() },
        MemberCard { account_proof: person("Other").card.account_proof, ..card.clone() },
        MemberCard { account_proof: Signed { payload: vec![], sig: [0; 64] }, ..card.clone() },
        MemberCard { name: String::new(), ..card.clone() },
    ];
    for card in bad {
        assert!(card.check().is_err(), "{card:?}");
    }
    for name in ["", " ", " a", "a\n", "\u{200b}", "x\u{202e}y", &"n".repeat(129)] {
        assert_eq!(check_name(name), Err(IdentityError::Name), "{name:?}");
    }
    for name in ["a", "Zoë 🦊", "李 小龙", "👩‍👩‍👧", "العربية"] {
        assert_eq!(check_name(name), Ok(()), "{name:?}");
    }
}
