//! Good changes with something wrong in them, and bytes flipped with the checksum repaired. What is taken must be taken by every peer alike,
//! in any order, and leave a document that saves and loads.

use automerge::legacy::{ElementId, Key, ObjectId, OpId, OpType};
use automerge::{ActorId, Change as Raw, ExpandedChange, ObjType, ScalarValue};
use conclave_crdt::{Actor, Board, Change, Edit, PageId, Place, Transform};

use super::mallory::{MALLORY, wrap};
use super::support::{Dice, add, board, edit, id, note, outgoing, rect, seen, stroke};

/// Rounds of one board: afterwards both begin anew, so that no document grows without end.
const A_BOARD: usize = 250;

#[test]
fn hostile_changes_neither_panic_nor_spoil_nor_divide() {
    let rounds = std::env::var("CONCLAVE_MUTANTS").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let seed = std::env::var("CONCLAVE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    // Automerge's own panics are caught, and would fill the screen.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let ours = panic.location().is_some_and(|place| place.file().contains("crdt/tests"));
        if ours {
            usual(panic);
        }
    }));
    let Outcome { taken, refused, escaped } = run(rounds, seed);
    println!("{taken} of {rounds} hostile changes obeyed every rule, {refused} were refused");
    assert!(taken > 0 && refused > rounds / 2);
    assert_eq!(escaped, 0, "boards that came to harm");
}

/// What became of hostile changes.
pub(crate) struct Outcome {
    pub(crate) taken: usize,
    pub(crate) refused: usize,
    /// Boards that panicked, would not save or load, or divided those who look at them.
    pub(crate) escaped: usize,
}

pub(crate) fn run(rounds: usize, seed: u64) -> Outcome {
    let mut dice = Dice(seed);
    let mut outcome = Outcome { taken: 0, refused: 0, escaped: 0 };
    let mut done = 0;
    while done < rounds {
        let count = A_BOARD.min(rounds - done);
        // Each board has chance of its own: that of one which came to harm says how to make it again.
        let own = dice.next();
        match std::panic::catch_unwind(|| one_board(&mut Dice(own), count)) {
            Ok((taken, refused)) => {
                outcome.taken += taken;
                outcome.refused += refused;
            }
            Err(_) => {
                eprintln!("the board of chance {own} came to harm");
                outcome.escaped += 1;
            }
        }
        done += count;
    }
    outcome
}

fn one_board(dice: &mut Dice, count: usize) -> (usize, usize) {
    let mut honest = board(1);
    edit(&mut honest, &[add(id(1), rect(0.0, 0.0)), add(id(2), note("a text to spoil")), add(id(3), stroke(dice))]);
    let mut log = outgoing(&mut honest);
    // Mallory's own board makes changes that are right, to be made wrong.
    let mut mallory = Board::new(MALLORY, 666).unwrap();
    mallory.merge(log.clone());
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..count {
        let mut draft = mallory.clone();
        let edits = [
            vec![add(dice.id(), rect(dice.float(10.0), 0.0))],
            vec![Edit::Transform { id: id(1), transform: Transform::new(dice.float(100.0), 0.0, 9.0, 9.0) }],
            vec![Edit::Splice { id: id(2), at: 1, delete: 2, insert: "xyz".to_owned() }],
            vec![Edit::Delete { id: id(3) }, Edit::Add { id: dice.id(), shape: note("new"), place: Place::Back }],
        ];
        let step = &edits[dice.below(edits.len())];
        if draft.edit(PageId::FIRST, step, 0).is_err() {
            draft.edit(PageId::FIRST, &[add(dice.id(), note("again"))], 0).unwrap();
        }
        let good = draft.take_changes().remove(0);
        let bytes = mutate(&good.bytes, dice);
        let change = wrap(&bytes);
        let before = honest.page_heads(PageId::FIRST);
        let merged = honest.merge(change.clone());
        if merged.applied > 0 {
            taken += merged.applied;
            log.extend(change.clone());
            mallory.merge(change);
        } else {
            refused += 1;
            assert_eq!(honest.page_heads(PageId::FIRST), before, "refused and yet different");
        }
    }
    // An honest person goes on, the page saves and loads, and whoever comes later sees the same, in whatever order it comes.
    edit(&mut honest, &[add(dice.id(), rect(5.0, 5.0))]);
    log.extend(outgoing(&mut honest));
    let saved = honest.save_page(PageId::FIRST).expect("the page saves");
    automerge::Automerge::load(&saved).expect("and loads");
    let mut late = board(9);
    for place in (1..log.len()).rev() {
        log.swap(place, dice.below(place + 1));
    }
    for letter in log {
        late.merge(vec![letter]);
    }
    assert!(seen(&late) == seen(&honest), "divided");
    assert_eq!(late.page_heads(PageId::FIRST), honest.page_heads(PageId::FIRST));
    (taken, refused)
}

