//! The tools, their keys as Excalidraw has them, and the style with which the next element is drawn.

use conclave_crdt::{Color, Kind, Style};
use egui::Key;

/// What the pointer does on the canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tool {
    #[default]
    Select,
    Hand,
    Rect,
    Diamond,
    Ellipse,
    Arrow,
    Line,
    Pen,
    Text,
    Note,
    Frame,
    Eraser,
    Laser,
}

impl Tool {
    /// In the order of the tool bar.
    pub const ALL: [Self; 13] = [
        Self::Hand,
        Self::Select,
        Self::Rect,
        Self::Diamond,
        Self::Ellipse,
        Self::Arrow,
        Self::Line,
        Self::Pen,
        Self::Text,
        Self::Note,
        Self::Frame,
        Self::Eraser,
        Self::Laser,
    ];

    /// Its letter, and the digit that does the same.
    pub const fn keys(self) -> (Key, Option<Key>) {
        match self {
            Self::Hand => (Key::H, None),
            Self::Select => (Key::V, Some(Key::Num1)),
            Self::Rect => (Key::R, Some(Key::Num2)),
            Self::Diamond => (Key::D, Some(Key::Num3)),
            Self::Ellipse => (Key::O, Some(Key::Num4)),
            Self::Arrow => (Key::A, Some(Key::Num5)),
            Self::Line => (Key::L, Some(Key::Num6)),
            Self::Pen => (Key::P, Some(Key::Num7)),
            Self::Text => (Key::T, Some(Key::Num8)),
            Self::Note => (Key::N, Some(Key::Num9)),
            Self::Frame => (Key::F, None),
            Self::Eraser => (Key::E, Some(Key::Num0)),
            Self::Laser => (Key::K, None),
        }
    }

    pub fn of_key(key: Key) -> Option<Self> {
        // Excalidraw's second letter for the pen.
        if key == Key::X {
            return Some(Self::Pen);
        }
        Self::ALL.into_iter().find(|tool| tool.keys().0 == key || tool.keys().1 == Some(key))
    }

    /// The element it makes by dragging.
    pub const fn kind(self) -> Option<Kind> {
        match self {
            Self::Rect => Some(Kind::Rect),
            Self::Diamond => Some(Kind::Diamond),
            Self::Ellipse => Some(Kind::Ellipse),
            Self::Arrow => Some(Kind::Arrow),
            Self::Line => Some(Kind::Line),
            Self::Pen => Some(Kind::Pen),
            Self::Text => Some(Kind::Text),
            Self::Note => Some(Kind::Note),
            Self::Frame => Some(Kind::Frame),
            Self::Select | Self::Hand | Self::Eraser | Self::Laser => None,
        }
    }

    /// Changes the board, so that a viewer cannot have it.
    pub const fn edits(self) -> bool {
        self.kind().is_some() || matches!(self, Self::Eraser)
    }

    pub const fn icon(self) -> &'static str {
        use egui_phosphor::regular as icons;
        match self {
            Self::Hand => icons::HAND,
            Self::Select => icons::CURSOR,
            Self::Rect => icons::SQUARE,
            Self::Diamond => icons::DIAMOND,
            Self::Ellipse => icons::CIRCLE,
            Self::Arrow => icons::ARROW_UP_RIGHT,
            Self::Line => icons::LINE_SEGMENT,
            Self::Pen => icons::PENCIL_SIMPLE,
            Self::Text => icons::TEXT_T,
            Self::Note => icons::NOTE,
            Self::Frame => icons::FRAME_CORNERS,
            Self::Eraser => icons::ERASER,
            Self::Laser => icons::MAGIC_WAND,
        }
    }

    /// The key of its name.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Hand => "board-tool-hand",
            Self::Select => "board-tool-select",
            Self::Rect => "board-tool-rect",
            Self::Diamond => "board-tool-diamond",
            Self::Ellipse => "board-tool-ellipse",
            Self::Arrow => "board-tool-arrow",
            Self::Line => "board-tool-line",
            Self::Pen => "board-tool-pen",
            Self::Text => "board-tool-text",
            Self::Note => "board-tool-note",
            Self::Frame => "board-tool-frame",
            Self::Eraser => "board-tool-eraser",
            Self::Laser => "board-tool-laser",
        }
    }
}

/// Colours of lines that the style bar offers, each with the key of its name.
pub const STROKES: [(u32, &str); 6] = [
    (0x1e1e_1eff, "board-colour-black"),
    (0xe031_31ff, "board-colour-red"),
    (0x2f9e_44ff, "board-colour-green"),
    (0x1971_c2ff, "board-colour-blue"),
    (0xf08c_00ff, "board-colour-orange"),
    (0x9c36_b5ff, "board-colour-purple"),
];
/// Colours inside shapes.
pub const FILLS: [(u32, &str); 6] = [
    (0, "board-colour-none"),
    (0xffc9_c9ff, "board-colour-red"),
    (0xb2f2_bbff, "board-colour-green"),
    (0xa5d8_ffff, "board-colour-blue"),
    (0xffec_99ff, "board-colour-yellow"),
    (0xeebe_faff, "board-colour-purple"),
];
pub const WIDTHS: [(f32, &str); 3] = [(2.0, "board-width-thin"), (4.0, "board-width-bold"), (8.0, "board-width-heavy")];
pub const FONT_SIZES: [(f32, &str); 4] =
    [(16.0, "board-font-small"), (20.0, "board-font-medium"), (28.0, "board-font-large"), (40.0, "board-font-huge")];
/// What a note is made of where nothing else was chosen.
pub const NOTE_FILL: Color = Color(0xffec_99ff);

/// What a new element of a kind looks like, given the style that is chosen.
pub fn style_for(kind: Kind, brush: &Style) -> Style {
    use conclave_crdt::{Align, Dash, Head};
    let mut style = *brush;
    if kind != Kind::Arrow {
        style.start = Head::None;
        style.end = Head::None;
    }
    match kind {
        Kind::Arrow => {
            style.fill = Color::NONE;
            if style.end == Head::None {
                style.end = Head::Arrow;
            }
        }
        Kind::Pen | Kind::Line | Kind::Text => style.fill = Color::NONE,
        Kind::Note => {
            if style.fill.is_none() {
                style.fill = NOTE_FILL;
            }
            style.align = Align::Center;
            style.stroke = Color::INK;
        }
        Kind::Frame => {
            style = Style { width: 1.5, stroke: Color(0x8a8f_98ff), ..Style::default() };
        }
        Kind::Rect | Kind::Diamond => style.round = brush.round,
        Kind::Ellipse | Kind::Image => {}
    }
    if kind == Kind::Pen {
        style.dash = Dash::Solid;
    }
    style
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_those_of_excalidraw_and_none_is_used_twice() {
        for (key, tool) in [
            (Key::V, Tool::Select),
            (Key::R, Tool::Rect),
            (Key::D, Tool::Diamond),
            (Key::O, Tool::Ellipse),
            (Key::A, Tool::Arrow),
            (Key::L, Tool::Line),
            (Key::P, Tool::Pen),
            (Key::T, Tool::Text),
            (Key::E, Tool::Eraser),
            (Key::H, Tool::Hand),
        ] {
            assert_eq!(Tool::of_key(key), Some(tool));
        }
        let mut keys: Vec<Key> = Tool::ALL.iter().flat_map(|tool| [Some(tool.keys().0), tool.keys().1]).flatten().collect();
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
