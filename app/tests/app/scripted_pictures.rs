//! Pictures for the scripted node: what a camera and a shared screen might show.

use std::time::Duration;

use conclave_media::picture::Picture;

/// A picture that stands for a camera: a wash of colour with a soft figure in it.
pub fn portrait(width: u32, height: u32, hue: f32) -> Picture {
    let colour = |lift: f32, x: f32, y: f32| {
        let base = egui::ecolor::Hsva::new(hue, 0.35, 0.32 + lift, 1.0).to_rgb();
        [base[0] + 0.16 * x, base[1] + 0.08 * y, base[2] + 0.1 * (1.0 - y)]
    };
    paint(width, height, |x, y| {
        let (dx, dy) = ((x - 0.5) * width as f32 / height as f32, y - 0.42);
        let head = 1.0 - ((dx * dx + dy * dy).sqrt() / 0.17).clamp(0.0, 1.0);
        let (sx, sy) = (dx / 0.36, (y - 1.02) / 0.42);
        let body = 1.0 - (sx * sx + sy * sy).sqrt().clamp(0.0, 1.0);
        let figure = (head * 12.0).clamp(0.0, 1.0).max((body * 12.0).clamp(0.0, 1.0));
        let [r, g, b] = colour(0.0, x, y);
        let skin = colour(0.42, x, y);
        [r + (skin[0] - r) * figure, g + (skin[1] - g) * figure, b + (skin[2] - b) * figure]
    })
}

/// A picture that stands for a shared screen: a page of text beside a figure.
pub fn page(width: u32, height: u32) -> Picture {
    paint(width, height, |x, y| {
        if y < 0.07 {
            return [0.16, 0.18, 0.23];
        }
        if x < 0.2 {
            return if (y * 18.0).fract() < 0.35 && x > 0.03 && x < 0.15 { [0.55, 0.58, 0.64] } else { [0.94, 0.95, 0.96] };
        }
        let line = (y * 26.0).fract();
        let end = 0.6 + 0.35 * ((y * 26.0).floor() * 12.989).sin().abs();
        if (0.3..0.55).contains(&line) && x > 0.25 && x < end && y < 0.55 {
            return [0.35, 0.38, 0.44];
        }
        if y > 0.6 && y < 0.93 && x > 0.25 && x < 0.92 {
            let bar = ((x - 0.25) * 14.0).floor();
            let top = 0.9 - 0.26 * (0.3 + 0.7 * (bar * 0.9).sin().abs());
            return if y > top && ((x - 0.25) * 14.0).fract() < 0.7 { [0.35, 0.42, 0.85] } else { [0.97, 0.97, 0.98] };
        }
        [1.0, 1.0, 1.0]
    })
}

/// A picture from a function of the place (0 to 1) to linear RGB (0 to 1).
pub fn paint(width: u32, height: u32, colour: impl Fn(f32, f32) -> [f32; 3]) -> Picture {
    let (w, h) = (width as usize, height as usize);
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let mut data = vec![0u8; w * h + 2 * cw * ch];
    for row in 0..h {
        for column in 0..w {
            let [r, g, b] = colour(column as f32 / width as f32, row as f32 / height as f32).map(|c| c.clamp(0.0, 1.0));
            data[row * w + column] = (16.0 + 65.481 * r + 128.553 * g + 24.966 * b) as u8;
            if row % 2 == 0 && column % 2 == 0 {
                let at = w * h + row / 2 * cw + column / 2;
                data[at] = (128.0 - 37.797 * r - 74.203 * g + 112.0 * b) as u8;
                data[at + cw * ch] = (128.0 + 112.0 * r - 93.786 * g - 18.214 * b) as u8;
            }
        }
    }
    Picture::new(width, height, data, Duration::ZERO).expect("the planes fit the size")
}
