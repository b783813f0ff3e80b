//! The measures of the project: a file a family, each with the names and targets of its own. docs/BENCHMARKS.md says what they mean.

mod app;
mod board;
mod bootstrap;
mod build;
mod call;
mod files;
mod frame;
mod hostile;
mod meet;
pub mod page;
mod reach;
mod room;
mod silence;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

/// What can be run by itself, in the order in which all is run.
pub const FAMILIES: &[&str] = &["meet/", "room/", "call/", "files/", "board/", "bootstrap/", "reach/", "app/", "build/"];

/// What a measure is held against.
#[derive(Debug, Clone, Copy)]
struct Target {
    name: &'static str,
    value: f64,
    unit: &'static str,
    more_is_better: bool,
}

impl Target {
    const fn at_most(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, more_is_better: false }
    }

    const fn at_least(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, more_is_better: true }
    }

    fn is_met_by(&self, value: f64) -> bool {
        if self.more_is_better { value >= self.value } else { value <= self.value }
    }
}

/// One line of the output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    pub measure: &'static str,
    pub value: Option<f64>,
    pub unit: &'static str,
    pub target: f64,
    pub ok: bool,
    /// What it was compared with, and its version.
    pub with: String,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What the rounds of a family have found so far.
#[derive(Debug)]
struct Rounds {
    /// How many are asked for.
    count: usize,
    /// With what the names begin that are asked for.
    only: String,
    values: BTreeMap<&'static str, Vec<f64>>,
    failures: BTreeMap<&'static str, String>,
    with: BTreeMap<&'static str, String>,
}

impl Rounds {
    fn new(count: usize) -> Self {
        Self {
            count: count.max(1),
            only: String::new(),
            values: BTreeMap::new(),
            failures: BTreeMap::new(),
            with: BTreeMap::new(),
        }
    }

    /// Whether anything that begins with `name` is asked for.
    fn wants(&self, name: &str) -> bool {
        name.starts_with(&self.only) || self.only.starts_with(name)
    }

    /// What one round found for `names`, or why it found nothing: then they get no value, whatever the other rounds find.
    fn add<const N: usize>(&mut self, names: [&'static str; N], round: Result<[f64; N]>) {
        match round {
            Ok(found) => names.into_iter().zip(found).for_each(|(name, value)| self.values.entry(name).or_default().push(value)),
            Err(error) => names.into_iter().for_each(|name| {
                self.failures.insert(name, format!("{error:#}"));
            }),
        }
    }

    /// The other program that `name` was measured beside, with its version.
    fn beside(&mut self, name: &'static str, program: impl Into<String>) {
        self.with.insert(name, program.into());
    }

    /// A line for each target: the median of the rounds.
    fn measures(mut self, targets: &[Target]) -> Vec<Measure> {
        let line = |target: &Target| {
            let why = self.failures.remove(target.name);
            let value = self.values.get(target.name).filter(|_| why.is_none()).and_then(|values| median(values));
            Measure {
                measure: target.name,
                value: value.map(|value| (value * 100.0).round() / 100.0),
                unit: target.unit,
                target: target.value,
                ok: value.is_some_and(|value| target.is_met_by(value)),
                with: self.with.remove(target.name).unwrap_or_else(|| "nothing: an absolute target".into()),
                why: why.or_else(|| value.is_none().then(|| "nothing takes it yet".into())),
            }
        };
        targets.iter().map(line).collect()
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// The work of a measure that runs as a process of its own, on a host of a LAN.
pub async fn work(words: &[String]) -> Result<()> {
    files::work(words).await
}

/// Runs one family. `only`: with what the names of the measures begin that are wanted; others may be left out.
pub async fn run(family: &str, only: &str, count: usize) -> Vec<Measure> {
    let mut rounds = Rounds { only: only.to_owned(), ..Rounds::new(count) };
    let targets = match family {
        "meet/" => {
            meet::run(&mut rounds).await;
            meet::TARGETS
        }
        "room/" => {
            room::run(&mut rounds).await;
            room::TARGETS
        }
        "call/" => {
            call::run(&mut rounds).await;
            call::TARGETS
        }
        "files/" => {
            files::run(&mut rounds).await;
            files::TARGETS
        }
        "board/" => {
            board::run(&mut rounds).await;
            board::TARGETS
        }
        "bootstrap/" => {
            bootstrap::run(&mut rounds).await;
            bootstrap::TARGETS
        }
        "reach/" => {
            reach::run(&mut rounds).await;
            reach::TARGETS
        }
        "app/" => {
            app::run(&mut rounds);
            app::TARGETS
        }
        "build/" => {
            build::run(&mut rounds);
            build::TARGETS
        }
        _ => return Vec::new(),
    };
    rounds.measures(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &[Target] =
        &[Target::at_most("a/quick_ms", 10.0, "ms"), Target::at_least("a/many", 5.0, "/s"), Target::at_most("a/none", 1.0, "ms")];

    #[test]
    fn a_line_has_the_median_and_a_round_that_failed_leaves_no_value() {
        let mut rounds = Rounds::new(3);
        for value in [9.0, 30.0, 8.004] {
            rounds.add(["a/quick_ms"], Ok([value]));
        }
        rounds.add(["a/many"], Ok([7.0]));
        rounds.add(["a/many"], Err(anyhow::anyhow!("the cable was cut")));
        let lines = rounds.measures(TARGETS);
        let [quick, many, none] = lines.as_slice() else { panic!("three lines") };
        assert_eq!((quick.value, quick.ok, &quick.why), (Some(9.0), true, &None));
        assert_eq!((many.value, many.ok, many.why.as_deref()), (None, false, Some("the cable was cut")));
        assert_eq!((none.value, none.why.as_deref()), (None, Some("nothing takes it yet")));
    }

    #[test]
    fn more_may_be_better() {
        let mut rounds = Rounds::new(1);
        rounds.add(["a/many"], Ok([7.0]));
        assert!(rounds.measures(TARGETS).iter().any(|line| line.measure == "a/many" && line.ok));
    }
}
