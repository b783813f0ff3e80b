//! The pictures that a page shows: decoded beside the window, from the bytes that the node gave, and kept on the graphics card while they
//! are looked at.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, mpsc};

use egui::{ColorImage, Context, TextureHandle, TextureId, TextureOptions};

use crate::preview::{Decoded, decode};

/// A picture is made as small as this for the screen, in pixels a side.
const SHOWN: u32 = 1600;
/// Pictures that are kept; what is in view stays beyond it.
const KEPT: usize = 48;
/// Pictures that are decoded at once; the others wait for the next frames.
const AT_ONCE: usize = 2;

enum Held {
    Loading(mpsc::Receiver<Option<ColorImage>>),
    Texture(TextureHandle),
    Damaged,
}

/// Textures by what elements call their pictures.
#[derive(Default)]
pub struct Pictures {
    held: BTreeMap<String, Held>,
}

impl Pictures {
    /// How many are ready to be drawn.
    pub fn drawn(&self) -> usize {
        self.held.values().filter(|held| matches!(held, Held::Texture(_))).count()
    }

    /// The pictures in view that can be drawn now.
    pub fn textures<'a>(
        &mut self,
        ctx: &Context,
        in_view: impl Iterator<Item = (&'a String, &'a Arc<[u8]>)>,
    ) -> HashMap<String, TextureId> {
        let mut drawn = HashMap::new();
        for (name, bytes) in in_view {
            if !self.held.contains_key(name) {
                let busy = self.held.values().filter(|held| matches!(held, Held::Loading(_))).count();
                if busy >= AT_ONCE {
                    continue;
                }
                self.held.insert(name.clone(), load(ctx, bytes.clone()));
            }
            let Some(held) = self.held.get_mut(name) else { continue };
            if let Held::Loading(loading) = held {
                match loading.try_recv() {
                    Ok(Some(image)) => *held = Held::Texture(ctx.load_texture(name.as_str(), image, TextureOptions::LINEAR)),
                    Ok(None) | Err(mpsc::TryRecvError::Disconnected) => *held = Held::Damaged,
                    Err(mpsc::TryRecvError::Empty) => {}
                }
            }
            if let Held::Texture(texture) = held {
                drawn.insert(name.clone(), texture.id());
            }
        }
        if self.held.len() > KEPT {
            self.held.retain(|name, held| matches!(held, Held::Loading(_)) || drawn.contains_key(name));
        }
        drawn
    }
}

fn load(ctx: &Context, bytes: Arc<[u8]>) -> Held {
    let (done, loaded) = mpsc::sync_channel(1);
    let ctx = ctx.clone();
    let started = std::thread::Builder::new().name("picture".to_owned()).spawn(move || {
        let image = match decode(&bytes, SHOWN) {
            Decoded::Picture(image) => Some(image),
            Decoded::Refused | Decoded::Other => None,
        };
        let _ = done.send(image);
        ctx.request_repaint();
    });
    if started.is_ok() { Held::Loading(loaded) } else { Held::Damaged }
}
