//! The window against a scripted node: what a person clicks and types, what is asked of the node, what is shown.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, unreachable_pub, dead_code)]

#[path = "app/scripted.rs"]
mod scripted;

#[path = "app/board.rs"]
mod board;
#[path = "app/canvas.rs"]
mod canvas;
#[path = "app/errors.rs"]
mod errors;
#[path = "app/files.rs"]
mod files;
#[path = "app/journey.rs"]
mod journey;
#[path = "app/keyboard.rs"]
mod keyboard;
#[path = "app/labels.rs"]
mod labels;
#[path = "app/signs.rs"]
mod signs;
#[path = "app/texts.rs"]
mod texts;
#[path = "app/verify.rs"]
mod verify;
#[path = "app/views.rs"]
mod views;
#[path = "app/window.rs"]
mod window;
