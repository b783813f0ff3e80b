//! The whiteboard document.
