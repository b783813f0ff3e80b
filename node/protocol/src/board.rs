//! The whiteboard as the room carries it: which operations are a board's, who their authors are in the document, and what is shown live of
//! pens and pointers. It must never look into a document: that is the business of the crate that keeps it.

use minicbor::{Decode, Encode};

use crate::id::DeviceId;

/// Body kinds of the board in the op log.
pub mod kind {
    /// A batch of changes: a zstd frame of a CBOR array of `[document, Automerge change]`.
    pub const CHANGES: u32 = 300;
}

/// Most elements of a selection that is told.
pub const MAX_SELECTION: usize = 64;
/// Most bytes of packed points in one live message.
pub const MAX_LIVE_POINTS: usize = 4096;
/// Longest style in one live message, in bytes.
pub const MAX_LIVE_STYLE: usize = 128;
/// Steps in a px of positions that are told live.
pub const LIVE_STEPS: f32 = 8.0;
/// Characters of the id of a page or an element.
const ID_LENGTH: usize = 12;

/// The actor under which what a device signs in one run stands in the documents: nobody can write as anybody else, and no run as another.
pub fn actor(device: &DeviceId, incarnation: u64) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("conclave board actor 1");
    hasher.update(device.as_bytes());
    hasher.update(&incarnation.to_le_bytes());
    let mut actor = [0; 16];
    hasher.finalize_xof().fill(&mut actor);
    actor
}

/// Where someone is on the board and what they are drawing. At most one each 50 ms is sent; none of it lasts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BoardLive {
    /// The page they look at.
    #[n(0)]
    pub page: String,
    /// Their pointer, in eighths of a px; absent where it is not over the board.
    #[n(1)]
    pub cursor: Option<(i32, i32)>,
    /// The pointer is a laser: its way is shown for a moment.
    #[n(2)]
    pub laser: bool,
    /// What they have selected; at most [`MAX_SELECTION`].
    #[n(3)]
    pub selection: Vec<String>,
    /// What they see, in eighths of a px: left, top, width, height. For those who follow them.
    #[n(4)]
    pub viewport: Option<[i32; 4]>,
    /// A stroke that is being drawn.
    #[n(5)]
    pub ink: Option<Ink>,
}

/// What came to a stroke since the last message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ink {
    /// The id that the element will have.
    #[n(0)]
    pub element: String,
    /// The element's kind, as in the document.
    #[n(1)]
    pub kind: u8,
    /// The element's style, as in the document; in the first message of a stroke.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub style: Option<Vec<u8>>,
    /// How many points came before these.
    #[n(3)]
    pub from: u32,
    /// Points of the page, packed as in the document; at most [`MAX_LIVE_POINTS`] bytes.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub points: Vec<u8>,
    /// The pen is lifted: the element follows as an operation, or the stroke was given up.
    #[n(5)]
    pub done: bool,
}

impl BoardLive {
    /// Within every limit. What is not is dropped.
    pub fn is_sound(&self) -> bool {
        let is_id = |id: &String| id.len() == ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let ink = self.ink.as_ref().is_none_or(|ink| {
            is_id(&ink.element)
                && ink.points.len() <= MAX_LIVE_POINTS
                && ink.style.as_ref().is_none_or(|style| style.len() <= MAX_LIVE_STYLE)
        });
        is_id(&self.page) && self.selection.len() <= MAX_SELECTION && self.selection.iter().all(is_id) && ink
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_of_each_device_is_another_actor() {
        let (one, other) = (DeviceId([1; 32]), DeviceId([2; 32]));
        let actors = [actor(&one, 1), actor(&one, 2), actor(&other, 1)];
        assert!(actors[0] != actors[1] && actors[0] != actors[2] && actors[1] != actors[2]);
        assert_eq!(actors[0], actor(&one, 1));
    }

    #[test]
    fn a_live_message_over_a_limit_is_not_sound() {
        let page = || "abcdefghijkl".to_owned();
        let live = BoardLive { page: page(), ..BoardLive::default() };
        assert!(live.is_sound());
        assert!(!BoardLive { page: "../../../../".to_owned(), ..live.clone() }.is_sound());
        assert!(!BoardLive { selection: vec![page(); MAX_SELECTION + 1], ..live.clone() }.is_sound());
        let ink = Ink { element: page(), points: vec![0; MAX_LIVE_POINTS + 1], ..Ink::default() };
        assert!(!BoardLive { ink: Some(ink), ..live.clone() }.is_sound());
        let ink = Ink { element: page(), style: Some(vec![0; MAX_LIVE_STYLE + 1]), ..Ink::default() };
        assert!(!BoardLive { ink: Some(ink), ..live }.is_sound());
    }

    #[test]
    fn what_is_told_of_a_pointer_is_small() {
        let live = BoardLive { page: "abcdefghijkl".to_owned(), cursor: Some((80_000, -80_000)), ..BoardLive::default() };
        assert!(crate::wire::encode(&live).len() <= 40, "{}", crate::wire::encode(&live).len());
        assert_eq!(crate::wire::decode::<BoardLive>(&crate::wire::encode(&live)), Ok(live));
    }
}
