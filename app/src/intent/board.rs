//! What the person wants of a board.

use std::path::PathBuf;
use std::sync::Arc;

use conclave_crdt::{Align as TextAlign, Color, Dash, ElementId, Head, PageId};
use conclave_node::command::BoardFormat;
use conclave_protocol::id::{DeviceId, RoomId};
use egui::{Pos2, Rect, Vec2};

use crate::canvas::arrange::{Align, Order};
use crate::canvas::machine::Input;
use crate::canvas::tool::Tool;

/// A property of the style bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StyleChange {
    Stroke(Color),
    Fill(Color),
    Width(f32),
    Dash(Dash),
    Opacity(u8),
    FontSize(f32),
    Align(TextAlign),
    Round(bool),
    Start(Head),
    End(Head),
}

/// Where a picture for the board comes from.
#[derive(Clone, PartialEq)]
pub enum PictureFrom {
    Path(PathBuf),
    /// The bytes of a file that is none.
    Bytes(Arc<[u8]>),
}

impl core::fmt::Debug for PictureFrom {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

/// The person wants this of the board that is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum BoardIntent {
    /// Shows the board of a room.
    Open(RoomId),
    Close,

    // The canvas
    Viewport(Rect),
    Pointer(Input),
    PointerGone,
    Scroll(Vec2),
    /// Nearer by this factor, about the middle.
    ZoomBy(f32),
    ZoomAt {
        factor: f32,
        at: Pos2,
    },
    ZoomReset,
    ZoomFit,
    ZoomSelection,
    LookAt(Pos2),
    Tool(Tool),
    ToggleKeepTool,
    ToggleGrid,
    ToggleSnap,
    ToggleMinimap,
    Follow(Option<DeviceId>),

    // What is selected
    Select(ElementId),
    SelectAll,
    /// The next element in order, or the one before.
    Next(bool),
    Delete,
    Copy,
    Cut,
    Paste(String),
    Duplicate,
    Group,
    Ungroup,
    ToggleLock,
    Order(Order),
    Align(Align),
    /// Equal gaps: across, or down.
    Distribute(bool),
    Nudge(Vec2),
    Style(StyleChange),
    /// Writes in what is selected, finishes a line, or places an element of the tool.
    Enter,
    Escape,
    Undo,
    Redo,

    // Text
    Typed {
        text: String,
        size: Vec2,
    },
    EndText,

    // Pages
    Page(PageId),
    NextPage(bool),
    AddPage,
    RenamePage(PageId, String),
    DeletePage(PageId),
    MovePage {
        page: PageId,
        before: Option<PageId>,
    },

    // Files
    Export(BoardFormat),
    ExportTo(BoardFormat, PathBuf),
    Import,
    /// A picture that the person will choose.
    InsertPicture,
    /// The picture on the clipboard, if there is one.
    ClipboardPicture,
    AddPicture(PictureFrom),
    ImportFrom(PathBuf),

    // History
    History(bool),
    Moment(usize),
    Restore,
}
