//! What one person does.

use conclave_crdt::{
    Binding, Edit, EditError, ElementId, End, Head, Hold, Kind, PageEdit, PageId, Place, Point, Rect, Shape, Style, Transform,
};

use crate::support::{add, board, edit, exchange, id, note, page, rect, seen};

#[test]
fn every_kind_comes_out_at_another_peer_as_it_was_put_in() {
    let (mut one, mut other) = (board(1), board(2));
    let style = Style {
        stroke: "#e03131".parse().unwrap(),
        fill: "#ffec9980".parse().unwrap(),
        width: 4.5,
        dash: conclave_crdt::Dash::Dashed,
        opacity: 60,
        font_size: 28.0,
        align: conclave_crdt::Align::Center,
        round: true,
        start: Head::Dot,
        end: Head::Triangle,
    };
    let points = [Point::new(10.0, 10.0), Point { x: 40.0, y: 90.0, pressure: 1.0 }, Point::new(120.0, 30.0)];
    let mut edits = vec![add(id(9), Shape::new(Kind::Frame, Transform::new(0.0, 0.0, 800.0, 600.0), style))];
    for (number, kind) in [Kind::Pen, Kind::Line, Kind::Arrow].into_iter().enumerate() {
        edits.push(add(id(number as u128), Shape::through(kind, &points, style)));
    }
    for (number, kind) in [Kind::Rect, Kind::Ellipse, Kind::Diamond, Kind::Text, Kind::Note, Kind::Image].into_iter().enumerate()
    {
        let mut shape = Shape::new(kind, Transform { x: 1.5, y: -7.25, w: 10.0, h: 20.0, angle: 0.5 }, style);
        shape.text = "Grüße 👋🏽\nzwei".to_owned();
        shape.frame = Some(id(9));
        shape.group = Some(conclave_crdt::GroupId::from_random(5));
        shape.locked = true;
        shape.image = (kind == Kind::Image).then(|| "file:abc".to_owned());
        edits.push(add(id(20 + number as u128), shape));
    }
    edits.push(Edit::Bind {
        id: id(2),
        end: End::Start,
        to: Some(Binding { target: id(20), fx: 0.5, fy: 0.0, hold: Hold::Point }),
    });
    edit(&mut one, &edits);
    assert_eq!(page(&one).len(), 10);
    for put in &edits {
        if let Edit::Add { id, shape, .. } = put {
            let mut got = page(&one).get(id).unwrap().shape.clone();
            // Pressure travels in 255ths.
            assert!(got.points.iter().zip(shape.points.iter()).all(|(got, put)| (got.pressure - put.pressure).abs() < 0.003));
            got.points = shape.points.clone();
            got.start = None;
            assert_eq!(&got, shape);
        }
    }
    exchange(&mut [&mut one, &mut other]);
    assert_eq!(seen(&one), seen(&other));
    assert_eq!(page(&other).bound_to(&id(20)).map(|arrow| arrow.id).collect::<Vec<_>>(), [id(2)]);
    assert_eq!(page(&other).in_frame(id(9)).count(), 6);
}

#[test]
fn a_step_is_done_whole_or_not_at_all() {
    let mut board = board(1);
    let before = seen(&board);
    let bad = |edits: &[Edit]| board.clone().edit(PageId::FIRST, edits, 0).unwrap_err();
    assert_eq!(bad(&[add(id(1), rect(0.0, 0.0)), Edit::Delete { id: id(2) }]), EditError::UnknownElement);
    assert_eq!(bad(&[add(id(1), rect(0.0, 0.0)), add(id(1), rect(0.0, 0.0))]), EditError::IdInUse);
    assert_eq!(bad(&[add(id(1), rect(f32::NAN, 0.0))]), EditError::OutOfRange);
    assert_eq!(bad(&[add(id(1), note("a\u{7}b"))]), EditError::BadText);
    assert_eq!(bad(&[add(id(1), note(&"x".repeat(20_001)))]), EditError::TooLong);
    assert_eq!(
        bad(&[add(id(1), Shape::new(Kind::Pen, Transform::new(0.0, 0.0, 1.0, 1.0), Style::default()))]),
        EditError::WrongKind
    );
    let loose = Style { width: f32::INFINITY, ..Style::default() };
    assert_eq!(bad(&[add(id(1), rect(0.0, 0.0)), Edit::Style { id: id(1), style: loose }]), EditError::OutOfRange);
    assert_eq!(board.edit(PageId::from_random(77), &[], 0), Err(EditError::UnknownPage));
    assert_eq!(seen(&board), before);
    assert!(board.take_changes().is_empty());
}

