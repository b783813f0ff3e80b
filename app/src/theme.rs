//! Colours, type, spacing and motion: one look for every screen, in a light and a dark palette. It holds no state of its own.

use std::sync::Arc;

use egui::epaint::text::VariationCoords;
use egui::{
    Color32, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, FontTweak, Margin, Shadow, Stroke, TextStyle, Vec2,
};

use crate::state::settings::{Settings, ThemeChoice};

/// Distances in points. Everything on screen is apart by one of these.
pub mod space {
    pub const XS: f32 = 4.0;
    pub const S: f32 = 8.0;
    pub const M: f32 = 12.0;
    pub const L: f32 = 16.0;
    pub const XL: f32 = 24.0;
    pub const XXL: f32 = 32.0;
}

/// Corner radii in points.
pub mod radius {
    pub const CONTROL: u8 = 8;
    pub const CARD: u8 = 12;
    pub const TILE: u8 = 14;
}

/// Width of the sidebar and of a side panel, in points.
pub const SIDEBAR: f32 = 264.0;
pub const PANEL: f32 = 328.0;

/// The colours of one theme, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    pub dark: bool,
    pub window: Color32,
    pub sidebar: Color32,
    pub card: Color32,
    pub raised: Color32,
    pub hover: Color32,
    pub line: Color32,
    pub text: Color32,
    pub muted: Color32,
    pub faint: Color32,
    pub accent: Color32,
    pub accent_hover: Color32,
    pub accent_soft: Color32,
    pub on_accent: Color32,
    pub danger: Color32,
    pub danger_hover: Color32,
    pub danger_soft: Color32,
    pub success: Color32,
    pub success_soft: Color32,
    pub warning: Color32,
    pub warning_soft: Color32,
    /// Behind the pictures of a call.
    pub stage: Color32,
    /// A tile without a picture.
    pub tile: Color32,
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

impl Palette {
    pub const DARK: Self = Self {
        dark: true,
        window: rgb(0x0f1013),
        sidebar: rgb(0x141519),
        card: rgb(0x191b20),
        raised: rgb(0x22252b),
        hover: rgb(0x1f2127),
        line: rgb(0x2a2d34),
        text: rgb(0xeef0f3),
        muted: rgb(0xa2a8b3),
        faint: rgb(0x737985),
        accent: rgb(0x6e7bf2),
        accent_hover: rgb(0x828df5),
        accent_soft: rgb(0x23274a),
        on_accent: rgb(0xffffff),
        danger: rgb(0xe5484d),
        danger_hover: rgb(0xf2616a),
        danger_soft: rgb(0x3b191d),
        success: rgb(0x3dbf84),
        success_soft: rgb(0x12301f),
        warning: rgb(0xf0a92e),
        warning_soft: rgb(0x36270c),
        stage: rgb(0x0a0b0d),
        tile: rgb(0x1c1e24),
    };

    pub const LIGHT: Self = Self {
        dark: false,
        window: rgb(0xffffff),
        sidebar: rgb(0xf6f7f9),
        card: rgb(0xffffff),
        raised: rgb(0xeceef2),
        hover: rgb(0xf1f2f5),
        line: rgb(0xe3e5ea),
        text: rgb(0x16181d),
        muted: rgb(0x586070),
        faint: rgb(0x7d8594),
        accent: rgb(0x4f5bd5),
        accent_hover: rgb(0x434ec4),
        accent_soft: rgb(0xe8eafc),
        on_accent: rgb(0xffffff),
        danger: rgb(0xd13438),
        danger_hover: rgb(0xb9282d),
        danger_soft: rgb(0xfdebec),
        success: rgb(0x1f8a56),
        success_soft: rgb(0xe2f5ea),
        warning: rgb(0xa86a00),
        warning_soft: rgb(0xfdf1d8),
        stage: rgb(0xeff1f4),
        tile: rgb(0xdde0e6),
    };

    /// The palette of the theme in which `ui` is drawn.
    pub fn of(ui: &egui::Ui) -> &'static Self {
        Self::for_dark(ui.visuals().dark_mode)
    }

    pub const fn for_dark(dark: bool) -> &'static Self {
        if dark { &Self::DARK } else { &Self::LIGHT }
    }
}

