//! Seeds of the fuzz targets: each test binary writes those of what it is about, and `tests/log.rs` runs all targets over all of them.

use std::path::PathBuf;

/// Where the seeds of a target are.
pub fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz").join("corpus").join(target)
}

/// Writes samples, each with its target, under names that begin with `family` and the place in the list.
pub fn write(family: &str, samples: Vec<(&'static str, Vec<u8>)>) {
    for (index, (target, sample)) in samples.into_iter().enumerate() {
        std::fs::create_dir_all(folder(target)).unwrap();
        std::fs::write(folder(target).join(format!("{family}-{index:02}")), sample).unwrap();
    }
}
