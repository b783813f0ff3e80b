//! The boards that are open, and what they have not written yet: changes of 50 ms go into one operation of the log, and of a second where
//! there are so many that the room's quota would be used up.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use conclave_crdt::interchange::picture::{Picture, Pictures};
use conclave_crdt::{Actor, Board, Change, Changed, EditError, PageId, pack, unpack};
use conclave_protocol::id::{DeviceId, RoomId};
use conclave_protocol::log::op::MAX_OP_BODY;
use tokio::sync::mpsc;

use super::{Answer, Ask, BoardOp, Done, Job};
use crate::command::{BoardFormat, Reply};
use crate::driver::Shelf;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::view::{BoardMomentView, BoardPageView, BoardView};

/// Changes made within this time travel together.
const GATHER: Duration = Duration::from_millis(50);
/// The same, for whoever wrote so often within a minute: the room's log takes 240 operations a minute of one author, chat and files too.
const GATHER_LONG: Duration = Duration::from_secs(1);
const MANY: usize = 100;
/// Longest file that is imported, in bytes.
const MAX_IMPORT: u64 = 64 * 1024 * 1024;
/// Bytes of pictures that go into one exported file; of those beyond, the places are shown.
const MAX_PICTURES: usize = 256 * 1024 * 1024;

/// The boards that are open.
pub(super) struct Desk {
    open: HashMap<RoomId, Open>,
    done: mpsc::Sender<Done>,
}

/// A board and what of it is on its way into the log.
struct Open {
    board: Board,
    authors: HashMap<Actor, DeviceId>,
    revision: u64,
    outbox: Vec<Change>,
    /// Who waits until it is written.
    waiting: Vec<(Answer, Reply)>,
    since: Option<Instant>,
    /// Given to the loop and not confirmed.
    under_way: VecDeque<(u64, Vec<Change>)>,
    next_batch: u64,
    written: VecDeque<Instant>,
}

impl Open {
    fn new(board: Board, authors: HashMap<Actor, DeviceId>, revision: u64) -> Self {
        Self {
            board,
            authors,
            revision,
            outbox: Vec::new(),
            waiting: Vec::new(),
            since: None,
            under_way: VecDeque::new(),
            next_batch: 1,
            written: VecDeque::new(),
        }
    }

    fn view(&self, can_edit: bool) -> BoardView {
        BoardView {
            title: self.board.title(),
            pages: self.board.pages(),
            revision: self.revision,
            can_edit,
            can_undo: self.board.can_undo(),
            can_redo: self.board.can_redo(),
        }
    }

    fn due(&self) -> Option<Instant> {
        let gather = if self.written.len() >= MANY { GATHER_LONG } else { GATHER };
        Some(self.since? + gather)
    }
}

impl Desk {
    pub(super) fn new(done: mpsc::Sender<Done>) -> Self {
        Self { open: HashMap::new(), done }
    }

