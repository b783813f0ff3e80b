//! The board through its public face: what one does, what several do at once, and what hostile peers send.

#[path = "board/convergence.rs"]
mod convergence;
#[path = "board/editing.rs"]
mod editing;
#[path = "board/interchange.rs"]
mod interchange;
#[path = "board/support.rs"]
mod support;
#[path = "board/undo.rs"]
mod undo;
#[path = "board/vectors.rs"]
mod vectors;
