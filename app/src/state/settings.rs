//! What the person has chosen for this window. The node keeps it as one opaque value; only this module knows its form.

use std::collections::BTreeMap;

use conclave_node::view::ShareContent;
use serde::{Deserialize, Serialize};

use crate::keys::Action;
use crate::text::Language;

/// The key under which the node keeps the settings.
pub const SETTING_KEY: &str = "app";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    System,
    Light,
    Dark,
}

/// How the pictures of a call are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallLayout {
    Grid,
    Spotlight,
}

/// Choices that are remembered. A field that is missing or not understood takes its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub theme: ThemeChoice,
    /// The system's, where absent.
    pub language: Option<Language>,
    /// 80 to 160.
    pub text_scale_pct: u16,
    pub reduced_motion: bool,
    /// Device specs as the node's commands take them.
    pub camera: Option<String>,
    pub mic: Option<String>,
    pub speaker: Option<String>,
    pub layout: CallLayout,
    /// Notices of the desktop while the window is not looked at.
    pub notifications: bool,
    /// How a screen is shared, and the most that is sent of it.
    pub share_content: ShareContent,
    pub share_fps: u32,
    pub share_height: u32,
    /// Keys that are not the usual ones, by the name of the key.
    pub keys: BTreeMap<Action, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::System,
            language: None,
            text_scale_pct: 100,
            reduced_motion: false,
            camera: None,
            mic: None,
            speaker: None,
            layout: CallLayout::Grid,
            notifications: true,
            share_content: ShareContent::Text,
            share_fps: 15,
            share_height: 1080,
            keys: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Rates and heights to choose from, the best last.
    pub fn share_choices(content: ShareContent) -> ([u32; 2], [u32; 2]) {
        match content {
            ShareContent::Text => ([5, 15], [720, 1080]),
            ShareContent::Motion => ([15, 30], [480, 720]),
        }
    }

    /// Another content, at its best.
    pub fn with_share(self, share_content: ShareContent) -> Self {
        let ([_, share_fps], [_, share_height]) = Self::share_choices(share_content);
        Self { share_content, share_fps, share_height, ..self }
    }

    pub const TEXT_SCALES: [u16; 5] = [80, 90, 100, 125, 150];

    /// From what the node kept; defaults where it is not understood.
    pub fn decode(text: &str) -> Self {
        let mut settings: Self = serde_json::from_str(text).unwrap_or_default();
        settings.text_scale_pct = settings.text_scale_pct.clamp(80, 160);
        settings
    }

    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
