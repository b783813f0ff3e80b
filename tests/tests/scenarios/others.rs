//! The board's files in the hands of the programs they are for: Automerge's and Excalidraw's own packages, in JavaScript. They are
//! installed into a cache folder; where that cannot be done, these tests fail and say so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use conclave_crdt::interchange::excalidraw;
use conclave_crdt::interchange::picture::{Picture, Pictures};
use conclave_crdt::{Actor, Binding, Board, Edit, ElementId, End, Hold, Kind, PageId, Place, Point, Shape, Style, Transform};
use serde_json::{Value, json};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/others");

fn run(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed (scripts/setup.sh full installs it): {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?} failed; these tests need the registry of npm:\n{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The packages, installed once, and Excalidraw made one file that runs without a browser.
fn others() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache");
        let folder = cache.unwrap_or_else(home).join("conclave-others");
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["package.json", "dom.js", "excalidraw.js", "automerge.mjs"] {
            std::fs::copy(Path::new(SOURCE).join(name), folder.join(name)).unwrap();
        }
        run("npm", &["install", "--no-audit", "--no-fund", "--legacy-peer-deps"], &folder);
        let bundle = [
            "esbuild",
            "excalidraw.js",
            "--bundle",
            "--platform=node",
            "--format=cjs",
            "--inject:./dom.js",
            "--external:jsdom",
            "--loader:.woff2=empty",
            "--loader:.css=empty",
            "--conditions=production",
            "--define:import.meta.url=\"file:///\"",
            "--outfile=excalidraw.cjs",
            "--log-level=error",
        ];
        run("npx", &bundle, &folder);
        folder
    })
}

fn with_excalidraw(mode: &str, input: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("in.json"), dir.path().join("out.json"));
    std::fs::write(&from, input).unwrap();
    run("node", &["excalidraw.cjs", mode, from.to_str().unwrap(), to.to_str().unwrap()], others());
    std::fs::read_to_string(to).unwrap()
}

fn png() -> Picture {
    let mut bytes = Vec::new();
    let pixels = image::RgbaImage::from_pixel(3, 2, image::Rgba([10, 20, 30, 255]));
    pixels.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    Picture::new(bytes).unwrap()
}

fn board() -> Board {
    Board::new(Actor([1; 16]), 1).unwrap()
}

fn import(text: &str) -> (Board, Pictures) {
    let mut next = 0u128;
    let mut random = || {
        next += 1;
        next << 64 | 77
    };
    let imported = excalidraw::read(text.as_bytes(), &mut random).unwrap();
    assert_eq!(imported.left_out, 0);
    let mut board = board();
    board.edit(PageId::FIRST, &imported.edits, 0).unwrap();
    (board, imported.pictures)
}

#[test]
#[ignore = "installs packages from npm's registry"]
fn what_excalidraw_makes_is_read_and_goes_back_as_it_was() {
    let picture = png();
    let given = json!({
        "elements": [
            { "type": "rectangle", "id": "r", "x": 10, "y": 20, "width": 200, "height": 80, "backgroundColor": "#a5d8ff",
              "strokeStyle": "dashed", "strokeWidth": 4, "label": { "text": "in the box" } },
            { "type": "ellipse", "id": "e", "x": 400, "y": 20, "width": 80, "height": 50, "opacity": 50 },
            { "type": "diamond", "id": "d", "x": 400, "y": 220, "width": 80, "height": 50 },
            { "type": "arrow", "id": "a", "x": 210, "y": 60, "width": 190, "height": 0, "start": { "id": "r" }, "end": { "id": "e" } },
            { "type": "line", "id": "l", "x": 0, "y": 300, "width": 50, "height": 20 },
            { "type": "text", "id": "t", "x": 0, "y": 200, "text": "wörds\nin two lines", "fontSize": 28 },
            { "type": "image", "id": "i", "x": 0, "y": 400, "width": 30, "height": 20, "fileId": "picture-1", "status": "saved" },
            { "type": "frame", "id": "f", "children": ["d"], "name": "A frame" },
        ],
        "files": { "picture-1": { "id": "picture-1", "mimeType": "image/png", "dataURL": picture.data_url(), "created": 1 } },
    });
    let made = with_excalidraw("make", &given.to_string());
    let (board, pictures) = import(&made);
    let page = board.page(PageId::FIRST).unwrap();
    let of = |kind: Kind| page.iter().find(|element| element.kind == kind).unwrap_or_else(|| panic!("no {kind:?}"));
    let (rect, ellipse, arrow) = (of(Kind::Rect), of(Kind::Ellipse), of(Kind::Arrow));
    assert_eq!(rect.text, "in the box");
    assert_eq!(
        (rect.style.width, rect.style.dash, rect.style.fill.to_string().as_str()),
        (4.0, conclave_crdt::Dash::Dashed, "#a5d8ff")
    );
    assert_eq!(ellipse.style.opacity, 50);
    assert_eq!(arrow.start.map(|end| end.target), Some(rect.id));
    assert_eq!(arrow.end.map(|end| end.target), Some(ellipse.id));
    assert_eq!((of(Kind::Text).text.as_str(), of(Kind::Text).style.font_size), ("wörds\nin two lines", 28.0));
    assert_eq!(of(Kind::Diamond).frame, Some(of(Kind::Frame).id));
    assert_eq!(of(Kind::Frame).text, "A frame");
    assert_eq!(pictures.get(of(Kind::Image).image.as_ref().unwrap()), Some(&picture));

    // Out again: Excalidraw opens it and sees the same.
    let opened: Value = serde_json::from_str(&with_excalidraw("open", &excalidraw::write(page, &pictures))).unwrap();
    let before: Value = serde_json::from_str(&made).unwrap();
    let listed = |file: &Value| {
        let mut all: Vec<Value> = file["elements"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|element| element["isDeleted"] != json!(true))
            .map(|element| {
                let near = |key: &str| element[key].as_f64().map(|value| value.round());
                let text = element.get("originalText").or(element.get("name")).cloned();
                // The box of a text in a shape is Excalidraw's own to lay out.
                let inside = !element["containerId"].is_null();
                let place = (!inside).then(|| match element["points"].as_array() {
                    // Where a line begins and ends: its own box may begin elsewhere.
                    Some(points) => {
                        let at = |point: &Value, axis: usize, key: &str| {
                            Some((point[axis].as_f64().unwrap() + element[key].as_f64().unwrap()).round())
                        };
                        let (first, last) = (points.first().unwrap(), points.last().unwrap());
                        [at(first, 0, "x"), at(first, 1, "y"), at(last, 0, "x"), at(last, 1, "y")]
                    }
                    None => [near("x"), near("y"), near("width"), near("height")],
                });
                json!([element["type"], place, text, element["strokeStyle"], element["opacity"], element["backgroundColor"]])
            })
            .collect();
        all.sort_by_key(ToString::to_string);
        all
    };
    assert_eq!(listed(&opened), listed(&before));
    let arrow = opened["elements"].as_array().unwrap().iter().find(|element| element["type"] == "arrow").unwrap();
    assert!(arrow["startBinding"]["elementId"].is_string() && arrow["endBinding"]["elementId"].is_string(), "{arrow}");
    let files = opened["files"].as_object().unwrap();
    assert_eq!(files.values().next().unwrap()["dataURL"], json!(picture.data_url()));
}

