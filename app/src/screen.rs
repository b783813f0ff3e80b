//! The screens. Each has a view, built from the state and tested as text, and a function that draws it.

pub mod board;
pub mod call;
pub mod dialogs;
pub mod joining;
pub mod lobby;
pub mod room;
pub mod rooms;
pub mod settings;
pub mod sidebar;
pub mod welcome;
