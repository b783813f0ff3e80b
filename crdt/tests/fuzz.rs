//! The fuzz targets on stable: each over good inputs, every truncation of them, and what chance makes of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "board/support.rs"]
#[allow(dead_code, reason = "shared with the other tests of the board")]
mod support;
#[path = "../fuzz/targets.rs"]
#[allow(unreachable_pub, reason = "shared with the fuzz targets")]
mod targets;

use conclave_crdt::interchange::excalidraw;
use conclave_crdt::interchange::picture::Pictures;
use conclave_crdt::{Board, Edit, PageId, Style, pack, pack_points};

use self::support::{Dice, add, edit, id, note, page, rect, stroke};
use self::targets::{SIGNER, TARGETS};

/// Inputs made of each good one.
const MADE: usize = 150;

/// Good inputs of each target.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut dice = Dice(4);
    let mut signer = Board::new(SIGNER, 6).unwrap();
    edit(&mut signer, &[add(id(1), rect(1.0, 2.0)), add(id(2), note("two\nlines")), add(id(3), stroke(&mut dice))]);
    let changes = signer.take_changes();
    let batch = pack(&changes, 60 * 1024).unwrap().remove(0);
    let edits: Vec<Edit> = vec![add(id(9), rect(0.0, 0.0)), Edit::Text { id: id(9), text: "words".into() }];
    let fancy = Style { opacity: 40, round: true, width: 4.0, ..Style::default() };
    let png = b"\x89PNG\r\n\x1a\n and the rest".to_vec();
    let url = "data:image/jpeg;base64,/9j/4AAQ".to_owned();
    let drawing = excalidraw::write(page(&signer), &Pictures::new());
    let with_picture = format!(
        r#"{{"type":"excalidraw","elements":[{{"id":"a","type":"image","x":0,"y":0,"width":9,"height":9,"fileId":"f"}}],
            "files":{{"f":{{"mimeType":"image/jpeg","id":"f","dataURL":"{url}"}}}}}}"#
    );
    vec![
        ("load", batch),
        ("change", changes[0].bytes.clone()),
        ("geometry", pack_points(&stroke(&mut dice).points).unwrap()),
        ("style", fancy.encode()),
        ("excalidraw", drawing.into_bytes()),
        ("excalidraw", with_picture.into_bytes()),
        ("edits", serde_json::to_vec(&edits).unwrap()),
        ("picture", png),
        ("picture", url.into_bytes()),
    ]
}

#[test]
fn every_target_has_a_good_input() {
    let samples = samples();
    for (name, _) in TARGETS {
        assert!(samples.iter().any(|(of, _)| of == name), "{name}");
    }
    // They are good: each comes through to the end of its target.
    let read = |name: &str| samples.iter().find(|(of, _)| *of == name).unwrap().1.clone();
    assert!(conclave_crdt::unpack(&read("load")).is_ok());
    assert!(conclave_crdt::unpack_points(&read("geometry")).is_ok());
    let mut random = || 5u128;
    let (_, picture) = samples.iter().rev().find(|(of, _)| *of == "excalidraw").unwrap();
    assert_eq!(excalidraw::read(picture, &mut random).unwrap().pictures.len(), 1);
    let mut board = Board::new(conclave_crdt::Actor([1; 16]), 1).unwrap();
    let change = conclave_crdt::Change { document: "000000000001".parse().unwrap(), bytes: read("change") };
    assert_eq!(board.merge(vec![(SIGNER, change)]).applied, 1);
    assert_eq!(board.page(PageId::FIRST).unwrap().len(), 3);
}

#[test]
fn no_target_panics_on_what_is_made_of_good_inputs() {
    // Automerge's own panics are caught, and would fill the screen.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.location().is_some_and(|place| place.file().contains("crdt/")) {
            usual(panic);
        }
    }));
    let mut dice = Dice(11);
    for (name, good) in samples() {
        let (_, target) = TARGETS.iter().find(|(of, _)| *of == name).unwrap();
        target(&good);
        for cut in (0..good.len()).step_by(1 + good.len() / 60) {
            target(&good[..cut]);
        }
        for _ in 0..MADE {
            let mut made = good.clone();
            for _ in 0..1 + dice.below(6) {
                let at = dice.below(made.len());
                match dice.below(5) {
                    0 => drop(made.remove(at)),
                    1 => made.insert(at, dice.next() as u8),
                    2 => made[at] = [0, 1, 0x7f, 0x80, 0xff, b'9', b'-'][dice.below(7)],
                    3 => made[at] ^= 1 << dice.below(8),
                    _ => made.truncate(at + 1),
                }
                if made.is_empty() {
                    made.push(0);
                }
            }
            target(&made);
        }
    }
}
