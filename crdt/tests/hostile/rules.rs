//! Each rule alone: a change that breaks it and no other is refused, and for that reason.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, Change as Raw, ExpandedChange, ObjType, ReadDoc, ScalarValue};
use conclave_crdt::{Board, Change, PageId, Refusal, Style};

use crate::mallory::{MALLORY, wrap};
use crate::support::{add, board, edit, id, outgoing, page, rect, seen};

/// The first page's document, as Mallory has it: hers to write in without any rule.
pub(crate) fn document(from: &Board) -> Automerge {
    let saved = from.save_page(PageId::FIRST).unwrap();
    Automerge::load(&saved).unwrap().with_actor(ActorId::from(MALLORY.0))
}

/// A board with something on it.
fn victim() -> Board {
    let mut board = board(1);
    edit(&mut board, &[add(id(1), rect(0.0, 0.0)), add(id(2), crate::support::note("text"))]);
    board
}

/// What Mallory commits, as an expanded change.
fn commit(document: &mut Automerge, write: impl FnOnce(&mut automerge::transaction::Transaction<'_>)) -> ExpandedChange {
    let mut change = document.transaction();
    write(&mut change);
    change.commit_with(CommitOptions::default().with_time(0));
    document.get_last_local_change().unwrap().decode()
}

fn element(document: &Automerge, number: u128) -> automerge::ObjId {
    let (_, elements) = document.get(automerge::ROOT, "els").unwrap().unwrap();
    document.get(&elements, id(number).as_str()).unwrap().unwrap().1
}

/// A good change: an element is locked.
fn good(board: &Board) -> ExpandedChange {
    let mut document = document(board);
    let target = element(&document, 1);
    commit(&mut document, |change| change.put(&target, "l", true).unwrap())
}

fn bytes(change: ExpandedChange) -> Vec<u8> {
    Raw::from(change).raw_bytes().to_vec()
}

/// The change is refused for this reason, and nothing is different.
fn refused(change: &[u8], reason: Refusal) {
    refused_as(change, &[reason]);
}

/// The same, for one of these reasons: Automerge's own reader looks first, and may stop at another of the faults.
fn refused_as(change: &[u8], reasons: &[Refusal]) {
    let mut board = victim();
    let before = (seen(&board), board.page_heads(PageId::FIRST));
    let merged = board.merge(wrap(change));
    let why: Vec<Refusal> = merged.refused.keys().copied().collect();
    assert!(why.len() == 1 && reasons.contains(&why[0]), "{why:?} instead of {reasons:?}");
    assert_eq!((seen(&board), board.page_heads(PageId::FIRST)), before);
    // An honest person is still served.
    edit(&mut board, &[add(id(9), rect(1.0, 1.0))]);
    assert!(board.save_page(PageId::FIRST).is_some());
}

fn with(change: impl FnOnce(&mut ExpandedChange)) -> Vec<u8> {
    let mut expanded = good(&victim());
    change(&mut expanded);
    bytes(expanded)
}

/// A change by Mallory's hand that her own Automerge takes.
fn written(write: impl FnOnce(&mut automerge::transaction::Transaction<'_>, automerge::ObjId, automerge::ObjId)) -> Vec<u8> {
    let mut document = document(&victim());
    let (_, elements) = document.get(automerge::ROOT, "els").unwrap().unwrap();
    let target = element(&document, 1);
    bytes(commit(&mut document, |change| write(change, elements, target)))
}

#[test]
fn the_change_that_the_others_are_made_of_is_taken() {
    let mut board = victim();
    let merged = board.merge(wrap(&with(|_| {})));
    assert_eq!((merged.applied, merged.refused.len()), (1, 0));
    assert!(page(&board).get(&id(1)).unwrap().locked);
}

#[test]
fn rule_1_only_an_uncompressed_change_of_at_most_64_kib_is_read() {
    let document = document(&victim());
    refused(&document.save(), Refusal::NotAChange);
    refused(b"", Refusal::NotAChange);
    let mut other_type = with(|_| {});
    other_type[8] = 2;
    refused(&other_type, Refusal::NotAChange);
    let mut other_magic = with(|_| {});
    other_magic[0] ^= 1;
    refused(&other_magic, Refusal::NotAChange);
    let mut other_sum = with(|_| {});
    other_sum[5] ^= 1;
    refused_as(&other_sum, &[Refusal::NotAChange, Refusal::NotCanonical]);
    refused(&vec![0x85; 64 * 1024 + 1], Refusal::NotAChange);
    // What Automerge itself deflates is refused though all in it is good.
    let long = written(|change, _, target| {
        let text = change.put_object(&target, "t", ObjType::Text).unwrap();
        change.splice_text(&text, 0, 0, &"a".repeat(2000)).unwrap();
    });
    let mut raw = Raw::from_bytes(long).unwrap();
    let deflated = raw.bytes().into_owned();
    assert_eq!(deflated[8], 2);
    refused(&deflated, Refusal::NotAChange);
}

#[test]
fn abuse_36_a_deflate_bomb_is_refused_before_it_is_unpacked() {
    // Type 2, a length, and deflated zeros of 512 MiB, as far as anyone reads.
    let mut bomb = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 2, 0x80, 0x80, 0x02];
    bomb.extend(std::iter::repeat_n([0xec, 0xc1, 0x01, 0x01, 0, 0, 0, 0x80, 0x90, 0xfe, 0xaf, 0xee], 2000).flatten());
    refused(&bomb, Refusal::NotAChange);
}

#[test]
fn rule_2_nobody_writes_as_another_and_no_number_comes_twice_or_is_left_out() {
    refused(&with(|change| change.actor_id = ActorId::from([1; 16])), Refusal::ForeignActor);
    refused(&with(|change| change.actor_id = ActorId::from([0; 16])), Refusal::ForeignActor);
    refused(&with(|change| change.actor_id = ActorId::from([66; 15])), Refusal::ForeignActor);
    refused(&with(|change| change.seq = 2), Refusal::OutOfSequence);
    refused(&with(|change| change.seq = u64::MAX), Refusal::OutOfSequence);
    // Two changes with one number.
    let mut board = victim();
    board.merge(wrap(&with(|_| {})));
    let other = written(|change, _, target| change.put(&target, "l", false).unwrap());
    let merged = board.merge(wrap(&other));
    assert!(merged.is_forked() && merged.applied == 0);
}

#[test]
fn rule_2_a_change_builds_on_its_authors_last() {
    let mut board = victim();
    let first = with(|_| {});
    let mut document = document(&board);
    let target = element(&document, 1);
    commit(&mut document, |change| change.put(&target, "l", true).unwrap());
    let second = commit(&mut document, |change| change.put(&target, "l", false).unwrap());
    let mut apart = good(&board);
    apart.seq = 2;
    board.merge(wrap(&first));
    let merged = board.merge(wrap(&bytes(apart)));
    assert_eq!(merged.refused.keys().copied().collect::<Vec<_>>(), [Refusal::OutOfSequence]);
    assert_eq!(board.merge(wrap(&bytes(second))).applied, 1);
}

#[test]
fn rule_3_what_builds_on_nothing_known_waits_and_is_never_applied() {
    let mut board = victim();
    let orphan = with(|change| change.deps[0] = automerge::ChangeHash([9; 32]));
    let before = seen(&board);
    let merged = board.merge(wrap(&orphan));
    assert_eq!((merged.applied, board.waiting()), (0, 1));
    assert_eq!(seen(&board), before);
    board.merge(wrap(&orphan));
    assert_eq!(board.waiting(), 1, "once is enough");
    refused(&with(|change| change.deps.clear()), Refusal::BadReference);
}

#[test]
fn rule_4_operations_are_numbered_from_the_next_and_are_few() {
    for start in [1, 2, 1 << 40, u64::MAX - 1] {
        let numbered = with(|change| change.start_op = start.try_into().unwrap());
        refused_as(&numbered, &[Refusal::BadCounter, Refusal::NotAChange]);
    }
    refused(&with(|change| change.operations.clear()), Refusal::BadCounter);
    let many = with(|change| {
        let op = change.operations[0].clone();
        change.operations = vec![op; 4097];
    });
    let mut board = victim();
    let merged = board.merge(wrap(&many));
    assert_eq!(merged.applied, 0);
    assert!(
        merged.refused.keys().all(|reason| [Refusal::BadCounter, Refusal::NotAChange].contains(reason)),
        "{:?}",
        merged.refused
    );
}

#[test]
fn rule_5_what_an_operation_refers_to_exists_in_its_past() {
    use automerge::legacy::{ObjectId, OpId};
    refused(&with(|change| change.operations[0].obj = ObjectId::Id(OpId(9999, ActorId::from([1; 16])))), Refusal::BadReference);
    refused(&with(|change| change.operations[0].obj = ObjectId::Id(OpId(2, ActorId::from([7; 16])))), Refusal::BadReference);
    let nothing_there = with(|change| change.operations[0].pred = [OpId(3, ActorId::from([1; 16]))].into_iter().collect());
    refused(&nothing_there, Refusal::BadReference);
    // A delete of what is not there.
    refused(&with(|change| change.operations[0].action = automerge::legacy::OpType::Delete), Refusal::BadReference);
    // What one builds on did not know the element yet.
    let mut one = victim();
    let old = document(&one);
    outgoing(&mut one);
    edit(&mut one, &[add(id(5), rect(0.0, 0.0))]);
    let mut new = document(&one);
    let target = element(&new, 5);
    let mut change = commit(&mut new, |change| change.put(&target, "l", true).unwrap());
    change.deps = old.get_heads();
    change.start_op = (Raw::from(good(&victim())).start_op().get()).try_into().unwrap();
    let merged = one.merge(wrap(&bytes(change)));
    assert_eq!(merged.refused.keys().copied().collect::<Vec<_>>(), [Refusal::BadReference]);
}

/// The same content in other bytes: Automerge reads them, and would call the change by another name than everybody else's.
#[test]
fn rule_6_what_is_encoded_in_another_way_is_refused_however_good_its_content() {
    let good = with(|_| ());
    let start = super::mutants::header(&good);
    let content = Raw::from_bytes(good.clone()).unwrap().decode();
    let mut found = 0;
    for at in start..good.len() {
        for byte in [0x01, 0x7e, 0x7f, 0x80, 0x81, 0xff] {
            let mut body = good[start..].to_vec();
            let place = at - start;
            body[place] = byte;
            let (before, after) = (&good[start..at], &good[at + 1..]);
            let longer = [before, &[good[at] | 0x80, 0], after].concat();
            for other in [body, longer].map(|body| super::mutants::chunk(&body)) {
                let read = std::panic::catch_unwind(|| Raw::from_bytes(other.clone()).ok().map(|change| change.decode()));
                let Ok(Some(decoded)) = read else { continue };
                let same = ExpandedChange { hash: None, ..decoded } == ExpandedChange { hash: None, ..content.clone() };
                if other != good && same {
                    found += 1;
                    refused(&other, Refusal::NotCanonical);
                }
            }
        }
    }
    assert!(found > 0, "Automerge reads one form alone, and the rule is for nothing");
}

#[test]
fn rule_6_a_change_has_one_form() {
    // The same content with bytes after it that the checksum covers.
    refused(&with(|change| change.extra_bytes = vec![1, 2, 3]), Refusal::Schema);
    refused(&with(|change| change.message = Some("hello".to_owned())), Refusal::Schema);
    refused(&with(|change| change.time = 77), Refusal::Schema);
}

#[test]
fn rule_7_only_what_the_schema_needs_is_taken() {
    let schema = |write: &dyn Fn(&mut automerge::transaction::Transaction<'_>, automerge::ObjId, automerge::ObjId)| {
        refused(&written(|change, elements, target| write(change, elements, target)), Refusal::Schema);
    };
    schema(&|change, _, _| change.put(automerge::ROOT, "v", 99u64).unwrap());
    schema(&|change, _, _| drop(change.put_object(automerge::ROOT, "els", ObjType::Map).unwrap()));
    schema(&|change, _, _| change.put(automerge::ROOT, "x".repeat(60_000).as_str(), 1u64).unwrap());
    schema(&|change, elements, _| drop(change.put_object(&elements, "../../../etc", ObjType::Map).unwrap()));
    schema(&|change, elements, _| drop(change.put_object(&elements, id(8).as_str(), ObjType::List).unwrap()));
    schema(&|change, elements, _| change.put(&elements, id(8).as_str(), 1u64).unwrap());
    schema(&|change, _, target| change.put(&target, "k", 3u64).unwrap());
    schema(&|change, _, target| change.put(&target, "unknown", 3u64).unwrap());
    schema(&|change, _, target| change.put(&target, "z", "z".repeat(65)).unwrap());
    schema(&|change, _, target| change.put(&target, "z", "a b").unwrap());
    schema(&|change, _, target| change.delete(&target, "m").unwrap());
    schema(&|change, _, target| change.put(&target, "l", ScalarValue::Null).unwrap());
    schema(&|change, _, target| change.put(&target, "l", ScalarValue::counter(1)).unwrap());
    schema(&|change, _, target| change.put(&target, "s", vec![0xff; 200]).unwrap());
    schema(&|change, _, target| change.put(&target, "d", vec![0, 0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap());
    schema(&|change, _, target| change.put(&target, "a", Style::default().encode()).unwrap());
    schema(&|change, _, target| change.put(&target, "i", "https://example.org/?x").unwrap());
    schema(&|change, _, target| drop(change.put_object(&target, "t", ObjType::List).unwrap()));
}

#[test]
fn abuse_38_nan_and_infinity_are_refused() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
        for place in 0..5 {
            let mut values = [1.0f32; 5];
            values[place] = bad;
            let packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            refused(&written(|change, _, target| change.put(&target, "m", packed.clone()).unwrap()), Refusal::Schema);
        }
    }
}

#[test]
fn rule_7_text_is_written_letter_by_letter_and_without_marks() {
    let mut document = document(&victim());
    let target = element(&document, 2);
    let (_, text) = document.get(&target, "t").unwrap().unwrap();
    let control = commit(&mut document, |change| change.splice_text(&text, 0, 0, "a\u{7}").unwrap());
    refused(&bytes(control), Refusal::Schema);
    let mut document = self::document(&victim());
    let marked = commit(&mut document, |change| {
        let mark = automerge::marks::Mark::new("bold".to_owned(), true, 0, 2);
        change.mark(&text, mark, automerge::marks::ExpandMark::None).unwrap();
    });
    refused(&bytes(marked), Refusal::Schema);
}

#[test]
fn a_change_for_a_document_that_no_page_names_changes_nothing() {
    let mut board = victim();
    let elsewhere = Change { document: "nowherenowhe".parse().unwrap(), bytes: with(|_| {}) };
    for _ in 0..3000 {
        board.merge(vec![(MALLORY, elsewhere.clone())]);
    }
    assert!(board.waiting() <= 1024);
    assert_eq!(page(&board).len(), 2);
}
