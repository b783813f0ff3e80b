//! Colours as they are shown: those of the document are for paper.

use conclave_crdt::Color;
use egui::Color32;

/// Colours as they are shown: those of the document are for paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inks {
    pub dark: bool,
}

impl Inks {
    /// A colour of the document, with the opacity of its element. In the dark light and dark change places, the hue stays.
    pub fn colour(self, colour: Color, opacity: u8) -> Color32 {
        let [r, g, b, a] = colour.rgba();
        let a = (u32::from(a) * u32::from(opacity.min(100)) / 100) as u8;
        let [r, g, b] = if self.dark { turned([r, g, b]) } else { [r, g, b] };
        Color32::from_rgba_unmultiplied(r, g, b, a)
    }

    /// As it stands in the document: paper stays paper.
    pub fn as_is(colour: Color, opacity: u8) -> Color32 {
        Self { dark: false }.colour(colour, opacity)
    }
}

/// Light for dark: black becomes nearly white, white nearly black, the hue is kept.
fn turned(rgb: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = rgb.map(|part| f32::from(part) / 255.0);
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let light = (most + least) / 2.0;
    // Onto 0.11 … 0.93. What was paper white is the grey of a dark card, pastels become deep and quiet; what was ink, or a strong colour, is
    // light enough to be read on either.
    let wanted = if light < 0.7 { 0.93 - light * 0.5 } else { 0.58 - (light - 0.7) * 1.567 };
    let quiet = if light < 0.7 { 0.9 } else { 0.6 };
    let chroma = most - least;
    let saturation = if chroma > 0.0 { chroma / (1.0 - (2.0 * light - 1.0).abs()).max(1e-3) } else { 0.0 };
    let new_chroma = saturation.min(1.0) * (1.0 - (2.0 * wanted - 1.0).abs()) * quiet;
    let part = |value: f32| {
        let share = if chroma > 0.0 { (value - least) / chroma } else { 0.5 };
        ((wanted - new_chroma / 2.0 + share * new_chroma).clamp(0.0, 1.0) * 255.0).round() as u8
    };
    [part(r), part(g), part(b)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_is_light_in_the_dark_and_red_stays_red() {
        let dark = Inks { dark: true };
        assert!(dark.colour(Color::INK, 100).intensity() > 0.7);
        assert!(dark.colour(Color(0xffff_ffff), 100).intensity() < 0.2);
        let red = dark.colour(Color(0xe031_31ff), 100);
        assert!(red.r() > red.g() && red.r() > red.b());
        assert_eq!(dark.colour(Color::NONE, 100).a(), 0);
        assert_eq!(Inks { dark: false }.colour(Color::INK, 50).a(), 127);
    }
}
