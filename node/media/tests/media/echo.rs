//! How much of one signal is in another: what of a loudspeaker is left in a microphone, and how well a voice came through.

const RATE: usize = 48_000;
/// Samples of a spectrum: 85 ms, longer than what a filter smears.
const WINDOW: usize = 4_096;

/// In place; the length is a power of two.
fn fft(values: &mut [(f64, f64)]) {
    let n = values.len();
    if n < 2 {
        return;
    }
    let (mut even, mut odd): (Vec<_>, Vec<_>) = values.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip();
    fft(&mut even);
    fft(&mut odd);
    for k in 0..n / 2 {
        let (sin, cos) = (-std::f64::consts::TAU * k as f64 / n as f64).sin_cos();
        let turned = (odd[k].0 * cos - odd[k].1 * sin, odd[k].0 * sin + odd[k].1 * cos);
        values[k] = (even[k].0 + turned.0, even[k].1 + turned.1);
        values[k + n / 2] = (even[k].0 - turned.0, even[k].1 - turned.1);
    }
}

fn spectra(signal: &[f32]) -> Vec<Vec<(f64, f64)>> {
    let window = |i: usize| (std::f64::consts::PI * i as f64 / WINDOW as f64).sin().powi(2);
    let starts = (0..signal.len().saturating_sub(WINDOW)).step_by(WINDOW / 2);
    starts
        .map(|start| {
            let mut values: Vec<_> = (0..WINDOW).map(|i| (f64::from(signal[start + i]) * window(i), 0.0)).collect();
            fft(&mut values);
            // 100 Hz to 7 kHz: where voices are.
            values[9..600].to_vec()
        })
        .collect()
}

/// The mean power of `heard` that a fixed filter of `source` explains.
fn explained(source: &[Vec<(f64, f64)>], heard: &[Vec<(f64, f64)>], shift: usize) -> f64 {
    let frames = source.len().min(heard.len());
    let mut power = 0.0;
    for bin in 0..source[0].len() {
        let (mut cross, mut own) = ((0.0, 0.0), 0.0);
        for frame in 0..frames {
            let (x, y) = (source[(frame + shift) % frames][bin], heard[frame][bin]);
            cross = (cross.0 + x.0 * y.0 + x.1 * y.1, cross.1 + x.0 * y.1 - x.1 * y.0);
            own += x.0 * x.0 + x.1 * x.1;
        }
        power += (cross.0 * cross.0 + cross.1 * cross.1) / own.max(1e-12);
    }
    power / frames as f64
}

/// The mean power of `heard` that comes from `source`, wherever else it comes from; both begin at the same moment. What two voices
/// have in common by chance is found with `source` out of place, and taken off.
pub(crate) fn share(source: &[f32], heard: &[f32]) -> f64 {
    let (source, heard) = (spectra(source), spectra(heard));
    let frames = source.len().min(heard.len());
    let chance: f64 = (1..=6).map(|part| explained(&source, &heard, frames * part / 7)).sum::<f64>() / 6.0;
    // What is below a tenth of it cannot be told from it.
    (explained(&source, &heard, 0) - chance).max(chance * 0.1)
}

/// By how many samples `heard` is behind `source`, up to a second.
pub(crate) fn lag(source: &[f32], heard: &[f32]) -> usize {
    let thin = |signal: &[f32]| -> Vec<f32> { signal.chunks_exact(6).map(|six| six.iter().sum::<f32>()).collect() };
    let (thin_source, thin_heard) = (thin(source), thin(heard));
    let product = |source: &[f32], heard: &[f32], lag: usize| -> f32 {
        source.iter().zip(heard.iter().skip(lag)).map(|(a, b)| a * b).sum()
    };
    let span = RATE / 6;
    let rough =
        (0..span).map(|lag| (lag, product(&thin_source, &thin_heard, lag))).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0 * 6;
    let fine = rough.saturating_sub(12)..rough + 12;
    fine.map(|lag| (lag, product(source, heard, lag))).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
}

/// How alike the short-time envelopes of two voices are in the bands that understanding needs, −1 to 1, after Taal's STOI: 1 is the
/// same, and below 0.6 a listener loses words.
pub(crate) fn intelligibility(clean: &[f32], heard: &[f32]) -> f64 {
    const EDGES: [usize; 14] = [4, 6, 8, 11, 14, 18, 23, 30, 38, 48, 60, 76, 96, 121];
    let bands = |signal: &[f32]| -> Vec<Vec<f64>> {
        signal
            .chunks_exact(1_024)
            .map(|frame| {
                let mut values: Vec<_> = frame.iter().map(|sample| (f64::from(*sample), 0.0)).collect();
                fft(&mut values);
                let band = |edge: &[usize]| values[edge[0]..edge[1]].iter().map(|v| v.0 * v.0 + v.1 * v.1).sum::<f64>().sqrt();
                EDGES.windows(2).map(band).collect()
            })
            .collect()
    };
    let (clean, heard) = (bands(clean), bands(heard));
    let loudest = clean.iter().map(|frame| frame.iter().sum::<f64>()).fold(0.0, f64::max);
    let spoken: Vec<usize> =
        (0..clean.len().min(heard.len())).filter(|n| clean[*n].iter().sum::<f64>() > loudest * 0.01).collect();
    let mut likeness = Vec::new();
    for stretch in spoken.windows(18).step_by(6) {
        for band in 0..EDGES.len() - 1 {
            let (a, b): (Vec<f64>, Vec<f64>) = stretch.iter().map(|n| (clean[*n][band], heard[*n][band])).unzip();
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let (ma, mb) = (mean(&a), mean(&b));
            let dot: f64 = a.iter().zip(&b).map(|(a, b)| (a - ma) * (b - mb)).sum();
            let norm = |values: &[f64], mean: f64| values.iter().map(|v| (v - mean).powi(2)).sum::<f64>().sqrt();
            likeness.push(dot / (norm(&a, ma) * norm(&b, mb)).max(1e-12));
        }
    }
    likeness.iter().sum::<f64>() / likeness.len().max(1) as f64
}

pub(crate) fn decibels(ratio: f64) -> f64 {
    10.0 * ratio.max(1e-12).log10()
}
