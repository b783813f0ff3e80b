//! Pages to files and back.

use conclave_crdt::interchange::picture::{Picture, Pictures};
use conclave_crdt::interchange::{drawing::Drawing, excalidraw, svg};
use conclave_crdt::{Board, Changed, PageId, PageView};
use rand_core::Rng;

use super::desk::refused;
use super::{pdf, picture, raster};
use crate::command::BoardFormat;
use crate::error::{CommandError, ErrorCode};

/// A page as a file of this format, with those of its pictures that are here.
pub(super) fn export(
    board: &Board,
    page: PageId,
    view: &PageView,
    pictures: &Pictures,
    format: BoardFormat,
) -> Result<Vec<u8>, CommandError> {
    let drawing = || Drawing::of(view);
    let failed = || CommandError::new(ErrorCode::Unsupported, "The page cannot be written in this format.");
    match format {
        BoardFormat::Svg => Ok(svg::write(&drawing(), pictures).into_bytes()),
        BoardFormat::Png => raster::write(&drawing(), pictures).ok_or_else(failed),
        BoardFormat::Pdf => Ok(pdf::write(&drawing(), pictures)),
        BoardFormat::Excalidraw => Ok(excalidraw::write(view, pictures).into_bytes()),
        BoardFormat::Automerge => board.save_page(page).ok_or_else(failed),
    }
}

/// What a file of Excalidraw holds, put on a page as one step. Its pictures are to be shared in the room.
pub(super) fn import(board: &mut Board, page: PageId, bytes: &[u8]) -> Result<(Changed, Vec<Picture>), CommandError> {
    let mut random = || u128::from(crate::driver::rng().next_u64()) << 64 | u128::from(crate::driver::rng().next_u64());
    let mut imported = excalidraw::read(bytes, &mut random)
        .map_err(|error| CommandError::new(ErrorCode::BadRequest, format!("The file cannot be imported: {error}.")))?;
    // What nobody could look at stays a place on the page.
    imported.pictures.retain(|_, picture| picture::decode(picture).is_some());
    imported.rename_pictures(|picture| name_of(&picture.bytes));
    let changed = board.edit(page, &imported.edits, 0).map_err(refused)?;
    Ok((changed, imported.pictures.into_values().collect()))
}

/// What elements call a picture: the hash of its file.
pub(crate) fn name_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use conclave_crdt::{Actor, Color, Edit, ElementId, Kind, Place, Shape, Style, Transform};

    use super::*;
    use resvg::tiny_skia;

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
        let bytes = export(&board, PageId::FIRST, view, &Pictures::new(), BoardFormat::Png).unwrap();
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
        let bytes =
            export(&board, PageId::FIRST, board.page(PageId::FIRST).unwrap(), &Pictures::new(), BoardFormat::Png).unwrap();
        assert_eq!(tiny_skia::Pixmap::decode_png(&bytes).unwrap().width(), 8192);
    }

    #[test]
    fn a_page_becomes_a_pdf_with_its_text() {
        let board = board();
        let bytes =
            export(&board, PageId::FIRST, board.page(PageId::FIRST).unwrap(), &Pictures::new(), BoardFormat::Pdf).unwrap();
        assert!(bytes.starts_with(b"%PDF-") && bytes.ends_with(b"%%EOF"));
        // "Grüße (1)" in Latin-1, which is written in hexadecimal where it is not all ASCII.
        let text = String::from_utf8_lossy(&bytes).to_uppercase();
        assert!(text.contains("<4772FCDF6520283129>"));
    }

    /// Left half green, right half see-through.
    fn with_picture(angle: f32) -> (Board, Pictures) {
        let mut board = board();
        let pixels = image::RgbaImage::from_fn(8, 4, |x, _| image::Rgba(if x < 4 { [0, 160, 0, 255] } else { [0, 0, 0, 0] }));
        let mut png = Vec::new();
        pixels.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
        let mut shape = Shape::new(Kind::Image, Transform { x: 0.0, y: 0.0, w: 200.0, h: 100.0, angle }, Style::default());
        let name = name_of(&png);
        shape.image = Some(name.clone());
        let add = Edit::Add { id: ElementId::from_random(7), shape, place: Place::Front };
        board.edit(PageId::FIRST, &[add], 0).unwrap();
        (board, Pictures::from([(name, Picture::new(png).unwrap())]))
    }

    #[test]
    fn a_picture_on_the_page_is_in_the_picture_of_the_page() {
        for (angle, green, through) in [(0.0, (60, 60), (400, 60)), (std::f32::consts::PI, (400, 60), (60, 60))] {
            let (board, pictures) = with_picture(angle);
            let view = board.page(PageId::FIRST).unwrap();
            let bytes = export(&board, PageId::FIRST, view, &pictures, BoardFormat::Png).unwrap();
            let shown = tiny_skia::Pixmap::decode_png(&bytes).unwrap();
            let at = |(x, y): (u32, u32)| {
                let pixel = shown.pixel(x, y).unwrap();
                (pixel.red(), pixel.green(), pixel.blue())
            };
            assert_eq!(at(green), (0, 160, 0));
            assert_eq!(at(through), (224, 49, 49), "what lies below shows through");
        }
    }

    #[test]
    fn svg_pdf_and_excalidraw_carry_the_picture_itself() {
        let (board, pictures) = with_picture(0.3);
        let view = board.page(PageId::FIRST).unwrap();
        let file = |format| export(&board, PageId::FIRST, view, &pictures, format).unwrap();
        let svg = String::from_utf8(file(BoardFormat::Svg)).unwrap();
        assert!(svg.contains("xlink:href=\"data:image/png;base64,iVBOR"));
        resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).unwrap();
        let pdf = String::from_utf8_lossy(&file(BoardFormat::Pdf)).into_owned();
        assert!(pdf.contains("/Subtype /Image") && pdf.contains("/SMask") && pdf.contains("/I0 Do"));
        let (mut other, _) = (Board::new(Actor([2; 16]), 2).unwrap(), ());
        let (_, brought) = import(&mut other, PageId::FIRST, &file(BoardFormat::Excalidraw)).unwrap();
        let shown: Vec<_> = other.page(PageId::FIRST).unwrap().iter().filter_map(|element| element.image.clone()).collect();
        assert_eq!(shown, pictures.keys().cloned().collect::<Vec<_>>());
        assert_eq!(brought, pictures.values().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn a_picture_that_did_not_come_leaves_its_place() {
        let (board, _) = with_picture(0.0);
        let view = board.page(PageId::FIRST).unwrap();
        let bytes = export(&board, PageId::FIRST, view, &Pictures::new(), BoardFormat::Png).unwrap();
        let pixel = tiny_skia::Pixmap::decode_png(&bytes).unwrap().pixel(60, 60).unwrap();
        assert_eq!((pixel.red(), pixel.green(), pixel.blue()), (0xf1, 0xf3, 0xf5));
    }
}