    /// When something is to be written next.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let due = self.open.values().filter_map(Open::due).min()?;
        Some(due.max(now))
    }

    pub(super) fn write_due(&mut self, now: Instant) {
        let due: Vec<RoomId> =
            self.open.iter().filter(|(_, open)| open.due().is_some_and(|due| due <= now)).map(|(room, _)| *room).collect();
        due.into_iter().for_each(|room| self.write(room, now));
    }

    pub(super) fn write_everything(&mut self) {
        let rooms: Vec<RoomId> = self.open.keys().copied().collect();
        rooms.into_iter().for_each(|room| self.write(room, Instant::now()));
    }

    pub(super) fn handle(&mut self, job: Job, now: Instant) {
        match job {
            Job::Open { room, actor, ops } => self.build(room, actor, ops),
            Job::Merge { room, ops } => self.merge(room, ops),
            Job::Written { room, batch } => {
                if let Some(open) = self.open.get_mut(&room) {
                    open.under_way.retain(|(number, _)| *number != batch);
                }
            }
            Job::Close { room } => {
                self.open.remove(&room);
            }
            Job::Ask { room, can_edit, ask, answer } => self.ask(room, can_edit, ask, answer, now),
            Job::Stop => {}
        }
    }

    /// From all that the log has, and what is on its way there.
    fn build(&mut self, room: RoomId, actor: Actor, ops: Vec<BoardOp>) {
        let before = self.open.remove(&room);
        let seed = u64::from_le_bytes(actor.0.first_chunk().copied().unwrap_or_default());
        let Ok(board) = Board::new(actor, seed) else { return };
        let revision = before.as_ref().map_or(0, |open| open.revision) + 1;
        let mut open = Open::new(board, HashMap::new(), revision);
        let (mut changes, unreadable) = read(ops, &mut open.authors);
        if let Some(before) = before {
            let own = before.under_way.iter().flat_map(|(_, changes)| changes).chain(&before.outbox);
            changes.extend(own.map(|change| (actor, change.clone())));
            open.outbox = before.outbox;
            open.waiting = before.waiting;
            open.since = before.since;
            open.under_way = before.under_way;
            open.next_batch = before.next_batch;
            open.written = before.written;
            self.tell(Event::BoardReset { room });
        }
        let merged = open.board.merge(changes);
        if unreadable > 0 || !merged.refused.is_empty() {
            tracing::debug!(unreadable, refused = ?merged.refused, "changes of a board were not taken");
        }
        self.open.insert(room, open);
    }

    fn merge(&mut self, room: RoomId, ops: Vec<BoardOp>) {
        let Some(open) = self.open.get_mut(&room) else { return };
        let (changes, unreadable) = read(ops, &mut open.authors);
        let merged = open.board.merge(changes);
        if unreadable > 0 || !merged.refused.is_empty() {
            tracing::debug!(unreadable, refused = ?merged.refused, "changes of a board were not taken");
        }
        if merged.is_forked() {
            let _ = self.done.blocking_send(Done::Reopen { room });
        }
        self.publish(room, merged.changed);
    }

    fn ask(&mut self, room: RoomId, can_edit: bool, ask: Ask, answer: Answer, now: Instant) {
        let Some(open) = self.open.get_mut(&room) else {
            let _ = answer.send(Err(CommandError::new(ErrorCode::Busy, "The board is not open yet; try again.")));
            return;
        };
        let changed = match ask {
            Ask::Show => {
                let _ = answer.send(Ok(Reply::Board { board: open.view(can_edit) }));
                return;
            }
            Ask::Page { page, moment } => {
                let _ = answer.send(read_page(open, page, moment));
                return;
            }
            Ask::History { page } => {
                let moments = open.board.history(page).into_iter().enumerate().map(|(number, moment)| BoardMomentView {
                    moment: u32::try_from(number).unwrap_or(u32::MAX),
                    device: open.authors.get(&moment.actor).copied(),
                });
                let _ = answer.send(Ok(Reply::BoardMoments { moments: moments.collect() }));
                return;
            }
            Ask::Export { page, format, path, pictures } => {
                let _ = answer.send(export(&open.board, page, &pictures, format, &path));
                return;
            }
            Ask::Edit { page, edits, gesture } => open.board.edit(page, &edits, gesture).map_err(refused),
            Ask::Pages(edit) => open.board.edit_pages(&edit).map_err(refused),
            Ask::Undo { redo: false } => open.board.undo().map_err(refused),
            Ask::Undo { redo: true } => open.board.redo().map_err(refused),
            Ask::Restore { page, moment } => open.board.restore(page, moment as usize).map_err(refused),
            Ask::Import { page, path } => import(&mut open.board, page, &path).map(|(changed, pictures)| {
                if !pictures.is_empty() {
                    let _ = self.done.blocking_send(Done::Pictures { room, pictures });
                }
                changed
            }),
        };
        open.outbox.extend(open.board.take_changes());
        match changed {
            Err(error) => {
                let _ = answer.send(Err(error));
            }
            Ok(changed) => {
                self.publish(room, changed);
                let Some(open) = self.open.get_mut(&room) else { return };
                let reply = Reply::Board { board: open.view(can_edit) };
                // What was done is answered when it is on the disk.
                if open.outbox.is_empty() {
                    let _ = answer.send(Ok(reply));
                } else {
                    open.waiting.push((answer, reply));
                    open.since.get_or_insert(now);
                }
            }
        }
    }

    fn write(&mut self, room: RoomId, now: Instant) {
        let Some(open) = self.open.get_mut(&room) else { return };
        open.since = None;
        let (changes, answers) = (std::mem::take(&mut open.outbox), std::mem::take(&mut open.waiting));
        if changes.is_empty() && answers.is_empty() {
            return;
        }
        let bodies = match pack(&changes, MAX_OP_BODY) {
            Ok(bodies) => bodies,
            Err(error) => {
                tracing::error!(%error, "a change of the board fits into no operation");
                Vec::new()
            }
        };
        let batch = open.next_batch;
        open.next_batch += 1;
        open.under_way.push_back((batch, changes));
        open.written.extend(std::iter::repeat_n(now, bodies.len()));
        while open.written.front().is_some_and(|at| now.duration_since(*at) > Duration::from_secs(60)) {
            open.written.pop_front();
        }
        let _ = self.done.blocking_send(Done::Write { room, batch, bodies, answers });
    }

    fn publish(&mut self, room: RoomId, changed: Changed) {
        if changed.is_empty() {
            return;
        }
        let Some(open) = self.open.get_mut(&room) else { return };
        open.revision += 1;
        let event = Event::BoardChanged {
            room,
            revision: open.revision,
            pages: changed.pages,
            can_undo: open.board.can_undo(),
            can_redo: open.board.can_redo(),
            deltas: changed.deltas,
        };
        self.tell(event);
    }

    fn tell(&self, event: Event) {
        // The loop is gone: so is whoever would read it.
        let _ = self.done.blocking_send(Done::Happened(event));
    }
}

