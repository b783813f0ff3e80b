//! What goes out to other programs comes back as it was.

use conclave_crdt::interchange::picture::Pictures;
use conclave_crdt::interchange::{drawing::Drawing, excalidraw, svg};
use conclave_crdt::{Binding, Board, Color, Edit, End, GroupId, Head, Hold, Kind, PageId, Point, Shape, Style, Transform};

use crate::support::{Dice, add, board, edit, id, note, page, rect, stroke};

fn full() -> Board {
    let mut one = board(1);
    let mut dice = Dice(8);
    let fancy = Style {
        stroke: "#1971c2".parse().unwrap(),
        fill: "#a5d8ff80".parse().unwrap(),
        width: 4.0,
        dash: conclave_crdt::Dash::Dotted,
        opacity: 40,
        font_size: 28.0,
        align: conclave_crdt::Align::Right,
        round: true,
        start: Head::Bar,
        end: Head::Triangle,
    };
    let mut box_ = Shape::new(Kind::Rect, Transform { x: 10.0, y: 20.0, w: 300.0, h: 150.0, angle: 0.25 }, fancy);
    box_.text = "in the \"box\" <b>&\nsecond".to_owned();
    box_.group = Some(GroupId::from_random(3));
    let mut words = Shape::new(Kind::Text, Transform::new(500.0, 20.0, 80.0, 25.0), Style::default());
    words.text = "words".to_owned();
    words.locked = true;
    let mut frame = Shape::new(Kind::Frame, Transform::new(-50.0, -50.0, 900.0, 900.0), Style::default());
    frame.text = "Frame 1".to_owned();
    let mut inside = rect(5.0, 5.0);
    inside.frame = Some(id(1));
    let mut picture = Shape::new(Kind::Image, Transform::new(1.0, 2.0, 30.0, 40.0), Style::default());
    picture.image = Some("abc123".to_owned());
    let arrow =
        Shape::through(Kind::Arrow, &[Point::new(700.0, 300.0), Point::new(600.0, 500.0), Point::new(200.0, 100.0)], fancy);
    edit(
        &mut one,
        &[
            add(id(1), frame),
            add(id(2), box_),
            add(id(3), words),
            add(id(4), inside),
            add(id(5), picture),
            add(id(6), stroke(&mut dice)),
            add(id(7), arrow),
            add(id(8), note("sticky")),
            add(id(9), Shape::new(Kind::Ellipse, Transform::new(0.0, 700.0, 60.0, 40.0), fancy)),
            add(id(10), Shape::new(Kind::Diamond, Transform::new(100.0, 700.0, 60.0, 40.0), Style::default())),
            add(id(11), Shape::through(Kind::Line, &[Point::new(0.0, 0.0), Point::new(9.0, 9.0)], Style::default())),
            Edit::Bind { id: id(7), end: End::End, to: Some(Binding { target: id(2), fx: 0.5, fy: 0.25, hold: Hold::Outline }) },
        ],
    );
    one
}

#[test]
fn a_page_goes_through_excalidraws_format_and_comes_back() {
    let one = full();
    let text = excalidraw::write(page(&one), &Pictures::new());
    let mut dice = Dice(77);
    let imported = excalidraw::read(text.as_bytes(), &mut || u128::from(dice.next()) << 64 | u128::from(dice.next())).unwrap();
    assert_eq!(imported.left_out, 0);
    let mut other = board(2);
    other.edit(PageId::FIRST, &imported.edits, 0).unwrap();
    assert_eq!(page(&other).len(), page(&one).len());
    for (before, after) in page(&one).iter().zip(page(&other).iter()) {
        let (mut b, mut a) = (before.shape.clone(), after.shape.clone());
        // Other names, the same bonds.
        assert_eq!(
            (b.group.is_some(), b.frame.is_some(), b.start.is_some()),
            (a.group.is_some(), a.frame.is_some(), a.start.is_some())
        );
        assert_eq!(b.end.map(|end| (end.fx, end.fy, end.hold)), a.end.map(|end| (end.fx, end.fy, end.hold)));
        for shape in [&mut b, &mut a] {
            (shape.group, shape.frame, shape.end) = (None, None, None);
            if !matches!(shape.kind, Kind::Line | Kind::Arrow) {
                (shape.style.start, shape.style.end) = (Head::None, Head::None);
            }
            // It keeps these with texts alone.
            if shape.text.is_empty() {
                (shape.style.font_size, shape.style.align) = (20.0, conclave_crdt::Align::Left);
            }
        }
        assert!(
            b.points.iter().zip(a.points.iter()).all(|(b, a)| (b.x - a.x).abs() < 0.13 && (b.pressure - a.pressure).abs() < 0.01)
        );
        a.points = b.points.clone();
        let near = |one: f32, other: f32| (one - other).abs() < 0.13;
        let (bt, at) = (b.transform, a.transform);
        assert!(
            near(bt.x, at.x) && near(bt.y, at.y) && near(bt.w, at.w) && near(bt.h, at.h) && near(bt.angle, at.angle),
            "{bt:?} {at:?}"
        );
        a.transform = b.transform;
        assert_eq!(b, a);
    }
    let arrow = page(&other).iter().find(|element| element.kind == Kind::Arrow).unwrap();
    let target = page(&other).get(&arrow.end.unwrap().target).unwrap();
    assert_eq!(target.text, "in the \"box\" <b>&\nsecond");
}

