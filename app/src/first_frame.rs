//! Tells whoever measures the start of the app when its first frame is on the screen.

use std::path::PathBuf;

use egui::Context;

/// Names a file that is made when the first frame is on the screen. Not set: nothing is done.
pub const VARIABLE: &str = "CONCLAVE_FIRST_FRAME";

/// The file to make, until it is made.
#[derive(Debug, Default)]
pub struct FirstFrame {
    marker: Option<PathBuf>,
    drawn: bool,
}

impl FirstFrame {
    /// As the environment says.
    pub fn from_env() -> Self {
        Self { marker: std::env::var_os(VARIABLE).map(PathBuf::from), drawn: false }
    }

    /// At the beginning of each frame: that of the second means that the first has been shown.
    pub fn tick(&mut self, ctx: &Context) {
        if self.marker.is_none() {
            return;
        }
        if !std::mem::replace(&mut self.drawn, true) {
            ctx.request_repaint();
            return;
        }
        if let Some(marker) = self.marker.take()
            && let Err(error) = std::fs::write(&marker, [])
        {
            tracing::warn!(%error, "the file named by {VARIABLE} cannot be written");
        }
    }
}
