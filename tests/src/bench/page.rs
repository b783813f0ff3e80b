//! What the family `board/` measures on: a page of strokes as people draw them, and what it costs to keep, carry and load.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use automerge::Automerge;
use conclave_crdt::{
    Actor, Board, Change, Edit, ElementId, Kind, PageId, Place, Point, Shape, Style, Transform, pack, pack_points, unpack,
};
use conclave_protocol::id::{DeviceId, OpHash, OpId, RoomId};
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::log::op::{MAX_OP_BODY, Op};
use conclave_protocol::wire;

use crate::process::{cpu_time, program};

/// Strokes of a page.
pub(super) const STROKES: usize = 10_000;
/// Points of a stroke.
const POINTS: usize = 60;
/// People who drew it.
const PEOPLE: usize = 4;

/// Chance that is the same in every run (SplitMix64, Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn id(&mut self) -> ElementId {
        ElementId::from_random(u128::from(self.next()) << 64 | u128::from(self.next()))
    }

    /// From -1 to 1.
    fn swing(&mut self) -> f32 {
        (self.next() % 20_001) as f32 / 10_000.0 - 1.0
    }

    /// A hand that wanders, pressing now more, now less.
    fn stroke(&mut self) -> Shape {
        let (mut x, mut y) = (self.swing() * 4000.0, self.swing() * 4000.0);
        let (mut dx, mut dy) = (self.swing() * 4.0, self.swing() * 4.0);
        let points: Vec<Point> = (0..POINTS)
            .map(|step| {
                dx += self.swing();
                dy += self.swing();
                (x, y) = (x + dx, y + dy);
                Point { x, y, pressure: 0.5 + (step as f32 / 10.0).sin() * 0.2 }
            })
            .collect();
        Shape::through(Kind::Pen, &points, Style::default())
    }

    fn add(&mut self) -> Edit {
        Edit::Add { id: self.id(), shape: self.stroke(), place: Place::Front }
    }
}

/// A change and who made it.
type Letter = (Actor, Change);

/// A page that several people drew, one stroke after the other, and all that was sent.
pub(super) struct Drawn {
    pub(super) board: Board,
    letters: Vec<Letter>,
    dice: Dice,
}

fn actor(number: usize) -> Actor {
    Actor([number as u8 + 1; 16])
}

impl Drawn {
    pub(super) fn new(strokes: usize) -> Result<Self> {
        let mut dice = Dice(1);
        let mut letters: Vec<Letter> = Vec::new();
        let mut board = Board::new(actor(0), 0)?;
        // They take turns, as people at a board do: each goes on from what all see.
        for person in 0..PEOPLE {
            let mut turn = Board::new(actor(person), person as u64)?;
            turn.merge(letters.clone());
            for _ in 0..strokes / PEOPLE {
                let edit = dice.add();
                turn.edit(PageId::FIRST, &[edit], 0)?;
                letters.extend(turn.take_changes().into_iter().map(|change| (actor(person), change)));
            }
            board = turn;
        }
        Ok(Self { board, letters, dice })
    }

    /// The file that Automerge reads.
    pub(super) fn saved(&self) -> Result<Vec<u8>> {
        self.board.save_page(PageId::FIRST).context("the page cannot be saved")
    }

    /// The operations of the room's log as they are signed and sent, a stroke each.
    fn operations(&self) -> Result<(Vec<(Actor, Vec<u8>)>, usize)> {
        let mut bodies = Vec::new();
        for (actor, change) in &self.letters {
            let packed = pack(std::slice::from_ref(change), MAX_OP_BODY)?;
            bodies.extend(packed.into_iter().map(|body| (*actor, body)));
        }
        let bytes = sent(bodies.iter().map(|(_, body)| body.clone()));
        Ok((bodies, bytes))
    }

    /// MiB that a fresh peer gets, and milliseconds of CPU until it shows the page.
    pub(super) fn join(&self) -> Result<[f64; 2]> {
        let (bodies, bytes) = self.operations()?;
        let taken = cpu_ms(|| {
            let mut changes = Vec::with_capacity(bodies.len());
            for (actor, body) in &bodies {
                changes.extend(unpack(body)?.into_iter().map(|change| (*actor, change)));
            }
            let mut fresh = Board::new(actor(9), 9)?;
            let merged = fresh.merge(changes);
            ensure!(merged.refused.is_empty() && fresh.page_heads(PageId::FIRST) == self.board.page_heads(PageId::FIRST));
            Ok(())
        })?;
        Ok([bytes as f64 / 1024.0 / 1024.0, taken])
    }

    /// Milliseconds of CPU for taking in twenty changes of somebody else: judged, applied to a copy, shown.
    pub(super) fn remote_batch(&mut self) -> Result<f64> {
        let mut other = Board::new(actor(20), 20)?;
        other.merge(self.letters.clone());
        let mut batches = Vec::new();
        for _ in 0..20 {
            let mut batch = Vec::new();
            for _ in 0..20 {
                let edit = self.dice.add();
                other.edit(PageId::FIRST, &[edit], 0)?;
                batch.extend(other.take_changes().into_iter().map(|change| (actor(20), change)));
            }
            batches.push(batch);
        }
        let count = batches.len() as f64;
        let mut board = self.board.clone();
        let taken = cpu_ms(|| {
            for batch in batches {
                ensure!(board.merge(batch).applied == 20, "a change was not taken");
            }
            Ok(())
        })?;
        Ok(taken / count)
    }