/// How heavy a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Regular,
    Medium,
    Semibold,
}

/// A font of the interface, `size` in points.
pub fn font(size: f32, weight: Weight) -> FontId {
    FontId::new(
        size,
        match weight {
            Weight::Regular => FontFamily::Proportional,
            Weight::Medium => FontFamily::Name("medium".into()),
            Weight::Semibold => FontFamily::Name("semibold".into()),
        },
    )
}

/// The filled icons, for states that are on.
pub fn fill_icon(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("icon-fill".into()))
}

const INTER: [(&str, &[u8]); 5] = [
    ("inter-latin", include_bytes!("../assets/fonts/Inter-latin.ttf")),
    ("inter-latin-ext", include_bytes!("../assets/fonts/Inter-latin-ext.ttf")),
    ("inter-cyrillic", include_bytes!("../assets/fonts/Inter-cyrillic.ttf")),
    ("inter-greek", include_bytes!("../assets/fonts/Inter-greek.ttf")),
    ("inter-vietnamese", include_bytes!("../assets/fonts/Inter-vietnamese.ttf")),
];

fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let fallback = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    fonts.font_data.insert("icons".into(), Arc::new(egui_phosphor::Variant::Regular.font_data()));
    fonts.font_data.insert("icons-fill".into(), Arc::new(egui_phosphor::Variant::Fill.font_data()));

    for (family, name, weight) in [
        (FontFamily::Proportional, "regular", 400.0),
        (FontFamily::Name("medium".into()), "medium", 500.0),
        (FontFamily::Name("semibold".into()), "semibold", 620.0),
    ] {
        let mut chain = Vec::new();
        for (script, bytes) in INTER {
            let key = format!("{script}-{name}");
            let tweak = FontTweak { coords: VariationCoords::new([(b"wght", weight)]), ..Default::default() };
            fonts.font_data.insert(key.clone(), Arc::new(FontData::from_static(bytes).tweak(tweak)));
            chain.push(key);
        }
        chain.push("icons".into());
        chain.extend(fallback.iter().cloned());
        fonts.families.insert(family, chain);
    }
    let mut filled = vec!["icons-fill".to_owned()];
    filled.extend(fallback);
    fonts.families.insert(FontFamily::Name("icon-fill".into()), filled);
    if let Some(mono) = fonts.families.get_mut(&FontFamily::Monospace) {
        mono.push("inter-latin-regular".into());
        mono.push("icons".into());
    }
    fonts
}

/// Fonts and the styles of both themes. Once, before the first frame.
pub fn install(ctx: &egui::Context) {
    ctx.set_fonts(fonts());
    for (theme, palette) in [(egui::Theme::Dark, &Palette::DARK), (egui::Theme::Light, &Palette::LIGHT)] {
        ctx.style_mut_of(theme, |style| shape_style(style, palette));
    }
    ctx.options_mut(|options| {
        // Ctrl+Plus would zoom beside the text scale of the settings.
        options.zoom_with_keyboard = false;
    });
}

/// Carries the settings into the context; cheap when nothing changed.
pub fn apply(ctx: &egui::Context, settings: &Settings) {
    let preference = match settings.theme {
        ThemeChoice::System => egui::ThemePreference::System,
        ThemeChoice::Light => egui::ThemePreference::Light,
        ThemeChoice::Dark => egui::ThemePreference::Dark,
    };
    if ctx.options(|options| options.theme_preference) != preference {
        ctx.set_theme(preference);
    }
    let zoom = f32::from(settings.text_scale_pct) / 100.0;
    if (ctx.zoom_factor() - zoom).abs() > f32::EPSILON {
        ctx.set_zoom_factor(zoom);
    }
    let animation_time = if settings.reduced_motion { 0.0 } else { 0.12 };
    if (ctx.global_style().animation_time - animation_time).abs() > f32::EPSILON {
        ctx.all_styles_mut(|style| {
            style.animation_time = animation_time;
            if settings.reduced_motion {
                style.scroll_animation = egui::style::ScrollAnimation::none();
            } else {
                style.scroll_animation = egui::style::ScrollAnimation::default();
            }
        });
    }
}