#[test]
#[ignore = "installs packages from npm's registry"]
fn automerge_in_javascript_reads_a_saved_page_and_finds_what_was_drawn() {
    let mut board = board();
    let id = ElementId::from_random;
    let mut note = Shape::new(Kind::Note, Transform::new(10.5, -20.0, 200.0, 100.0), Style::default());
    note.text = "wörds".to_owned();
    let stroke = Shape::through(Kind::Pen, &[Point::new(0.0, 0.0), Point::new(5.0, 9.0)], Style::default());
    let arrow = Shape::through(Kind::Arrow, &[Point::new(0.0, 0.0), Point::new(50.0, 0.0)], Style::default());
    let put = |number, shape| Edit::Add { id: id(number), shape, place: Place::Front };
    let bind = Binding { target: id(1), fx: 0.5, fy: 0.5, hold: Hold::Outline };
    let gone = Shape::new(Kind::Rect, Transform::new(0.0, 0.0, 1.0, 1.0), Style::default());
    for edits in [
        vec![put(1, note), put(2, stroke), put(3, arrow), put(4, gone)],
        vec![Edit::Bind { id: id(3), end: End::End, to: Some(bind) }, Edit::Delete { id: id(4) }],
        vec![Edit::Splice { id: id(1), at: 5, delete: 0, insert: "!".into() }],
    ] {
        board.edit(PageId::FIRST, &edits, 0).unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), board.save_page(PageId::FIRST).unwrap()).unwrap();
    let page: Value = serde_json::from_str(&run("node", &["automerge.mjs", file.path().to_str().unwrap()], others())).unwrap();
    assert_eq!(page["v"], json!(1));
    let heads: Vec<String> = board.page_heads(PageId::FIRST).iter().map(|head| hex(&head.0)).collect();
    assert_eq!(page["heads"], json!(heads));
    let elements = page["els"].as_object().unwrap();
    assert_eq!(elements.len(), 3);
    let of = |number| &elements[id(number).as_str()];
    assert_eq!((&of(1)["k"], &of(1)["t"]), (&json!(7), &json!("wörds!")));
    let bytes = |value: &Value| -> Vec<u8> { serde_json::from_value(value.clone()).unwrap() };
    let placed: Vec<f32> = bytes(&of(1)["m"]).chunks(4).map(|part| f32::from_le_bytes(part.try_into().unwrap())).collect();
    assert_eq!(placed, [10.5, -20.0, 200.0, 100.0, 0.0]);
    let points = conclave_crdt::unpack_points(&bytes(&of(2)["d"])).unwrap();
    assert_eq!(points, [Point::new(0.0, 0.0), Point::new(5.0, 9.0)]);
    assert!(bytes(&of(3)["b"]).windows(12).any(|part| part == id(1).as_str().as_bytes()), "the arrow holds on to the note");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
