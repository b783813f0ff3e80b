//! What a person does to a page, as values: what the canvas, a script and undo ask of the board.

use serde::{Deserialize, Serialize};

use crate::geometry::{GeometryError, Point};
use crate::id::{ElementId, GroupId, PageId};
use crate::shape::{Binding, Shape, Style, Transform};

/// Most edits of one step.
pub const MAX_EDITS: usize = 10_000;

/// Where in the z-order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Above everything.
    #[default]
    Front,
    /// Below everything.
    Back,
    /// Right above an element.
    Above(ElementId),
    /// Right below an element.
    Below(ElementId),
}

/// Which end of an arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Its first point.
    Start,
    /// Its last point.
    End,
}

/// One edit of a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Edit {
    /// Puts a new element there. The caller picks an id that was never used: [`ElementId::from_random`].
    Add {
        /// Its name.
        id: ElementId,
        /// What it is.
        #[serde(flatten)]
        shape: Shape,
        /// Where in the z-order.
        #[serde(default)]
        place: Place,
    },
    /// Takes an element away.
    Delete {
        /// Which.
        id: ElementId,
    },
    /// Moves, resizes or turns an element.
    Transform {
        /// Which.
        id: ElementId,
        /// Where it stands now.
        #[serde(flatten)]
        transform: Transform,
    },
    /// Changes how an element looks.
    Style {
        /// Which.
        id: ElementId,
        /// How it looks now.
        style: Style,
    },
    /// Gives a stroke, line or arrow other points.
    Points {
        /// Which.
        id: ElementId,
        /// From the top left of its box, as in [`Shape::points`].
        points: Vec<Point>,
    },
    /// Changes a text in place: what others write in it at once is kept.
    Splice {
        /// Which.
        id: ElementId,
        /// Where, in characters.
        at: usize,
        /// How many characters to take away there.
        #[serde(default)]
        delete: usize,
        /// What to put there.
        #[serde(default)]
        insert: String,
    },
    /// Changes a text to another: only what differs is written.
    Text {
        /// Which.
        id: ElementId,
        /// What it says now.
        text: String,
    },
    /// Puts an element elsewhere in the z-order.
    Order {
        /// Which.
        id: ElementId,
        /// Where.
        place: Place,
    },
    /// Puts an element in a frame, or takes it out.
    Frame {
        /// Which.
        id: ElementId,
        /// The frame.
        frame: Option<ElementId>,
    },
    /// Puts an element in a group, or takes it out.
    Group {
        /// Which.
        id: ElementId,
        /// The group.
        group: Option<GroupId>,
    },
    /// Locks an element or unlocks it.
    Lock {
        /// Which.
        id: ElementId,
        /// Locked now.
        locked: bool,
    },
    /// Lets an end of an arrow hold on to something, or go.
    Bind {
        /// Which arrow.
        id: ElementId,
        /// Which end of it.
        end: End,
        /// What it holds on to.
        to: Option<Binding>,
    },
    /// Shows another picture.
    Image {
        /// Which.
        id: ElementId,
        /// How its file is called in the room.
        image: Option<String>,
    },
}

impl Edit {
    /// What it is about.
    pub fn id(&self) -> ElementId {
        match self {
            Self::Add { id, .. }
            | Self::Delete { id }
            | Self::Transform { id, .. }
            | Self::Style { id, .. }
            | Self::Points { id, .. }
            | Self::Splice { id, .. }
            | Self::Text { id, .. }
            | Self::Order { id, .. }
            | Self::Frame { id, .. }
            | Self::Group { id, .. }
            | Self::Lock { id, .. }
            | Self::Bind { id, .. }
            | Self::Image { id, .. } => *id,
        }
    }
}

/// One edit of the list of pages, or of the board's title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum PageEdit {
    /// A new page, at the end.
    AddPage {
        /// Its name in the document. The caller picks one that was never used.
        page: PageId,
        /// As people read it; at most [`crate::MAX_NAME`] bytes.
        name: String,
    },
    /// Another name.
    RenamePage {
        /// Which.
        page: PageId,
        /// As people read it.
        name: String,
    },
    /// Another place among the pages.
    MovePage {
        /// Which.
        page: PageId,
        /// Right before this one, or at the end.
        before: Option<PageId>,
    },
    /// Takes a page away, with all on it.
    DeletePage {
        /// Which.
        page: PageId,
    },
    /// What the board is called.
    Title {
        /// As people read it.
        title: String,
    },
}

/// Why an edit was not done. Nothing of its step was, then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No such page.
    #[error("there is no such page")]
    UnknownPage,
    /// No such element: someone may have taken it away.
    #[error("there is no such element on the page")]
    UnknownElement,
    /// The name of a new element or page is taken.
    #[error("the id is already in use")]
    IdInUse,
    /// An element of this kind has no such property, or it changes after it was made.
    #[error("this kind of element has no such property")]
    WrongKind,
    /// A number that is not finite, or out of its range.
    #[error("a number is out of range")]
    OutOfRange,
    /// Text, points, a name or the step itself.
    #[error("too long")]
    TooLong,
    /// A control character, or an image name that could not be one.
    #[error("the text holds characters that cannot be shown")]
    BadText,
    /// The page or the board is full.
    #[error("the page is full")]
    Full,
    /// The last page stays.
    #[error("a board keeps one page")]
    LastPage,
    /// No such moment in the history.
    #[error("there is no such moment")]
    UnknownMoment,
    /// The document would not take it, which is a defect of this program.
    #[error("the board's document refused the edit")]
    Document,
}

impl From<GeometryError> for EditError {
    fn from(error: GeometryError) -> Self {
        match error {
            GeometryError::TooLarge => Self::TooLong,
            GeometryError::OutOfRange | GeometryError::Malformed => Self::OutOfRange,
        }
    }
}
