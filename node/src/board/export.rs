//! Pages to files and back.

use conclave_crdt::interchange::{drawing::Drawing, excalidraw, svg};
use conclave_crdt::{Board, Changed, PageId, PageView};
use rand_core::Rng;
use resvg::{tiny_skia, usvg};

use super::desk::refused;
use super::pdf;
use crate::command::BoardFormat;
use crate::error::{CommandError, ErrorCode};

/// Longest side of a picture, in px: a page that is larger is made smaller.
const MAX_SIDE: f32 = 8192.0;
/// Px of a picture for one px of the page, where it is small enough.
const SCALE: f32 = 2.0;

/// A page as a file of this format.
pub(super) fn export(board: &Board, page: PageId, view: &PageView, format: BoardFormat) -> Result<Vec<u8>, CommandError> {
    let drawing = || Drawing::of(view);
    let failed = || CommandError::new(ErrorCode::Unsupported, "The page cannot be written in this format.");
    match format {
        BoardFormat::Svg => Ok(svg::write(&drawing()).into_bytes()),
        BoardFormat::Png => png(&drawing()).ok_or_else(failed),
        BoardFormat::Pdf => Ok(pdf::write(&drawing())),
        BoardFormat::Excalidraw => Ok(excalidraw::write(view).into_bytes()),
        BoardFormat::Automerge => board.save_page(page).ok_or_else(failed),
    }
}

/// What a file of Excalidraw holds, put on a page as one step.
pub(super) fn import(board: &mut Board, page: PageId, bytes: &[u8]) -> Result<Changed, CommandError> {
    let mut random = || u128::from(crate::driver::rng().next_u64()) << 64 | u128::from(crate::driver::rng().next_u64());
    let imported = excalidraw::read(bytes, &mut random)
        .map_err(|error| CommandError::new(ErrorCode::BadRequest, format!("The file cannot be imported: {error}.")))?;
    board.edit(page, &imported.edits, 0).map_err(refused)
}

fn png(drawing: &Drawing) -> Option<Vec<u8>> {
    let mut options = usvg::Options::default();
    options.fontdb_mut().load_system_fonts();
    let tree = usvg::Tree::from_str(&svg::write(drawing), &options).ok()?;
    let size = tree.size();
    let scale = SCALE.min(MAX_SIDE / size.width().max(size.height()));
    let side = |length: f32| (length * scale).ceil().clamp(1.0, MAX_SIDE) as u32;
    let mut pixmap = tiny_skia::Pixmap::new(side(size.width()), side(size.height()))?;
    pixmap.fill(tiny_skia::Color::WHITE);
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    pixmap.encode_png().ok()
}

#[cfg(test)]
mod tests {
    use conclave_crdt::{Actor, Color, Edit, ElementId, Kind, Place, Shape, Style, Transform};

    use super::*;

    fn board() -> Board {
        let mut board = Board::new(Actor([1; 16]), 1).unwrap();
        let style = Style { fill: Color::from_rgba([224, 49, 49, 255]), width: 0.0, ..Style::default() };
        let mut shape = Shape::new(Kind::Rect, Transform::new(0.0, 0.0, 200.0, 100.0), style);
        shape.text = "Grüße (1)".to_owned();
        board.edit(PageId::FIRST, &[Edit::Add { id: ElementId::from_random(1), shape, place: Place::Front }], 0).unwrap();
        board
    }

    #[test]
    fn a_page_becomes_a_picture_of_what_stands_on_it() {
        let board = board();
        let view = board.page(PageId::FIRST).unwrap();
        let bytes = export(&board, PageId::FIRST, view, BoardFormat::Png).unwrap();
        let picture = tiny_skia::Pixmap::decode_png(&bytes).unwrap();
        // Two for one, and a margin of 16 px around.
        assert_eq!((picture.width(), picture.height()), (464, 264));
        let red = picture.pixel(60, 60).unwrap();
        assert_eq!((red.red(), red.green(), red.blue()), (224, 49, 49));
        let white = picture.pixel(5, 5).unwrap();
        assert_eq!((white.red(), white.green(), white.blue()), (255, 255, 255));
    }

    #[test]
    fn a_huge_page_becomes_a_picture_within_the_limit() {
        let mut board = board();
        let shape = Shape::new(Kind::Rect, Transform::new(500_000.0, 0.0, 10.0, 10.0), Style::default());
        board.edit(PageId::FIRST, &[Edit::Add { id: ElementId::from_random(2), shape, place: Place::Front }], 0).unwrap();
        let bytes = export(&board, PageId::FIRST, board.page(PageId::FIRST).unwrap(), BoardFormat::Png).unwrap();
        assert_eq!(tiny_skia::Pixmap::decode_png(&bytes).unwrap().width(), 8192);
    }

    #[test]
    fn a_page_becomes_a_pdf_with_its_text() {
        let board = board();
        let bytes = export(&board, PageId::FIRST, board.page(PageId::FIRST).unwrap(), BoardFormat::Pdf).unwrap();
        assert!(bytes.starts_with(b"%PDF-") && bytes.ends_with(b"%%EOF"));
        // "Grüße (1)" in Latin-1, which is written in hexadecimal where it is not all ASCII.
        let text = String::from_utf8_lossy(&bytes).to_uppercase();
        assert!(text.contains("<4772FCDF6520283129>"));
    }
}
