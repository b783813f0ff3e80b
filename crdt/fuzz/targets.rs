//! The bodies of the fuzz targets: plain functions that panic when a rule is broken. `tests/fuzz.rs` runs all of them on stable, over good
//! inputs and what is made of them.

use conclave_crdt::interchange::drawing::Drawing;
use conclave_crdt::interchange::picture::{MAX_PICTURE, Picture, Pictures};
use conclave_crdt::interchange::{excalidraw, svg};
use conclave_crdt::{
    Actor, Board, Change, DocId, Edit, MAX_CHANGES, MAX_POINTS, MAX_UNPACKED, PageId, Style, pack_points, unpack, unpack_points,
};

/// Takes whatever bytes there are.
pub type Target = fn(&[u8]);

/// All targets, by the names under which cargo-fuzz knows them.
pub const TARGETS: &[(&str, Target)] = &[
    ("load", load),
    ("change", change),
    ("geometry", geometry),
    ("style", style),
    ("excalidraw", excalidraw),
    ("edits", edits),
    ("picture", picture),
];

/// Who signed what is fuzzed.
pub const SIGNER: Actor = Actor([66; 16]);

fn board(number: u8) -> Board {
    Board::new(Actor([number; 16]), 1).expect("an empty board")
}

fn first() -> DocId {
    "000000000001".parse().expect("the first page's document")
}

/// A body of the room's log: what can be read of it is within its bounds, and is judged without harm.
pub fn load(data: &[u8]) {
    let Ok(changes) = unpack(data) else { return };
    assert!(!changes.is_empty() && changes.len() <= MAX_CHANGES);
    assert!(changes.iter().map(|change| change.bytes.len()).sum::<usize>() <= MAX_UNPACKED);
    judge(changes);
}

/// One change of a member.
pub fn change(data: &[u8]) {
    judge(vec![Change { document: first(), bytes: data.to_vec() }]);
}

/// What was not taken changed nothing; what was taken can be saved, and is taken alike by another.
fn judge(changes: Vec<Change>) {
    let letters: Vec<(Actor, Change)> = changes.into_iter().map(|change| (SIGNER, change)).collect();
    let (mut one, mut other) = (board(1), board(2));
    let before = one.page_heads(PageId::FIRST);
    let merged = one.merge(letters.clone());
    for letter in letters.into_iter().rev() {
        other.merge(vec![letter]);
    }
    if merged.applied == 0 {
        assert_eq!(one.page_heads(PageId::FIRST), before, "refused and yet different");
    }
    // Two changes with one number are told by whoever sees both; the room then settles it by its own order.
    if !merged.is_forked() {
        assert_eq!(one.page_heads(PageId::FIRST), other.page_heads(PageId::FIRST), "divided");
    }
    assert!(one.save_page(PageId::FIRST).is_some(), "a page that cannot be saved");
}

/// Points of a stroke: what can be read is within its bounds, and has one form.
pub fn geometry(data: &[u8]) {
    let Ok(points) = unpack_points(data) else { return };
    assert!(points.len() <= MAX_POINTS);
    assert!(points.iter().all(|point| point.x.is_finite() && point.y.is_finite() && (0.0..=1.0).contains(&point.pressure)));
    let again = pack_points(&points).expect("what was read can be written");
    let again = unpack_points(&again).expect("what was written can be read");
    assert_eq!(again.len(), points.len());
    for (one, other) in points.iter().zip(&again) {
        // A pressure that nobody could tell from the usual one is left out.
        assert!((one.x, one.y) == (other.x, other.y) && (one.pressure - other.pressure).abs() < 2.0 / 255.0);
    }
}

/// How an element looks.
pub fn style(data: &[u8]) {
    let Some(style) = Style::decode(data) else { return };
    assert_eq!(Style::decode(&style.encode()), Some(style));
}

/// A file of Excalidraw: whatever it says, what comes of it is a page that can be shown, and goes out again.
pub fn excalidraw(data: &[u8]) {
    let mut next = 0u128;
    let mut random = || {
        next += 1;
        next << 64 | 0x9e37_79b9
    };
    let Ok(imported) = excalidraw::read(data, &mut random) else { return };
    let mut board = board(1);
    board.edit(PageId::FIRST, &imported.edits, 0).expect("what was read is within the limits of a page");
    show(&board, &imported.pictures);
    let text = excalidraw::write(board.page(PageId::FIRST).expect("the page"), &imported.pictures);
    let again = excalidraw::read(text.as_bytes(), &mut random).expect("what was written can be read");
    assert_eq!(again.edits.len(), imported.edits.len());
}

/// Edits as a script writes them: refused, or on a page that can be shown.
pub fn edits(data: &[u8]) {
    let Ok(edits) = serde_json::from_slice::<Vec<Edit>>(data) else { return };
    let mut board = board(1);
    if board.edit(PageId::FIRST, &edits, 0).is_ok() {
        show(&board, &Pictures::new());
    }
}

/// SVG of any page: nothing in it runs or is fetched, and its numbers are numbers.
fn show(board: &Board, pictures: &Pictures) {
    let text = svg::write(&Drawing::of(board.page(PageId::FIRST).expect("the page")), pictures);
    assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
    for tag in text.split('<').skip(1) {
        let name = tag.split([' ', '>', '/']).find(|part| !part.is_empty()).unwrap_or_default();
        assert!(matches!(name, "svg" | "path" | "text" | "tspan" | "image" | "polygon"), "{name}");
        let attributes = tag.split('>').next().unwrap_or_default();
        assert!(!attributes.contains("NaN") && !attributes.contains("inf"), "{attributes}");
        if let Some(url) = attributes.split("href=\"").nth(1) {
            assert!(url.starts_with("data:image/"), "{url}");
        }
    }
}

/// The file of a picture, as bytes and as a `data:` URL.
pub fn picture(data: &[u8]) {
    for picture in [Picture::new(data.to_vec()), std::str::from_utf8(data).ok().and_then(Picture::from_data_url)] {
        let Some(picture) = picture else { continue };
        assert!(picture.bytes.len() <= MAX_PICTURE);
        assert_eq!(Picture::from_data_url(&picture.data_url()).as_ref(), Some(&picture));
    }
}
