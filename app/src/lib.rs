//! The Conclave app: a window over a node. It draws state and emits intents, and never awaits, locks or decides for the node.
//!
//! The ring, once round: a widget in [`widget`] or a screen in [`screen`] says an [`intent::Intent`]; [`state::AppState::handle`] turns it
//! into commands; the [`backend::Backend`] hands them to the node; what the node says comes back as messages that
//! [`state::AppState::apply`] folds; every frame builds views from the state and draws them. [`app::App`] turns the ring.

pub mod app;
pub mod args;
pub mod backend;
pub mod canvas;
pub mod chooser;
pub mod clock;
pub mod first_frame;
pub mod intent;
pub mod keys;
pub mod preview;
pub mod scan;
pub mod screen;
pub mod state;
pub mod text;
pub mod texture;
pub mod theme;
pub mod widget;