#[test]
fn the_z_order_puts_things_where_they_are_asked_to_be() {
    let mut board = board(1);
    let order = |board: &conclave_crdt::Board| page(board).iter().map(|element| element.id).collect::<Vec<_>>();
    edit(&mut board, &(1..=4).map(|number| add(id(number), rect(0.0, 0.0))).collect::<Vec<_>>());
    assert_eq!(order(&board), [id(1), id(2), id(3), id(4)]);
    edit(&mut board, &[Edit::Order { id: id(1), place: Place::Front }]);
    assert_eq!(order(&board), [id(2), id(3), id(4), id(1)]);
    edit(&mut board, &[Edit::Order { id: id(4), place: Place::Back }, Edit::Order { id: id(3), place: Place::Back }]);
    assert_eq!(order(&board), [id(3), id(4), id(2), id(1)]);
    edit(&mut board, &[Edit::Order { id: id(1), place: Place::Above(id(3)) }]);
    assert_eq!(order(&board), [id(3), id(1), id(4), id(2)]);
    edit(&mut board, &[Edit::Order { id: id(2), place: Place::Below(id(3)) }]);
    assert_eq!(order(&board), [id(2), id(3), id(1), id(4)]);
    // Always the same place, until there is no room left and the neighbours move.
    for number in 100..900 {
        edit(&mut board, &[Edit::Add { id: id(number), shape: rect(0.0, 0.0), place: Place::Above(id(3)) }]);
        assert_eq!(order(&board)[..3], [id(2), id(3), id(number)]);
    }
    assert_eq!(*order(&board).last().unwrap(), id(4));
}

#[test]
fn elements_are_found_by_place_and_drawn_where_they_stand() {
    let mut board = board(1);
    let line = Shape::through(Kind::Line, &[Point::new(100.0, 100.0), Point::new(200.0, 150.0)], Style::default());
    edit(&mut board, &[add(id(1), rect(0.0, 0.0)), add(id(2), rect(1000.0, 1000.0)), add(id(3), line)]);
    let found = |rect| page(&board).in_rect(rect).into_iter().map(|element| element.id).collect::<Vec<_>>();
    assert_eq!(found(Rect::from_size(-10.0, -10.0, 50.0, 50.0)), [id(1)]);
    assert_eq!(found(Rect::from_size(50.0, 50.0, 2000.0, 2000.0)), [id(1), id(2), id(3)]);
    assert_eq!(found(Rect::from_size(500.0, 500.0, 10.0, 10.0)), []);
    // Twice as wide: its points are stretched.
    edit(&mut board, &[Edit::Transform { id: id(3), transform: Transform::new(100.0, 100.0, 200.0, 50.0) }]);
    let points = page(&board).points(page(&board).get(&id(3)).unwrap());
    assert_eq!((points[1].x, points[1].y), (300.0, 150.0));
    let bounds = page(&board).bounds().unwrap();
    assert_eq!((bounds.x0, bounds.x1), (-1.0, 1101.0));
}

#[test]
fn an_arrow_follows_what_it_holds_on_to() {
    let mut board = board(1);
    let arrow = Shape::through(Kind::Arrow, &[Point::new(0.0, 300.0), Point::new(50.0, 60.0)], Style::default());
    edit(
        &mut board,
        &[
            add(id(1), rect(0.0, 0.0)),
            add(id(2), arrow),
            Edit::Bind { id: id(2), end: End::End, to: Some(Binding { target: id(1), fx: 0.5, fy: 0.5, hold: Hold::Outline }) },
        ],
    );
    let end = |board: &conclave_crdt::Board| {
        let points = page(board).points(page(board).get(&id(2)).unwrap());
        (points[1].x, points[1].y)
    };
    // It stops just below the lower edge, on the way to the middle.
    let (x, y) = end(&board);
    assert!((y - 64.0).abs() < 0.1 && (40.0..50.0).contains(&x), "{x} {y}");
    let writes = board.take_changes().len();
    edit(&mut board, &[Edit::Transform { id: id(1), transform: Transform::new(500.0, 0.0, 100.0, 60.0) }]);
    let (x, _) = end(&board);
    assert!((400.0..560.0).contains(&x), "{x}");
    assert_eq!((writes, board.take_changes().len()), (1, 1));
    // What it held on to is gone: it ends where its own points say.
    edit(&mut board, &[Edit::Delete { id: id(1) }]);
    assert_eq!(end(&board), (50.0, 60.0));
}

