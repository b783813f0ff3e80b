//! Pictures in a PDF: a JPEG as it is, anything else as pixels without loss, its transparency apart.

use std::collections::BTreeMap;

use conclave_crdt::interchange::drawing::Item;
use conclave_crdt::interchange::picture::{Format, Picture, Pictures};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use pdf_writer::types::Predictor;
use pdf_writer::{Filter, Finish, Pdf, Ref};

use crate::board::picture;

/// The pictures of a document by their names on the page: what each is called in it, and where it stands.
pub(super) struct Placed {
    refs: BTreeMap<String, (String, Ref)>,
}

impl Placed {
    /// Writes the pictures that are shown, each once.
    pub(super) fn write(pdf: &mut Pdf, items: &[Item], pictures: &Pictures, next: &mut i32) -> Self {
        let mut refs = BTreeMap::new();
        for item in items {
            let Item::Image { name, .. } = item else { continue };
            if refs.contains_key(name) {
                continue;
            }
            let mut fresh = || {
                *next += 1;
                Ref::new(*next)
            };
            if let Some(at) = pictures.get(name).and_then(|picture| write_one(pdf, picture, &mut fresh)) {
                refs.insert(name.clone(), (format!("I{}", refs.len()), at));
            }
        }
        Self { refs }
    }

    /// What a picture is called in the document; `None` where it could not be read.
    pub(super) fn name(&self, name: &str) -> Option<&str> {
        self.refs.get(name).map(|(name, _)| name.as_str())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Ref)> {
        self.refs.values().map(|(name, at)| (name.as_str(), *at))
    }
}

fn write_one(pdf: &mut Pdf, picture: &Picture, fresh: &mut impl FnMut() -> Ref) -> Option<Ref> {
    let (width, height) = picture::size(picture)?;
    let at = fresh();
    if picture.format == Format::Jpeg && is_rgb_jpeg(picture) {
        let mut image = pdf.image_xobject(at, &picture.bytes);
        image.filter(Filter::DctDecode);
        image.width(width as i32).height(height as i32).bits_per_component(8);
        image.color_space().device_rgb();
        return Some(at);
    }
    let pixels = picture::decode(picture)?;
    let colours: Vec<u8> = pixels.pixels().flat_map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2]]).collect();
    let colours = packed(&colours, width, height, ExtendedColorType::Rgb8)?;
    let alphas: Vec<u8> = pixels.pixels().map(|pixel| pixel.0[3]).collect();
    let mask = match alphas.iter().all(|alpha| *alpha == 255) {
        true => None,
        false => Some((fresh(), packed(&alphas, width, height, ExtendedColorType::L8)?)),
    };
    if let Some((mask, alphas)) = &mask {
        let mut image = pdf.image_xobject(*mask, alphas);
        image.filter(Filter::FlateDecode);
        image.width(width as i32).height(height as i32).bits_per_component(8);
        image.color_space().device_gray();
        image.decode_parms().predictor(Predictor::PngOptimum).colors(1).bits_per_component(8).columns(width as i32);
        image.finish();
    }
    let mut image = pdf.image_xobject(at, &colours);
    image.filter(Filter::FlateDecode);
    image.width(width as i32).height(height as i32).bits_per_component(8);
    image.color_space().device_rgb();
    image.decode_parms().predictor(Predictor::PngOptimum).colors(3).bits_per_component(8).columns(width as i32);
    if let Some((mask, _)) = mask {
        image.s_mask(mask);
    }
    Some(at)
}

/// Three colours of eight bits: what a reader of PDF takes as it is, without being told more. Grey, and CMYK as printers have it, are told
/// by the frame header (ITU-T T.81, B.2.2).
fn is_rgb_jpeg(picture: &Picture) -> bool {
    let mut rest = picture.bytes.get(2..).unwrap_or_default();
    while let [0xff, marker, high, low, after @ ..] = rest {
        let frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if frame {
            return matches!(after, [8, _, _, _, _, 3, ..]);
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = length.checked_sub(2).and_then(|length| after.get(length..)).unwrap_or_default();
    }
    false
}

/// Deflated with PNG's filters, which PDF has as well (ISO 32000-1, 7.4.4.4): the data of a PNG without what is around it.
fn packed(samples: &[u8], width: u32, height: u32, kind: ExtendedColorType) -> Option<Vec<u8>> {
    let mut png = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive);
    encoder.write_image(samples, width, height, kind).ok()?;
    let mut data = Vec::new();
    let mut rest = png.get(8..)?;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (kind, after) = after.split_first_chunk::<4>()?;
        if kind == b"IDAT" {
            data.extend(after.get(..length)?);
        }
        rest = after.get(length + 4..)?;
    }
    Some(data)
}