fn shape_style(style: &mut egui::Style, palette: &Palette) {
    style.text_styles = [
        (TextStyle::Heading, font(20.0, Weight::Semibold)),
        (TextStyle::Body, font(14.0, Weight::Regular)),
        (TextStyle::Button, font(14.0, Weight::Medium)),
        (TextStyle::Small, font(12.0, Weight::Regular)),
        (TextStyle::Monospace, FontId::new(13.0, FontFamily::Monospace)),
    ]
    .into();
    let spacing = &mut style.spacing;
    spacing.item_spacing = Vec2::new(space::S, space::S);
    spacing.button_padding = Vec2::new(space::M, 7.0);
    spacing.interact_size = Vec2::new(32.0, 32.0);
    spacing.menu_margin = Margin::same(6);
    spacing.combo_height = 280.0;
    spacing.tooltip_width = 320.0;
    spacing.scroll = egui::style::ScrollStyle::floating();
    spacing.scroll.floating_allocated_width = 0.0;
    spacing.scroll.bar_width = 8.0;
    style.interaction.tooltip_delay = 0.35;
    style.interaction.selectable_labels = false;
    style.animation_time = 0.12;

    let visuals = &mut style.visuals;
    *visuals = if palette.dark { egui::Visuals::dark() } else { egui::Visuals::light() };
    visuals.override_text_color = Some(palette.text);
    visuals.weak_text_color = Some(palette.faint);
    visuals.panel_fill = palette.window;
    visuals.window_fill = palette.card;
    visuals.window_stroke = Stroke::new(1.0, palette.line);
    visuals.window_corner_radius = CornerRadius::same(radius::CARD);
    visuals.menu_corner_radius = CornerRadius::same(10);
    let shade = if palette.dark { 110 } else { 36 };
    visuals.window_shadow = Shadow { offset: [0, 12], blur: 40, spread: 0, color: Color32::from_black_alpha(shade) };
    visuals.popup_shadow = Shadow { offset: [0, 6], blur: 22, spread: 0, color: Color32::from_black_alpha(shade) };
    visuals.hyperlink_color = palette.accent;
    visuals.selection.bg_fill = palette.accent.gamma_multiply(if palette.dark { 0.45 } else { 0.28 });
    visuals.selection.stroke = Stroke::new(1.5, palette.accent);
    visuals.extreme_bg_color = palette.window;
    visuals.text_edit_bg_color = Some(if palette.dark { palette.window } else { palette.card });
    visuals.code_bg_color = palette.raised;
    visuals.error_fg_color = palette.danger;
    visuals.warn_fg_color = palette.warning;
    visuals.disabled_alpha = 0.45;
    // A blinking caret would draw the whole window twice a second, for as long as it has the keyboard.
    visuals.text_cursor.blink = false;
    let corner = CornerRadius::same(radius::CONTROL);
    let widgets = &mut visuals.widgets;
    for (widget, fill, line) in [
        (&mut widgets.noninteractive, palette.card, palette.line),
        (&mut widgets.inactive, palette.raised, palette.line),
        (&mut widgets.hovered, palette.hover, palette.faint),
        (&mut widgets.active, palette.hover, palette.accent),
        (&mut widgets.open, palette.hover, palette.accent),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = Stroke::new(1.0, line);
        widget.fg_stroke = Stroke::new(1.5, palette.text);
        widget.corner_radius = corner;
        widget.expansion = 0.0;
    }
}

/// The colour that stands for a person: the same on every device that shows them, because it follows from their key alone.
pub fn person_colour(key: &[u8]) -> Color32 {
    const COLOURS: [u32; 10] =
        [0x5b6ee1, 0x2f9e8f, 0xc4587a, 0xb9772a, 0x7d5bc7, 0x3b8ac4, 0x5f9440, 0xc45d43, 0x9a4fb0, 0x4b7f9f];
    let sum = key.iter().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    rgb(COLOURS.get(sum as usize % COLOURS.len()).copied().unwrap_or(0x5b6ee1))
}