/// The changes of operations, and how many bodies could not be read.
fn read(ops: Vec<BoardOp>, authors: &mut HashMap<Actor, DeviceId>) -> (Vec<(Actor, Change)>, usize) {
    let (mut changes, mut unreadable) = (Vec::new(), 0);
    for op in ops {
        authors.insert(op.actor, op.author);
        match unpack(&op.body) {
            Ok(batch) => changes.extend(batch.into_iter().map(|change| (op.actor, change))),
            Err(_) => unreadable += 1,
        }
    }
    (changes, unreadable)
}

fn read_page(open: &Open, page: PageId, moment: Option<u32>) -> Result<Reply, CommandError> {
    let now = open.board.page(page).ok_or_else(|| refused(EditError::UnknownPage))?;
    let elements = match moment {
        None => now.iter().cloned().collect(),
        Some(moment) => {
            let then = open.board.page_at(page, moment as usize).ok_or_else(|| refused(EditError::UnknownMoment))?;
            then.iter().cloned().collect()
        }
    };
    Ok(Reply::BoardPage { board_page: BoardPageView { page, revision: open.revision, elements } })
}

fn export(board: &Board, page: PageId, shelf: &Shelf, format: BoardFormat, path: &Path) -> Result<Reply, CommandError> {
    let view = board.page(page).ok_or_else(|| refused(EditError::UnknownPage))?;
    let mut pictures = Pictures::new();
    let mut room = MAX_PICTURES;
    for name in view.iter().filter_map(|element| element.image.as_ref()) {
        if !pictures.contains_key(name)
            && let Some(picture) = shelf.read(name)
            && let Some(left) = room.checked_sub(picture.bytes.len())
        {
            room = left;
            pictures.insert(name.clone(), picture);
        }
    }
    let bytes = super::export::export(board, page, view, &pictures, format)?;
    std::fs::write(path, bytes)
        .map_err(|error| CommandError::new(ErrorCode::StoreFailed, format!("{} cannot be written: {error}.", path.display())))?;
    Ok(Reply::Done {})
}

fn import(board: &mut Board, page: PageId, path: &Path) -> Result<(Changed, Vec<Picture>), CommandError> {
    let failed =
        |error: std::io::Error| CommandError::new(ErrorCode::BadRequest, format!("{} cannot be read: {error}.", path.display()));
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_IMPORT {
        return Err(CommandError::new(ErrorCode::BadRequest, "The file is larger than 64 MiB."));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    super::export::import(board, page, &bytes)
}

/// The board's refusal as a person reads it.
pub(super) fn refused(error: EditError) -> CommandError {
    let code = match error {
        EditError::UnknownPage | EditError::UnknownElement | EditError::UnknownMoment => ErrorCode::UnknownElement,
        EditError::BadText => ErrorCode::BadText,
        EditError::Full => ErrorCode::QuotaExceeded,
        EditError::Document => ErrorCode::StoreFailed,
        _ => ErrorCode::BadRequest,
    };
    let message = error.to_string();
    let mut letters = message.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    CommandError::new(code, format!("{first}{}.", letters.as_str()))
}
