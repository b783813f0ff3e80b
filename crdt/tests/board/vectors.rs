//! Published vectors (`docs/vectors/board.json`): what this crate writes of points, transforms, styles and changes, byte for byte, so that a
//! stranger in any language can try theirs against it. `scripts/check_vectors.py` does, with nothing but Python.

use std::path::PathBuf;

use conclave_crdt::{Actor, Align, Board, Color, Dash, Edit, Head, PageId, Point, Style, Transform, pack_points};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::support::{add, id, note, rect};

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn points() -> Value {
    let plain = vec![Point::new(0.0, 0.0), Point::new(10.125, -3.5), Point::new(10.0, 900.0)];
    let pressed = vec![Point { x: 1.0, y: 2.0, pressure: 0.0 }, Point { x: 1.5, y: 1.0, pressure: 1.0 }];
    let vector = |points: Vec<Point>| {
        let shown: Vec<Value> = points
            .iter()
            // In the units that travel: whole numbers, which are the same in every language.
            .map(|point| json!([(point.x * 8.0) as i64, (point.y * 8.0) as i64, (point.pressure * 255.0).round() as i64]))
            .collect();
        json!({ "points": shown, "packed": hex(pack_points(&points).unwrap()) })
    };
    [plain, pressed].map(vector).into()
}

fn styles() -> Value {
    let fancy = Style {
        stroke: "#1971c2".parse().unwrap(),
        fill: Color(0xa5d8_ff80),
        width: 4.5,
        dash: Dash::Dotted,
        opacity: 40,
        font_size: 28.0,
        align: Align::Right,
        round: true,
        start: Head::Bar,
        end: Head::Triangle,
    };
    let vector = |style: Style| json!({ "style": style, "packed": hex(style.encode()) });
    [Style::default(), fancy].map(vector).into()
}

/// Two changes of one person on the first page, as the room's log carries them before they are packed.
fn changes() -> Value {
    let mut board = Board::new(Actor([7; 16]), 3).unwrap();
    let steps = [
        vec![add(id(1), rect(10.0, 20.0)), add(id(2), note("héllo"))],
        vec![Edit::Transform { id: id(1), transform: Transform { x: -5.5, y: 20.0, w: 100.0, h: 60.0, angle: 0.5 } }],
    ];
    let mut vectors = Vec::new();
    for edits in steps {
        board.edit(PageId::FIRST, &edits, 0).unwrap();
        for change in board.take_changes() {
            let [head] = board.page_heads(PageId::FIRST)[..] else { panic!("one head") };
            vectors
                .push(json!({ "edits": edits, "document": change.document, "change": hex(&change.bytes), "hash": hex(head.0) }));
        }
    }
    json!({ "actor": hex([7; 16]), "changes": vectors })
}

fn vectors() -> Value {
    let moved = Transform { x: -5.5, y: 20.0, w: 100.0, h: 60.0, angle: 0.5 };
    json!({ "points": points(), "styles": styles(), "transform": moved, "page": changes() })
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors/board.json")
}

#[test]
fn the_published_vectors_are_what_is_written() {
    let published: Value = serde_json::from_slice(&std::fs::read(path()).unwrap()).unwrap();
    let now: Value = serde_json::from_str(&vectors().to_string()).unwrap();
    assert_eq!(published, now, "write_the_vectors writes them anew, and with them another version of the protocol");
}

#[test]
#[ignore = "writes docs/vectors/board.json"]
fn write_the_vectors() {
    let text = serde_json::to_string_pretty(&vectors()).unwrap();
    std::fs::write(path(), text + "\n").unwrap();
}