#[test]
fn pages_are_added_named_moved_and_taken_away() {
    let (mut one, mut other) = (board(1), board(2));
    let second = PageId::from_random(2);
    let names = |board: &conclave_crdt::Board| board.pages().into_iter().map(|page| page.name).collect::<Vec<_>>();
    assert_eq!(names(&one), [""]);
    assert_eq!(one.edit_pages(&PageEdit::DeletePage { page: PageId::FIRST }), Err(EditError::LastPage));
    one.edit_pages(&PageEdit::RenamePage { page: PageId::FIRST, name: "Plan".to_owned() }).unwrap();
    one.edit_pages(&PageEdit::AddPage { page: second, name: "Ideen".to_owned() }).unwrap();
    one.edit_pages(&PageEdit::Title { title: "Retro".to_owned() }).unwrap();
    one.edit(second, &[add(id(1), rect(0.0, 0.0))], 0).unwrap();
    one.edit_pages(&PageEdit::MovePage { page: second, before: Some(PageId::FIRST) }).unwrap();
    exchange(&mut [&mut one, &mut other]);
    for board in [&one, &other] {
        assert_eq!((names(board), board.title().as_str()), (vec!["Ideen".to_owned(), "Plan".to_owned()], "Retro"));
        assert_eq!(board.page(second).unwrap().len(), 1);
    }
    other.edit_pages(&PageEdit::DeletePage { page: second }).unwrap();
    exchange(&mut [&mut one, &mut other]);
    assert_eq!((names(&one), one.page(second).is_none()), (vec!["Plan".to_owned()], true));
    // Brought back with all that was on it.
    other.undo().unwrap();
    exchange(&mut [&mut one, &mut other]);
    assert_eq!((names(&one).len(), one.page(second).unwrap().len()), (2, 1));
}

#[test]
fn edits_are_json_and_back() {
    let text = r##"[
        {"do":"add","id":"abcdefghijkl","kind":"rect","x":1,"y":2,"w":30,"h":40,"style":{"fill":"#ff0000"}},
        {"do":"add","id":"abcdefghijkm","kind":"pen","x":0,"y":0,"w":5,"h":5,"points":[{"x":0,"y":0},{"x":5,"y":5,"pressure":1.0}],"place":"back"},
        {"do":"transform","id":"abcdefghijkl","x":5,"y":5,"w":6,"h":7},
        {"do":"text","id":"abcdefghijkl","text":"hi"},
        {"do":"order","id":"abcdefghijkl","place":{"below":"abcdefghijkm"}},
        {"do":"delete","id":"abcdefghijkm"}
    ]"##;
    let edits: Vec<Edit> = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Edit>>(&serde_json::to_string(&edits).unwrap()).unwrap(), edits);
    let mut board = board(1);
    edit(&mut board, &edits);
    let only = page(&board).get(&"abcdefghijkl".parse::<ElementId>().unwrap()).unwrap();
    assert_eq!((only.text.as_str(), only.transform.x, only.style.fill.to_string().as_str()), ("hi", 5.0, "#ff0000"));
    assert!(serde_json::from_str::<Edit>(r#"{"do":"delete","id":"../../etc"}"#).is_err());
}

#[test]
fn a_large_step_becomes_several_changes_that_each_fit() {
    let (mut one, mut other) = (board(1), board(2));
    let mut dice = crate::support::Dice(5);
    let edits: Vec<Edit> = (0..1500).map(|number| add(id(number), crate::support::stroke(&mut dice))).collect();
    edit(&mut one, &edits);
    edit(&mut one, &[add(id(5000), note(&"Straße ".repeat(2000)))]);
    exchange(&mut [&mut one, &mut other]);
    assert_eq!(seen(&one), seen(&other));
    one.undo().unwrap();
    one.undo().unwrap();
    assert!(page(&one).is_empty());
}

#[test]
fn a_page_is_seen_as_it_was_and_brought_back() {
    let (mut one, mut other) = (board(1), board(2));
    edit(&mut one, &[add(id(1), rect(0.0, 0.0)), add(id(2), note("first"))]);
    let then = seen(&one);
    let moment = one.history(PageId::FIRST).len() - 1;
    exchange(&mut [&mut one, &mut other]);
    edit(&mut other, &[Edit::Delete { id: id(1) }, Edit::Text { id: id(2), text: "first and last".to_owned() }]);
    edit(&mut one, &[add(id(3), rect(9.0, 9.0))]);
    exchange(&mut [&mut one, &mut other]);
    let old: Vec<_> = one.page_at(PageId::FIRST, moment).unwrap().iter().map(|element| element.as_ref().clone()).collect();
    assert_eq!(old, then);
    assert_eq!(one.history(PageId::FIRST).len(), 3);
    assert!(one.page_at(PageId::FIRST, 3).is_none());
    one.restore(PageId::FIRST, moment).unwrap();
    exchange(&mut [&mut one, &mut other]);
    assert_eq!((seen(&one), seen(&other)), (then.clone(), then));
    // A restoration is a step like any other.
    one.undo().unwrap();
    assert_eq!(page(&one).len(), 2);
    assert_eq!(page(&one).get(&id(2)).unwrap().text, "first and last");
}
