//! How loud a stretch of sound is. It only measures; it never changes a sample.

/// The root mean square of the samples, 0.0..=1.0 for sound within full scale. No samples are silent.
pub fn rms(samples: &[f32]) -> f32 {
    mean_square(samples).sqrt()
}

pub(crate) fn mean_square(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    (sum / samples.len() as f64) as f32
}

/// The level of RFC 6464: −dBov, 0 for the loudest, 127 for silence and for what is not a number.
pub fn level_dbov(samples: &[f32]) -> u8 {
    let rms = rms(samples);
    if !rms.is_finite() || rms <= 0.0 {
        return 127;
    }
    (-20.0 * rms.log10()).round().clamp(0.0, 127.0) as u8
}

/// The mean loudness of the newest stretches, each of the same length.
#[derive(Debug)]
pub(crate) struct LevelWindow {
    squares: Vec<f32>,
    next: usize,
}

impl LevelWindow {
    pub(crate) fn new(stretches: usize) -> Self {
        Self { squares: vec![0.0; stretches.max(1)], next: 0 }
    }

    /// Takes one more stretch and returns the root mean square over the window.
    pub(crate) fn push(&mut self, samples: &[f32]) -> f32 {
        let square = mean_square(samples);
        let at = self.next % self.squares.len();
        if let Some(slot) = self.squares.get_mut(at) {
            *slot = if square.is_finite() { square } else { 0.0 };
        }
        self.next = at + 1;
        (self.squares.iter().sum::<f32>() / self.squares.len() as f32).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_rfc_6464() {
        assert_eq!(level_dbov(&[]), 127);
        assert_eq!(level_dbov(&[0.0; 960]), 127);
        assert_eq!(level_dbov(&[1.0; 960]), 0);
        assert_eq!(level_dbov(&[-4.0; 960]), 0);
        assert_eq!(level_dbov(&[0.1; 960]), 20);
        assert_eq!(level_dbov(&[f32::NAN; 960]), 127);
    }

    #[test]
    fn window_forgets() {
        let mut window = LevelWindow::new(3);
        assert!(window.push(&[1.0; 10]) > 0.5);
        window.push(&[0.0; 10]);
        window.push(&[0.0; 10]);
        assert_eq!(window.push(&[0.0; 10]), 0.0);
    }
}
