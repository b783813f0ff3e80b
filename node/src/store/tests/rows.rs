//! What is put is there, in its order and its room, and nowhere readable.

use conclave_protocol::id::{DeviceId, OpHash};

use super::{create, directory, identity, open, room};
use crate::store::{Batch, InviteSecret};

#[test]
fn everything_is_there_after_a_reopen() {
    let dir = directory();
    let invite = InviteSecret { invite: OpHash([3; 32]), seed: [9; 32], uses: 5, used: 2, expires_ms: 77 };
    let mut store = create(dir.path());
    assert_eq!(store.identity().unwrap(), None);
    store.save_identity(&identity("Ada")).unwrap();
    store.put_records(&room(1), &[(b"k1".to_vec(), b"v1".to_vec()), (b"k2".to_vec(), b"v2".to_vec())]).unwrap();
    store
        .commit(&[Batch::new()
            .setting("theme", Some("dark"))
            .read_mark(&room(1), &OpHash([4; 32]))
            .invite(&room(1), &invite)
            .note(None, "greeted", Some(b"yes"))
            .note(Some(&room(1)), "greeted", Some(b"no"))
            .addresses(&DeviceId([5; 32]), &["/ip4/10.0.0.1/tcp/1".to_owned()])])
        .unwrap();
    store.close().unwrap();

    let store = open(dir.path()).unwrap();
    assert_eq!(store.identity().unwrap(), Some(identity("Ada")));
    assert_eq!(store.rooms().unwrap(), vec![room(1)]);
    assert_eq!(store.load_records(&room(1)).unwrap(), vec![(b"k1".to_vec(), b"v1".to_vec()), (b"k2".to_vec(), b"v2".to_vec())]);
    assert_eq!(store.setting("theme").unwrap().as_deref(), Some("dark"));
    assert_eq!(store.setting("language").unwrap(), None);
    assert_eq!(store.read_mark(&room(1)).unwrap(), Some(OpHash([4; 32])));
    assert_eq!(store.invites(&room(1)).unwrap(), vec![invite]);
    assert_eq!(store.note(None, "greeted").unwrap().as_deref(), Some(b"yes".as_slice()));
    assert_eq!(store.note(Some(&room(1)), "greeted").unwrap().as_deref(), Some(b"no".as_slice()));
    assert_eq!(store.addresses().unwrap(), vec![(DeviceId([5; 32]), vec!["/ip4/10.0.0.1/tcp/1".to_owned()])]);
}

#[test]
fn records_come_back_in_the_order_in_which_they_came() {
    let dir = directory();
    let mut store = create(dir.path());
    let keys: Vec<Vec<u8>> = (0..100_u8).map(|number| vec![number.wrapping_mul(37)]).collect();
    for chunk in keys.chunks(7) {
        let records: Vec<_> = chunk.iter().map(|key| (key.clone(), key.clone())).collect();
        store.put_records(&room(1), &records).unwrap();
    }
    drop(store);
    let mut store = open(dir.path()).unwrap();
    // Put again, with another value: the place stays.
    store.put_records(&room(1), &[(keys[3].clone(), b"again".to_vec())]).unwrap();
    store.put_records(&room(1), &[(b"last".to_vec(), Vec::new())]).unwrap();
    let found = store.load_records(&room(1)).unwrap();
    let found_keys: Vec<_> = found.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(found_keys, keys.iter().cloned().chain([b"last".to_vec()]).collect::<Vec<_>>());
    assert_eq!(found[3].1, b"again");
}

#[test]
fn a_deleted_room_is_gone_and_its_neighbour_stays() {
    let dir = directory();
    let mut store = create(dir.path());
    for number in [1, 2] {
        store.put_records(&room(number), &[(b"k".to_vec(), vec![number])]).unwrap();
        store
            .commit(&[Batch::new().read_mark(&room(number), &OpHash([4; 32])).note(Some(&room(number)), "n", Some(b"x"))])
            .unwrap();
    }
    store.commit(&[Batch::new().delete_room(&room(1))]).unwrap();
    drop(store);
    let store = open(dir.path()).unwrap();
    assert_eq!(store.rooms().unwrap(), vec![room(2)]);
    assert!(store.load_records(&room(1)).unwrap().is_empty());
    assert_eq!(store.read_mark(&room(1)).unwrap(), None);
    assert_eq!(store.note(Some(&room(1)), "n").unwrap(), None);
    assert_eq!(store.load_records(&room(2)).unwrap().len(), 1);
    assert!(store.read_mark(&room(2)).unwrap().is_some());
}

#[test]
fn a_room_that_is_deleted_and_written_again_in_one_batch_is_there() {
    let dir = directory();
    let mut store = create(dir.path());
    let batch = Batch::new().record(&room(1), b"a", b"1").delete_room(&room(1)).record(&room(1), b"b", b"2");
    store.commit(&[batch]).unwrap();
    assert_eq!(store.rooms().unwrap(), vec![room(1)]);
    assert_eq!(store.load_records(&room(1)).unwrap(), vec![(b"b".to_vec(), b"2".to_vec())]);
}

#[test]
fn a_batch_with_a_value_too_long_leaves_nothing() {
    let dir = directory();
    let mut store = create(dir.path());
    let batch = Batch::new().setting("small", Some("1")).record(&room(1), b"k", &vec![0; 5 * 1024 * 1024]);
    assert!(store.commit(&[batch]).is_err());
    assert_eq!(store.setting("small").unwrap(), None);
    store.commit(&[Batch::new().setting("small", Some("2"))]).unwrap();
    assert_eq!(store.setting("small").unwrap().as_deref(), Some("2"));
}

#[test]
fn nothing_that_was_put_can_be_read_in_any_file() {
    const MARKER: &str = "xyzzy-plaintext-marker";
    let dir = directory();
    let mut store = create(dir.path());
    store.save_identity(&identity(MARKER)).unwrap();
    let marked = room(0x5a);
    for number in 0..200_u32 {
        let key = [MARKER.as_bytes(), &number.to_be_bytes()].concat();
        store.put_records(&marked, &[(key, MARKER.repeat(20).into_bytes())]).unwrap();
    }
    let invite = InviteSecret { invite: OpHash([3; 32]), seed: [0x77; 32], uses: 5, used: 2, expires_ms: 77 };
    store
        .commit(&[Batch::new()
            .setting(MARKER, Some(MARKER))
            .note(Some(&marked), MARKER, Some(MARKER.as_bytes()))
            .invite(&marked, &invite)
            .addresses(&DeviceId([0x33; 32]), &[MARKER.to_owned()])])
        .unwrap();
    store.close().unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for secret in [MARKER.as_bytes(), marked.as_bytes(), &[0x77; 32], &[0x33; 32], &[7; 32], &[8; 32], b"open sesame"] {
                assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{secret:?} in {}", path.display());
            }
        }
    }
}

#[test]
fn a_row_moved_to_another_place_does_not_open() {
    use crate::store::records::tests_support::swap_two_settings;
    let dir = directory();
    let mut store = create(dir.path());
    store.commit(&[Batch::new().setting("a", Some("1")).setting("b", Some("2"))]).unwrap();
    swap_two_settings(&store);
    assert!(matches!(store.setting("a"), Err(crate::store::StoreError::Damaged { .. })));
    drop(store);
    assert!(matches!(open(dir.path()), Err(crate::store::StoreError::Damaged { aside: Some(_), .. })));
}
