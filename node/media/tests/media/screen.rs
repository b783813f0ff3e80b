//! A shared X11 screen, on a virtual display. With `CONCLAVE_FULL=1` only; it needs Xvfb.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use conclave_media::device::open_screen;
use conclave_media::error::MediaError;
use conclave_media::picture::Picture;
use conclave_media::source::VideoSource;
use conclave_media::testcard::{CLOCK_BLOCKS_ACROSS, CLOCK_COLUMNS, CLOCK_ROWS, clock_block, read_clock};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    ChangeGCAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, Gcontext, Rectangle, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

struct Xvfb {
    process: Child,
    display: String,
}

impl Xvfb {
    /// `None`, said loudly, where this is not the full run or there is no Xvfb.
    fn start() -> Option<Self> {
        if std::env::var_os("CONCLAVE_FULL").is_none() {
            eprintln!("SKIPPED: the X11 tests run with CONCLAVE_FULL=1");
            return None;
        }
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp", "-noreset"]);
        let Ok(mut process) = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
            eprintln!("SKIPPED: Xvfb is not installed");
            return None;
        };
        let mut number = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Some(Self { process, display: format!(":{}", number.trim()) })
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program that draws the clock into a window.
struct Painter {
    connection: RustConnection,
    root: Window,
    gc: Gcontext,
}

impl Painter {
    fn new(display: &str) -> Self {
        let (connection, number) = RustConnection::connect(Some(display)).unwrap();
        let root = connection.setup().roots[number].root;
        let gc = connection.generate_id().unwrap();
        connection.create_gc(gc, root, &CreateGCAux::new()).unwrap().check().unwrap();
        Self { connection, root, gc }
    }

    fn window(&self, x: i16, y: i16, width: u16, height: u16, colour: u32) -> Window {
        let window = self.connection.generate_id().unwrap();
        let aux = CreateWindowAux::new().background_pixel(colour).override_redirect(1);
        let class = WindowClass::INPUT_OUTPUT;
        self.connection.create_window(0, window, self.root, x, y, width, height, 0, class, 0, &aux).unwrap().check().unwrap();
        self.connection.map_window(window).unwrap().check().unwrap();
        self.connection.clear_area(false, window, 0, 0, 0, 0).unwrap();
        self.connection.sync().unwrap();
        window
    }

    /// Draws the clock as it is in a picture of `width` pixels whose corner is the window's.
    fn clock(&self, window: Window, width: u16, time: Duration) {
        let side = width / CLOCK_BLOCKS_ACROSS as u16;
        for row in 0..CLOCK_ROWS {
            for column in 0..CLOCK_COLUMNS {
                let colour = if clock_block(time, column, row) { 0x00ff_ffff } else { 0 };
                self.connection.change_gc(self.gc, &ChangeGCAux::new().foreground(colour)).unwrap();
                let (x, y) = (column as i16 * side as i16, row as i16 * side as i16);
                let block = Rectangle { x, y, width: side, height: side };
                self.connection.poly_fill_rectangle(window, self.gc, &[block]).unwrap();
            }
        }
        self.connection.sync().unwrap();
    }
}

fn picture_that(source: &mut dyn VideoSource, wanted: impl Fn(&Picture) -> bool) -> Picture {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(10) {
        if let Some(picture) = source.next().unwrap()
            && wanted(&picture)
        {
            return picture;
        }
    }
    panic!("no such picture within 10 s");
}

const TIMES: [Duration; 2] = [Duration::from_millis(1_790_000_000_123), Duration::from_millis(1_790_000_004_567)];

#[test]
#[ignore = "needs Xvfb: make test-full"]
fn whole_screen_and_a_part_of_it_show_what_is_on_them() {
    let Some(xvfb) = Xvfb::start() else { return };
    let painter = Painter::new(&xvfb.display);
    let mut whole = open_screen(&format!("x11:{}", xvfb.display)).unwrap();
    let mut part = open_screen(&format!("x11:{}+320,200,640x360", xvfb.display)).unwrap();
    let large = painter.window(0, 0, 640, 150, 0);
    let small = painter.window(320, 200, 320, 100, 0);
    for time in TIMES {
        painter.clock(large, 1280, time);
        painter.clock(small, 640, time);
        let picture = picture_that(whole.as_mut(), |picture| read_clock(picture) == Some(time));
        assert_eq!((picture.width(), picture.height()), (1280, 720));
        let picture = picture_that(part.as_mut(), |picture| read_clock(picture) == Some(time));
        assert_eq!((picture.width(), picture.height()), (640, 360));
    }
}

#[test]
#[ignore = "needs Xvfb: make test-full"]
fn still_screen_gives_few_pictures() {
    let Some(xvfb) = Xvfb::start() else { return };
    let mut source = open_screen(&format!("x11:{}", xvfb.display)).unwrap();
    let begin = Instant::now();
    let mut times = Vec::new();
    while begin.elapsed() < Duration::from_millis(3500) {
        times.extend(source.next().unwrap().map(|_| begin.elapsed()));
    }
    let late = times.iter().filter(|time| **time > Duration::from_millis(1300)).count();
    assert!((1..=3).contains(&late), "{times:?}");
}

#[test]
#[ignore = "needs Xvfb: make test-full"]
fn shared_window_is_seen_without_what_lies_over_it_and_may_change_and_close() {
    let Some(xvfb) = Xvfb::start() else { return };
    let painter = Painter::new(&xvfb.display);
    let window = painter.window(100, 100, 640, 360, 0);
    // The spec of a window names no display: it is on the one of the session.
    let spec = format!("x11:window:{window:#x}");
    let open = || {
        let child = conclave_media::device::VideoSpec::screen(&spec).unwrap();
        let conclave_media::device::VideoSpec::X11(mut x11) = child else { panic!("{child:?}") };
        x11.display = Some(xvfb.display.clone());
        conclave_media::device::VideoSpec::X11(x11).open()
    };
    let mut source = open().unwrap();
    painter.clock(window, 640, TIMES[0]);
    let _above = painter.window(50, 50, 400, 300, 0x00ff_0000);
    painter.clock(window, 640, TIMES[1]);
    picture_that(source.as_mut(), |picture| read_clock(picture) == Some(TIMES[1]));

    let smaller = x11rb::protocol::xproto::ConfigureWindowAux::new().width(320).height(180);
    painter.connection.configure_window(window, &smaller).unwrap().check().unwrap();
    picture_that(source.as_mut(), |picture| (picture.width(), picture.height()) == (320, 180));

    painter.connection.destroy_window(window).unwrap().check().unwrap();
    let begin = Instant::now();
    let error = loop {
        match source.next() {
            Ok(_) => assert!(begin.elapsed() < Duration::from_secs(10)),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, MediaError::Gone { .. }), "{error}");
    assert!(matches!(open().err().unwrap(), MediaError::Unavailable { .. }));
}

#[test]
#[ignore = "needs Xvfb: make test-full"]
fn display_that_ends_is_reported() {
    let Some(xvfb) = Xvfb::start() else { return };
    let mut source = open_screen(&format!("x11:{}", xvfb.display)).unwrap();
    picture_that(source.as_mut(), |_| true);
    drop(xvfb);
    let begin = Instant::now();
    while source.next().is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}
