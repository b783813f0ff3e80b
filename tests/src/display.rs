//! An X server of our own without a screen (Xvfb).

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process::Owned;

/// An X server that ends when it is dropped.
#[derive(Debug)]
pub struct Display {
    name: String,
    _server: Owned,
}

impl Display {
    /// Starts a display of this size, in pixels.
    pub fn start(width: u32, height: u32) -> Result<Self> {
        let mut command = Command::new("Xvfb");
        // The server itself looks for a free number and writes it to descriptor 1 once it serves.
        command.args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24"), "-nolisten", "tcp", "-noreset"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = Owned::spawn(&mut command).context("Xvfb")?;
        let pipe = server.child().stdout.take().context("Xvfb has no output")?;
        let mut line = String::new();
        BufReader::new(pipe).read_line(&mut line)?;
        let number: u32 = line.trim().parse().context("Xvfb gave no display number")?;
        Ok(Self { name: format!(":{number}"), _server: server })
    }

    /// What `DISPLAY` must be.
    pub fn name(&self) -> &str {
        &self.name
    }
}
