//! What screens are made of. A widget draws what it is given and says what the person wants; it decides nothing.

pub mod avatar;
pub mod call_signs;
pub mod call_stats;
pub mod chat;
pub mod composer;
pub mod controls;
pub mod device_picker;
pub mod field;
pub mod files;
pub mod invite;
pub mod logo;
pub mod markdown;
pub mod people;
pub mod toast;
pub mod video_tile;

use conclave_node::view::PictureKey;
use fluent_bundle::FluentValue;

use crate::backend::Backend;
use crate::canvas::paint::Painted;
use crate::intent::Intent;
use crate::keys::{Action, key_of};
use crate::preview::Previews;
use crate::state::settings::Settings;
use crate::text::Text;
use crate::texture::{Shown, Textures};

/// What a widget draws with: texts, pictures, and where its wishes go.
pub struct Draw<'a> {
    pub text: &'a Text,
    pub textures: &'a mut Textures,
    pub previews: &'a mut Previews,
    /// The meshes of the board that is shown.
    pub painted: &'a mut Painted,
    pub backend: &'a dyn Backend,
    pub intents: &'a mut Vec<Intent>,
    pub settings: &'a Settings,
}

impl Draw<'_> {
    pub fn t(&self, key: &str) -> String {
        self.text.t(key)
    }

    pub fn f<'v>(&self, key: &str, values: &[(&'v str, FluentValue<'v>)]) -> String {
        self.text.f(key, values)
    }

    pub fn want(&mut self, intent: Intent) {
        self.intents.push(intent);
    }

    /// The key that a control tells as its own.
    pub fn key(&self, action: Action) -> &'static str {
        key_of(self.settings, action).name()
    }

    pub fn picture(&mut self, ctx: &egui::Context, key: PictureKey) -> Option<Shown> {
        self.textures.show(ctx, self.backend, key)
    }
}