    /// KB that two send each other who drew a thousand strokes, or moved them, each alone.
    pub(super) fn diverged(&mut self) -> Result<f64> {
        let mut bytes = 0;
        let elements: Vec<_> = self.board.page(PageId::FIRST).context("a page")?.iter().take(500).cloned().collect();
        for person in [30, 31] {
            let mut alone = Board::new(actor(person), person as u64)?;
            alone.merge(self.letters.clone());
            let mut bodies = Vec::new();
            for step in 0..1000 {
                let edit = match elements.get(step / 2).filter(|_| step % 2 == 0) {
                    Some(element) => {
                        let transform = Transform { x: element.transform.x + 5.0, ..element.transform };
                        Edit::Transform { id: element.id, transform }
                    }
                    None => self.dice.add(),
                };
                alone.edit(PageId::FIRST, &[edit], 0)?;
                bodies.extend(pack(&alone.take_changes(), MAX_OP_BODY)?);
            }
            bytes += sent(bodies.into_iter());
        }
        Ok(bytes as f64 / 1000.0)
    }

    /// Milliseconds of CPU to load what was saved, and the same in times of what yrs takes for its own.
    pub(super) fn load(&self) -> Result<(f64, f64, String)> {
        let saved = self.saved()?;
        let mut count = 0;
        let ours = cpu_ms(|| {
            for _ in 0..5 {
                let loaded = Automerge::load(&saved)?;
                ensure!(loaded.get_heads().len() == 1, "not what was saved");
                count += 1;
            }
            Ok(())
        })? / f64::from(count.max(1));
        let others = self.beside()?;
        let yrs = others.lines().find_map(|line| line.strip_prefix("yrs ")).context("conclave-beside said nothing of yrs")?;
        let theirs: f64 = yrs.split_whitespace().nth(2).context("no figure of yrs")?.parse()?;
        ensure!(theirs > 0.0, "yrs took no time");
        Ok((ours, ours / theirs, others.lines().collect::<Vec<_>>().join("; ")))
    }

    /// The same strokes in the documents of others.
    fn beside(&self) -> Result<String> {
        let program = program("conclave-beside").context("cargo build --release --manifest-path tests/beside/Cargo.toml")?;
        let mut file = Vec::new();
        for element in self.board.page(PageId::FIRST).context("a page")?.iter() {
            let t = element.transform;
            let transform: Vec<u8> = [t.x, t.y, t.w, t.h, t.angle].iter().flat_map(|part| part.to_le_bytes()).collect();
            let points = pack_points(&element.points)?;
            for part in [element.id.as_str().as_bytes(), &transform, &element.style.encode(), &points] {
                file.extend(u32::try_from(part.len())?.to_le_bytes());
                file.extend(part);
            }
        }
        let input = tempfile::NamedTempFile::new()?;
        std::fs::write(input.path(), file)?;
        let output = std::process::Command::new(program).arg(input.path()).output()?;
        ensure!(output.status.success(), "conclave-beside failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Bytes of signed operations with these bodies.
fn sent(bodies: impl Iterator<Item = Vec<u8>>) -> usize {
    let (key, room) = (DeviceKey::from_seed(&[1; 32]), RoomId([2; 32]));
    let mut bytes = 0;
    for (seq, body) in (1..).zip(bodies) {
        let op = Op {
            id: OpId { device: DeviceId([3; 32]), incarnation: 7, seq },
            prev: (seq > 1).then_some(OpHash([4; 32])),
            acl_heads: vec![OpHash([5; 32])],
            deps: vec![OpHash([6; 32])],
            lamport: seq,
            time_ms: 1_800_000_000_000,
            kind: conclave_protocol::board::kind::CHANGES,
            body,
        };
        bytes += wire::encode(&op.sign(&key, &room)).len();
    }
    bytes
}

/// Milliseconds of CPU that this process takes for something.
fn cpu_ms(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let own = std::process::id();
    let before = cpu_time(own).context("the clock of the process")?;
    work()?;
    let used: Duration = cpu_time(own).context("the clock of the process")?.saturating_sub(before);
    Ok(used.as_secs_f64() * 1000.0)
}

/// MiB that a process of its own holds for the document of such a page.
pub(super) fn rss_mib() -> Result<f64> {
    let output = std::process::Command::new(std::env::current_exe()?).arg("--hold-a-page").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("the child said {text:?}"))
}

/// In the child: how much more is held with the page than without it.
pub fn hold_a_page() -> Result<f64> {
    let saved = Drawn::new(STROKES)?.saved()?;
    // In yet another process, where nothing that made the page lies about.
    let path = tempfile::NamedTempFile::new()?;
    std::fs::write(path.path(), saved)?;
    let output = std::process::Command::new(std::env::current_exe()?).arg("--load-a-page").arg(path.path()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("the child said {text:?}"))
}

/// In the child of the child: loads the page and says how much more it holds.
pub fn load_a_page(path: &std::path::Path) -> Result<f64> {
    let saved = std::fs::read(path)?;
    let before = resident()?;
    let document = Automerge::load(&saved)?;
    let after = resident()?;
    if document.get_heads().is_empty() {
        bail!("an empty page");
    }
    Ok(after.saturating_sub(before) as f64 / 1024.0)
}

/// KiB in memory (proc_pid_status(5)).
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