fn mutate(good: &[u8], dice: &mut Dice) -> Vec<u8> {
    if dice.below(2) == 0 {
        return flip(good, dice);
    }
    let mut change = Raw::from_bytes(good.to_vec()).unwrap().decode();
    for _ in 0..1 + dice.below(2) {
        spoil(&mut change, dice);
    }
    let actor = change.actor_id.clone();
    match std::panic::catch_unwind(|| Raw::from(change).raw_bytes().to_vec()) {
        Ok(bytes) => bytes,
        // Not even Automerge writes such a thing.
        Err(_) => actor.to_bytes().to_vec(),
    }
}

/// Bytes changed, left out or put in, with the length and the checksum made right again.
fn flip(good: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut body = good[header(good)..].to_vec();
    for _ in 0..1 + dice.below(4) {
        let at = dice.below(body.len());
        match dice.below(5) {
            0 => drop(body.remove(at)),
            1 => body.insert(at, dice.next() as u8),
            2 => body[at] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5)],
            3 => body[at] ^= 1 << dice.below(8),
            _ => body[at] = dice.next() as u8,
        }
        if body.is_empty() {
            body.push(0);
        }
    }
    chunk(&body)
}

/// Where what a chunk holds begins.
pub(crate) fn header(good: &[u8]) -> usize {
    let (mut length, mut header) = (0usize, 9);
    for shift in (0..).step_by(7) {
        let byte = good[header];
        header += 1;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    assert_eq!(good.len(), header + length);
    header
}

/// A change chunk with this in it, its length and checksum right.
pub(crate) fn chunk(body: &[u8]) -> Vec<u8> {
    let mut content = vec![1];
    let mut rest = body.len();
    while rest >= 0x80 {
        content.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    content.push(rest as u8);
    content.extend(body);
    let sum = sha256(&content);
    [&[0x85, 0x6f, 0x4a, 0x83], &sum[..4], &content].concat()
}

fn spoil(change: &mut ExpandedChange, dice: &mut Dice) {
    let actors = [MALLORY.0, [1; 16], [0; 16], [7; 16]];
    let some_op = |dice: &mut Dice| {
        let counter = [0, 1, 2, dice.next() % 60, u64::MAX >> 1, u64::from(u32::MAX)][dice.below(6)];
        OpId(counter, ActorId::from(actors[dice.below(4)]))
    };
    let count = change.operations.len();
    let at = dice.below(count);
    match dice.below(16) {
        0 => change.actor_id = ActorId::from(actors[dice.below(4)]),
        1 => change.seq = [0, 1, 2, u64::MAX, dice.next()][dice.below(5)],
        2 => change.start_op = [1, 2, u64::MAX, 1 << 33, dice.next() | 1][dice.below(5)].try_into().unwrap(),
        3 => change.deps = vec![automerge::ChangeHash([dice.next() as u8; 32])],
        4 => change.deps.extend(change.deps.clone()),
        5 => change.operations[at].obj = ObjectId::Id(some_op(dice)),
        6 => change.operations[at].obj = ObjectId::Root,
        7 => change.operations[at].pred = [some_op(dice), some_op(dice)].into_iter().take(dice.below(3)).collect(),
        8 => {
            let key =
                ["k", "z", "m", "s", "d", "p", "g", "l", "t", "a", "b", "i", "v", "els", "abcdefghijkl", ""][dice.below(16)];
            change.operations[at].key = Key::Map(key.into());
        }
        9 => change.operations[at].key = Key::Seq([ElementId::Head, ElementId::Id(some_op(dice))][dice.below(2)].clone()),
        10 => change.operations[at].insert = !change.operations[at].insert,
        11 => {
            let values = [
                ScalarValue::Null,
                ScalarValue::Uint(dice.next()),
                ScalarValue::Int(-1),
                ScalarValue::F64(f64::NAN),
                ScalarValue::Boolean(true),
                ScalarValue::Str("long".repeat(dice.below(5000)).into()),
                ScalarValue::Bytes(vec![0xff; dice.below(5000)]),
                ScalarValue::counter(7),
                ScalarValue::Timestamp(i64::MAX),
            ];
            change.operations[at].action = OpType::Put(values[dice.below(values.len())].clone());
        }
        12 => {
            let kinds = [ObjType::Map, ObjType::List, ObjType::Text, ObjType::Table];
            change.operations[at].action = OpType::Make(kinds[dice.below(4)]);
        }
        13 => change.operations[at].action = [OpType::Delete, OpType::Increment(5)][dice.below(2)].clone(),
        14 => {
            let again = change.operations[at].clone();
            change.operations.extend(std::iter::repeat_n(again, [1, 3, 5000][dice.below(3)]));
        }
        _ => {
            let other = dice.below(count);
            change.operations.swap(at, other);
        }
    }
}

/// A million operations of one member: the board stays whole, and takes no longer than they are worth.
#[test]
fn abuse_38_a_flood_of_operations_is_validated_and_leaves_the_board_usable() {
    let mut honest = board(1);
    edit(&mut honest, &[add(id(1), rect(0.0, 0.0))]);
    let log = outgoing(&mut honest);
    let mut mallory = Board::new(MALLORY, 3).unwrap();
    mallory.merge(log);
    let mut sent: Vec<(Actor, Change)> = Vec::new();
    for round in 0..40u16 {
        let text = "flood ".repeat(500);
        let edits = [Edit::Add { id: id(100 + u128::from(round)), shape: note(&text), place: Place::Front }];
        mallory.edit(PageId::FIRST, &edits, 0).unwrap();
        sent.extend(outgoing(&mut mallory));
    }
    let merged = honest.merge(sent);
    assert!(merged.refused.is_empty());
    edit(&mut honest, &[Edit::Lock { id: id(1), locked: true }]);
    assert!(honest.save_page(PageId::FIRST).is_some());
}

/// FIPS 180-4, for the checksum of a chunk.
fn sha256(message: &[u8]) -> [u8; 32] {
    fn fraction(prime: u64, root: f64) -> u32 {
        let value = (prime as f64).powf(1.0 / root);
        ((value - value.floor()) * 4_294_967_296.0) as u32
    }
    let primes: Vec<u64> = (2u64..312).filter(|n| (2..*n).all(|d| n % d != 0)).take(64).collect();
    let k: Vec<u32> = primes.iter().map(|prime| fraction(*prime, 3.0)).collect();
    let mut h: Vec<u32> = primes.iter().take(8).map(|prime| fraction(*prime, 2.0)).collect();
    let mut data = message.to_vec();
    data.push(0x80);
    while data.len() % 64 != 56 {
        data.push(0);
    }
    data.extend((message.len() as u64 * 8).to_be_bytes());
    for block in data.chunks(64) {
        let mut w: Vec<u32> = block.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
        for t in 16..64 {
            let s0 = w[t - 15].rotate_right(7) ^ w[t - 15].rotate_right(18) ^ (w[t - 15] >> 3);
            let s1 = w[t - 2].rotate_right(17) ^ w[t - 2].rotate_right(19) ^ (w[t - 2] >> 10);
            w.push(w[t - 16].wrapping_add(s0).wrapping_add(w[t - 7]).wrapping_add(s1));
        }
        let mut v = h.clone();
        for t in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let one = v[7].wrapping_add(s1).wrapping_add(choice).wrapping_add(k[t]).wrapping_add(w[t]);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let two = s0.wrapping_add((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(one);
            v[0] = one.wrapping_add(two);
        }
        h.iter_mut().zip(v).for_each(|(sum, part)| *sum = sum.wrapping_add(part));
    }
    let mut out = [0; 32];
    out.chunks_mut(4).zip(h).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_be_bytes()));
    out
}

#[test]
fn the_repaired_checksum_is_the_one_that_automerge_wants() {
    let mut one = board(1);
    edit(&mut one, &[add(id(1), rect(0.0, 0.0))]);
    let change = one.take_changes().remove(0);
    assert_eq!(sha256(&change.bytes[8..])[..4], change.bytes[4..8]);
}
