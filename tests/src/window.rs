//! The real window of the app on a display of its own, used as a person would: looked at, clicked and typed into.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, ImageFormat, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT,
    MOTION_NOTIFY_EVENT, Window as WindowId,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use crate::display::Display;
use crate::peer::PATIENCE;
use crate::process::{Owned, program};
use crate::shot::Shot;

/// Time between two looks at the window.
const LOOK: Duration = Duration::from_millis(50);
/// For what `GetImage` may take of the planes: all.
const ALL_PLANES: u32 = !0;

/// The app in its window. It ends, and the display with it, when this is dropped.
pub struct Window {
    app: Owned,
    _display: Display,
    data: tempfile::TempDir,
    connection: RustConnection,
    root: WindowId,
    size: (u16, u16),
    /// From the start of the process to its first frame on the screen.
    pub first_frame: Duration,
}

impl Window {
    /// Starts the app with a fresh identity of this name and waits for its first frame.
    pub fn open(name: &str, args: &[&str]) -> Result<Self> {
        let (width, height) = (1280, 800);
        let display = Display::start(width, height)?;
        let data = tempfile::Builder::new().prefix("cvwindow").tempdir()?;
        let marker = data.path().join("first-frame");
        let mut command = Command::new(program("conclave")?);
        command.arg("--data").arg(data.path().join("data")).args(["--insecure-store", "--name", name]).args(args);
        command.env("DISPLAY", display.name()).env_remove("WAYLAND_DISPLAY").env("LIBGL_ALWAYS_SOFTWARE", "1");
        command.env("CONCLAVE_FIRST_FRAME", &marker);
        let log = std::fs::File::create(data.path().join("stderr.log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let start = Instant::now();
        let mut app = Owned::spawn(&mut command)?;
        while !marker.exists() {
            if !app.is_running() || start.elapsed() > PATIENCE {
                bail!("the app shows no first frame. It said: {}", read_log(data.path()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let first_frame = start.elapsed();
        let (connection, screen) = x11rb::connect(Some(display.name()))?;
        let root = connection.setup().roots.get(screen).context("no screen")?.root;
        let window = Self {
            app,
            _display: display,
            data,
            connection,
            root,
            size: (u16::try_from(width)?, u16::try_from(height)?),
            first_frame,
        };
        window.take_focus()?;
        Ok(window)
    }

    /// The process id of the app.
    pub fn pid(&self) -> u32 {
        self.app.id()
    }

    /// What the app wrote to standard error.
    pub fn log(&self) -> String {
        read_log(self.data.path())
    }

    /// There is no window manager here to give the keyboard to the window.
    fn take_focus(&self) -> Result<()> {
        let tree = self.connection.query_tree(self.root)?.reply()?;
        for child in tree.children {
            let attributes = self.connection.get_window_attributes(child)?.reply()?;
            if attributes.map_state == x11rb::protocol::xproto::MapState::VIEWABLE {
                self.connection.set_input_focus(InputFocus::PARENT, child, x11rb::CURRENT_TIME)?;
            }
        }
        self.connection.sync_now()
    }

    /// What is on the screen now.
    pub fn look(&self) -> Result<Shot> {
        let (width, height) = self.size;
        let image = self.connection.get_image(ImageFormat::Z_PIXMAP, self.root, 0, 0, width, height, ALL_PLANES)?.reply()?;
        Shot::from_bgrx(u32::from(width), u32::from(height), image.data).context("an image of another size")
    }

    /// Looks until `find` sees what it looks for. Fails with a picture of the last look kept where `CONCLAVE_TEST_LOGS` says.
    pub async fn wait<T>(&mut self, what: &str, mut find: impl FnMut(&Shot) -> Option<T>) -> Result<T> {
        let start = Instant::now();
        loop {
            let shot = self.look()?;
            if let Some(found) = find(&shot) {
                return Ok(found);
            }
            if !self.app.is_running() {
                bail!("the app ended while {what} was waited for. It said: {}", self.log());
            }
            if start.elapsed() > PATIENCE {
                let kept = keep(&shot, what).map_or_else(String::new, |path| format!(" The last look is in {path}."));
                bail!("the window never showed {what}.{kept} The app said: {}", self.log());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Clicks at a point, as with the left button of a mouse.
    pub fn click(&self, (x, y): (u32, u32)) -> Result<()> {
        let (x, y) = (i16::try_from(x)?, i16::try_from(y)?);
        self.connection.xtest_fake_input(MOTION_NOTIFY_EVENT, 0, 0, self.root, x, y, 0)?;
        for kind in [BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT] {
            self.connection.xtest_fake_input(kind, 1, 0, self.root, x, y, 0)?;
            self.connection.sync_now()?;
        }
        Ok(())
    }

    /// Pulls from one point to another with the left button held.
    pub fn drag(&self, from: (u32, u32), to: (u32, u32)) -> Result<()> {
        const STEPS: i64 = 12;
        let part =
            |from: u32, to: u32, step: i64| i16::try_from(i64::from(from) + (i64::from(to) - i64::from(from)) * step / STEPS);
        for step in 0..=STEPS {
            let (x, y) = (part(from.0, to.0, step)?, part(from.1, to.1, step)?);
            self.connection.xtest_fake_input(MOTION_NOTIFY_EVENT, 0, 0, self.root, x, y, 0)?;
            self.connection.sync_now()?;
            if step == 0 {
                self.connection.xtest_fake_input(BUTTON_PRESS_EVENT, 1, 0, self.root, 0, 0, 0)?;
            }
        }
        self.connection.xtest_fake_input(BUTTON_RELEASE_EVENT, 1, 0, self.root, 0, 0, 0)?;
        self.connection.sync_now()
    }

    /// Types a text, key by key. Only what the keyboard has without Shift.
    pub fn type_text(&self, text: &str) -> Result<()> {
        for letter in text.chars() {
            self.key(u32::from(letter)).with_context(|| format!("typing {letter:?}"))?;
        }
        Ok(())
    }

    /// Presses and releases the key of a keysym; those of Latin-1 are the characters' own numbers.
    pub fn key(&self, keysym: u32) -> Result<()> {
        let setup = self.connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let mapping = self.connection.get_keyboard_mapping(first, last - first + 1)?.reply()?;
        let per_code = usize::from(mapping.keysyms_per_keycode).max(1);
        let index = mapping.keysyms.chunks(per_code).position(|syms| syms.first() == Some(&keysym)).context("no such key")?;
        let code = first + u8::try_from(index)?;
        for kind in [KEY_PRESS_EVENT, KEY_RELEASE_EVENT] {
            self.connection.xtest_fake_input(kind, code, 0, self.root, 0, 0, 0)?;
            self.connection.sync_now()?;
        }
        Ok(())
    }
}

trait SyncNow {
    /// Everything asked so far has been carried out by the server.
    fn sync_now(&self) -> Result<()>;
}

impl SyncNow for RustConnection {
    fn sync_now(&self) -> Result<()> {
        self.get_input_focus()?.reply()?;
        Ok(())
    }
}

fn read_log(data: &Path) -> String {
    std::fs::read_to_string(data.join("stderr.log")).unwrap_or_default()
}

fn keep(shot: &Shot, what: &str) -> Option<String> {
    let folder = std::env::var_os("CONCLAVE_TEST_LOGS")?;
    let name: String = what.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let path = Path::new(&folder).join(format!("window-{name}.png"));
    shot.save(&path).ok()?;
    Some(path.display().to_string())
}
