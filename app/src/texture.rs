//! Pictures on their way to the screen: a texture a stream, renewed only when its slot holds a newer picture. It keeps no picture itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use conclave_media::picture::{Picture, PictureSlot};
use conclave_node::view::PictureKey;
use egui::{ColorImage, TextureHandle, TextureId, TextureOptions, Vec2};

use crate::backend::Backend;

/// The textures of the streams that are on screen.
#[derive(Default)]
pub struct Textures {
    held: BTreeMap<PictureKey, Held>,
}

struct Held {
    slot: Arc<PictureSlot>,
    seen: u64,
    texture: Option<TextureHandle>,
    used: bool,
}

/// A picture that can be drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    pub texture: TextureId,
    /// In pixels.
    pub size: Vec2,
}

impl Textures {
    /// The newest picture of a stream; nothing while there is none.
    pub fn show(&mut self, ctx: &egui::Context, backend: &dyn Backend, key: PictureKey) -> Option<Shown> {
        let held = self.held.entry(key).or_insert_with(|| {
            let slot = backend.picture(key);
            let ctx = ctx.clone();
            slot.on_change(move || ctx.request_repaint());
            Held { slot, seen: 0, texture: None, used: true }
        });
        held.used = true;
        if held.slot.is_empty() {
            held.texture = None;
            return None;
        }
        if let Some((picture, count)) = held.slot.newer_than(held.seen) {
            held.seen = count;
            let image = colour_image(&picture);
            match &mut held.texture {
                Some(texture) => texture.set(image, TextureOptions::LINEAR),
                None => held.texture = Some(ctx.load_texture("stream", image, TextureOptions::LINEAR)),
            }
        }
        held.texture.as_ref().map(|texture| Shown { texture: texture.id(), size: texture.size_vec2() })
    }

    /// Lets go of what was not drawn since the last call.
    pub fn end_frame(&mut self) {
        self.held.retain(|_, held| std::mem::take(&mut held.used));
    }
}

fn colour_image(picture: &Picture) -> ColorImage {
    let mut rgba = Vec::new();
    picture.to_rgba(&mut rgba);
    // Opaque throughout: premultiplied and not are the same, and this way nothing is computed a second time.
    ColorImage::from_rgba_premultiplied([picture.width() as usize, picture.height() as usize], &rgba)
}
