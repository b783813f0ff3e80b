//! Brings a picture to the size at which it is sent: never larger than it came, never distorted, sides even.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::codec::{MIN_SIDE, copy_plane};
use crate::error::MediaError;
use crate::picture::{MAX_SIDE, Picture, PictureBuf};

/// Scales pictures down into a bound.
pub(crate) struct Fitter {
    resizer: Resizer,
    options: ResizeOptions,
}

impl Fitter {
    pub(crate) fn new() -> Self {
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
        Self { resizer: Resizer::new(), options }
    }

    /// The picture itself where it fits already; otherwise a smaller one.
    pub(crate) fn fit(&mut self, picture: Picture, max_width: u32, max_height: u32) -> Result<Picture, MediaError> {
        let (width, height) = (picture.width(), picture.height());
        let (to_width, to_height) = fitted(width, height, max_width, max_height);
        if (to_width, to_height) == (width, height) {
            return Ok(picture);
        }
        let refused = || MediaError::PictureSize { width, height };
        let mut target = PictureBuf::new(to_width, to_height).ok_or_else(refused)?;
        let (chroma_width, to_chroma_width) = (picture.chroma_width(), target.chroma_width());
        let crop_only = width - to_width <= 1 && height - to_height <= 1;
        let planes = target.planes_mut();
        let jobs = [
            (picture.y(), (width, height), planes.y, (to_width, to_height)),
            (picture.u(), (chroma_width, height.div_ceil(2)), planes.u, (to_chroma_width, to_height / 2)),
            (picture.v(), (chroma_width, height.div_ceil(2)), planes.v, (to_chroma_width, to_height / 2)),
        ];
        for (source, from, plane, to) in jobs {
            if crop_only {
                copy_plane(plane, to.0 as usize, source, from.0 as usize).ok_or_else(refused)?;
                continue;
            }
            // Typed, or the compiler would make the code of every kind of pixel there is.
            let source = TypedImageRef::<U8>::from_buffer(from.0, from.1, source).map_err(|_| refused())?;
            let mut image = TypedImage::<U8>::from_buffer(to.0, to.1, plane).map_err(|_| refused())?;
            self.resizer.resize_typed(&source, &mut image, &self.options).map_err(|_| refused())?;
        }
        Ok(target.finish(picture.at))
    }
}

/// The largest even size with the same shape within the bound, and no larger than it was.
fn fitted(width: u32, height: u32, max_width: u32, max_height: u32) -> (u32, u32) {
    let (max_width, max_height) = (max_width.clamp(MIN_SIDE, MAX_SIDE), max_height.clamp(MIN_SIDE, MAX_SIDE));
    if width <= max_width && height <= max_height {
        return (width & !1, height & !1);
    }
    // Sides are at most 7680, so that the products fit.
    let (to_width, to_height) = if width * max_height > height * max_width {
        (max_width, height * max_width / width)
    } else {
        (width * max_height / height, max_height)
    };
    // Rounded down to even, but a sliver stays a picture.
    let even = |side: u32, of: u32| (side & !1).max(2).min(of);
    (even(to_width, width), even(to_height, height))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_keep_their_shape_and_become_even() {
        assert_eq!(fitted(1920, 1080, 1280, 720), (1280, 720));
        assert_eq!(fitted(1080, 1920, 1280, 720), (404, 720));
        assert_eq!(fitted(640, 360, 1280, 720), (640, 360));
        assert_eq!(fitted(641, 361, 1280, 720), (640, 360));
        assert_eq!(fitted(3440, 1440, 1920, 1080), (1920, 802));
    }

    #[test]
    fn flat_picture_keeps_its_colour() {
        let mut source = PictureBuf::new(1921, 1081).unwrap();
        source.bytes_mut().fill(77);
        let picture = Fitter::new().fit(source.finish(Duration::ZERO), 640, 360).unwrap();
        assert_eq!((picture.width(), picture.height()), (638, 360));
        assert!(picture.y().iter().chain(picture.u()).chain(picture.v()).all(|sample| *sample == 77));
    }

    proptest! {
        #[test]
        fn result_is_within_the_bound(width in 16_u32..7680, height in 16_u32..7680, max_width in 16_u32..4000, max_height in 16_u32..4000) {
            let (w, h) = fitted(width, height, max_width, max_height);
            prop_assert!(w <= max_width && h <= max_height && w <= width && h <= height && w % 2 == 0 && h % 2 == 0 && w > 0 && h > 0);
        }
    }
}
