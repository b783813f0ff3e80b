//! Words, ids, moments and tables as a terminal shows them.

use std::fmt::{Display, Write};

/// Characters of an id's body that a person is shown; enough to tell apart what one device has, and taken back as a choice.
const SHORT: usize = 8;

/// What another person wrote, on one line, without what a terminal would act on or a reader be misled by.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if is_harmless(c) { c } else { '\u{fffd}' }).collect()
}

pub(super) fn is_harmless(c: char) -> bool {
    let misleading =
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}');
    !c.is_control() && !misleading
}

/// The beginning of an id, as a person is shown it.
pub(crate) fn short(id: &impl Display) -> String {
    let text = id.to_string();
    let body = text.find(':').map_or(0, |colon| colon + 1);
    text.chars().take(body + SHORT).collect()
}

/// `2026-11-22 13:05`, UTC. Proleptic Gregorian calendar.
pub(crate) fn moment(ms: u64) -> String {
    let minutes = ms / 60_000;
    format!("{} {:02}:{:02}", day(ms), minutes / 60 % 24, minutes % 60)
}

pub(super) fn day(ms: u64) -> String {
    // Days since 0000-03-01, in eras of 400 years.
    let days = ms / 86_400_000 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
pub(super) fn section(out: &mut String, title: &str, rows: &[Vec<String>]) {
    if !rows.is_empty() {
        let _ = writeln!(out, "{title}:");
        for line in table(rows).lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
}

/// Columns of their widest cell, two spaces apart. Width is counted in characters.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}