#[test]
fn the_same_file_can_be_put_on_a_page_twice() {
    let mut one = full();
    let text = excalidraw::write(page(&one), &Pictures::new());
    let before = page(&one).len();
    let mut dice = Dice(5);
    let imported = excalidraw::read(text.as_bytes(), &mut || u128::from(dice.next()) << 64 | u128::from(dice.next())).unwrap();
    one.edit(PageId::FIRST, &imported.edits, 0).unwrap();
    assert_eq!(page(&one).len(), 2 * before);
}

#[test]
fn a_file_of_nonsense_is_refused_or_read_within_the_limits() {
    let mut random = || 1u128;
    for bad in ["", "[]", "{}", r#"{"type":"excalidraw"}"#, r#"{"type":"svg","elements":[]}"#] {
        assert_eq!(excalidraw::read(bad.as_bytes(), &mut random), Err(excalidraw::BadFile::NotExcalidraw), "{bad}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(excalidraw::read(deep.as_bytes(), &mut random).is_err());
    let many = format!(r#"{{"type":"excalidraw","elements":[{}]}}"#, vec!["{}"; 20_001].join(","));
    assert_eq!(excalidraw::read(many.as_bytes(), &mut random), Err(excalidraw::BadFile::TooLarge));
    let wild = r##"{"type":"excalidraw","elements":[
        {"id":"a","type":"rectangle","x":1e300,"y":-1e300,"width":-5,"height":1e99,"angle":1e30,"strokeWidth":1e9,"opacity":-5,"strokeColor":"url(#x)","fontSize":0},
        {"id":"b","type":"freedraw","x":0,"y":0,"points":[[1e300,0],[0,0]],"pressures":[1e9]},
        {"id":"c","type":"text","x":0,"y":0,"width":1,"height":1,"text":"a\u0000b\u0007c","containerId":"nobody","frameId":"a"},
        {"id":"d","type":"embeddable","x":0,"y":0,"width":1,"height":1},
        {"id":"e","type":"arrow","x":0,"y":0,"points":[]},
        {"type":"rectangle","x":0,"y":0,"width":1,"height":1},
        7
    ]}"##;
    let mut dice = Dice(1);
    let imported = excalidraw::read(wild.as_bytes(), &mut || u128::from(dice.next())).unwrap();
    assert_eq!((imported.edits.len(), imported.left_out), (3, 4));
    let mut one = board(1);
    one.edit(PageId::FIRST, &imported.edits, 0).unwrap();
    assert!(page(&one).iter().any(|element| element.text == "abc" && element.frame.is_none()));
    // And it can be painted.
    assert!(svg::write(&Drawing::of(page(&one)), &Pictures::new()).ends_with("</svg>\n"));
}

#[test]
fn svg_holds_everything_and_nothing_that_runs() {
    let one = full();
    let text = svg::write(&Drawing::of(page(&one)), &Pictures::new());
    assert!(text.contains("in the &quot;box&quot; &lt;b&gt;&amp;") && text.contains("rotate("));
    assert!(!text.contains("<script") && !text.contains("href") && !text.contains("NaN") && !text.contains("inf"));
    assert!(text.contains("stroke-dasharray") && text.contains("#1971c2") && text.contains("fill-opacity"));
    assert_eq!(Color::NONE, "transparent".parse().unwrap());
}
