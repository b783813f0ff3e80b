//! A program with a window, to have something worth sharing on a display: moving lines and the clock that the probe reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use conclave_media::testcard::{CLOCK_BLOCKS_ACROSS, CLOCK_COLUMNS, CLOCK_ROWS, clock_block};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt as _, CreateGCAux, CreateWindowAux, Gcontext, Rectangle, WindowClass};
use x11rb::wrapper::ConnectionExt as _;

/// Paints until it is dropped.
#[derive(Debug)]
pub struct Painter {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Painter {
    /// Opens a window over the whole display.
    pub fn start(display: &str) -> Result<Self> {
        let (connection, screen) = x11rb::connect(Some(display))?;
        let root =
            connection.setup().roots.get(screen).map(|screen| screen.clone()).ok_or_else(|| anyhow::anyhow!("no screen"))?;
        let (width, height) = (root.width_in_pixels, root.height_in_pixels);
        let window = connection.generate_id()?;
        let aux = CreateWindowAux::new().background_pixel(0x00f4_f1ea);
        connection.create_window(
            x11rb::COPY_DEPTH_FROM_PARENT,
            window,
            root.root,
            0,
            0,
            width,
            height,
            0,
            WindowClass::INPUT_OUTPUT,
            0,
            &aux,
        )?;
        connection.map_window(window)?;
        let pen = |colour: u32| -> Result<Gcontext> {
            let context = connection.generate_id()?;
            connection.create_gc(context, window, &CreateGCAux::new().foreground(colour))?;
            Ok(context)
        };
        let (black, white, ink, paper) = (pen(0)?, pen(0x00ff_ffff)?, pen(0x0033_4155)?, pen(0x00f4_f1ea)?);
        connection.sync()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let block = width / CLOCK_BLOCKS_ACROSS as u16;
            let below = (block * (CLOCK_ROWS as u16 + 1)) as i16;
            let mut frame = 0_i16;
            while !stopped.load(Ordering::Relaxed) {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let (mut light, mut dark) = (Vec::new(), Vec::new());
                for row in 0..CLOCK_ROWS {
                    for column in 0..CLOCK_COLUMNS {
                        let (x, y) = ((column as u16 * block) as i16, (row as u16 * block) as i16);
                        let square = Rectangle { x, y, width: block, height: block };
                        if clock_block(now, column, row) { light.push(square) } else { dark.push(square) }
                    }
                }
                // Lines like those of a text that scrolls.
                let lines: Vec<Rectangle> = (0..12)
                    .map(|line| Rectangle {
                        x: 60,
                        y: below + (line * 44 + (frame % 1000) * 2) % (height as i16 - below),
                        width: 300 + (line as u16 * 97) % 700,
                        height: 10,
                    })
                    .collect();
                let page = Rectangle { x: 0, y: below, width, height };
                let painted = connection
                    .poly_fill_rectangle(window, paper, &[page])
                    .and_then(|_| connection.poly_fill_rectangle(window, ink, &lines))
                    .and_then(|_| connection.poly_fill_rectangle(window, white, &light))
                    .and_then(|_| connection.poly_fill_rectangle(window, black, &dark))
                    .is_ok();
                if !painted || connection.flush().is_err() {
                    return;
                }
                frame = (frame + 1) % 10_000;
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
