//! Whiteboards: who may draw, what of a board goes into the room's log and comes from it, and what is shown live. The documents themselves
//! are kept on a thread of their own.

use std::collections::{BTreeMap, BTreeSet};

use conclave_crdt::Actor;
use conclave_protocol::board::{self, BoardLive};
use conclave_protocol::id::{DeviceId, OpHash, RoomId};
use conclave_protocol::live::LivePayload;
use conclave_protocol::log::acl::Role;
use conclave_protocol::room::Operation;

use super::files::PictureFrom;
use super::{Driver, calls};
use crate::board::{Ask, BoardOp, Boards, Done, Job};
use crate::command::Reply;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::store::Batch;
use crate::view::BoardLiveView;

/// The boards of this node's rooms.
pub(super) struct BoardDesk {
    pub(super) thread: Boards,
    /// Rooms whose board the thread has. The others' changes lie in the log until somebody looks.
    open: BTreeSet<RoomId>,
    /// What came in this turn of the loop.
    arrived: BTreeMap<RoomId, Vec<BoardOp>>,
}

impl BoardDesk {
    pub(super) fn start() -> Result<Self, CommandError> {
        Ok(Self { thread: Boards::start()?, open: BTreeSet::new(), arrived: BTreeMap::new() })
    }
}

impl Driver {
    /// Passes a question on to the board, which is opened by it.
    pub(super) fn board_ask(&mut self, room: RoomId, ask: Ask, answer: calls::Answer) {
        let checked = self.entry(room).and_then(|entry| {
            let can_edit =
                entry.room.my_role().is_some_and(|role| role >= Role::Member) && !entry.room.is_frozen(&entry.room.me());
            if ask.writes() && !can_edit {
                return Err(CommandError::new(ErrorCode::NotPermitted, "Your role in this room does not allow drawing."));
            }
            Ok(can_edit)
        });
        match checked {
            Err(error) => {
                let _ = answer.send(Err(error));
            }
            Ok(can_edit) => {
                if !self.boards.open.contains(&room) {
                    self.board_open(room);
                }
                self.boards_merge();
                self.boards.thread.give(Job::Ask { room, can_edit, ask, answer });
            }
        }
    }

    /// Tells the others where this person is on the board. Nothing of it lasts.
    pub(super) fn board_live(&mut self, room: RoomId, live: &BoardLiveView) -> Result<Reply, CommandError> {
        self.entry(room)?;
        let live = live
            .to_wire()
            .ok_or_else(|| CommandError::new(ErrorCode::BadRequest, "A number of the live message is out of range."))?;
        self.say(room, &LivePayload::Board(live));
        Ok(Reply::Done {})
    }

    /// A member showed where they are.
    pub(super) fn handle_board_live(&mut self, room: RoomId, from: DeviceId, live: &BoardLive) {
        let Some(mut live) = BoardLiveView::from_wire(live) else {
            tracing::debug!("a live message of the board is out of range");
            return;
        };
        let may_draw =
            self.rooms.get(&room).and_then(|entry| entry.room.acl().role(&from)).is_some_and(|role| role >= Role::Member);
        if !may_draw {
            live.ink = None;
        }
        self.publish(Event::BoardLive { room, device: from, live });
    }

    /// An operation of the log that is a board's counts now.
    pub(super) fn board_operation(&mut self, room: RoomId, id: &OpHash) {
        if !self.boards.open.contains(&room) {
            return;
        }
        let Some(entry) = self.rooms.get(&room) else { return };
        let Some(op) = entry.room.operation(id) else { return };
        if op.author == entry.room.me() && op.incarnation == self.incarnation {
            return;
        }
        self.boards.arrived.entry(room).or_default().push(board_op(op));
    }

    /// Gives the thread what came in this turn of the loop.
    pub(super) fn boards_merge(&mut self) {
        for (room, ops) in std::mem::take(&mut self.boards.arrived) {
            if !self.boards.thread.give(Job::Merge { room, ops }) {
                // Read anew from the log when the board is asked for.
                self.boards.open.remove(&room);
                self.publish(Event::BoardReset { room });
            }
        }
    }

    /// What counted does not any more: the board is built from what does.
    pub(super) fn board_reopen(&mut self, room: RoomId) {
        if self.boards.open.contains(&room) {
            self.board_open(room);
        }
    }

    pub(super) fn board_close(&mut self, room: RoomId) {
        if self.boards.open.remove(&room) {
            self.boards.thread.give(Job::Close { room });
        }
    }

    pub(super) async fn handle_board_done(&mut self, done: Done) {
        match done {
            Done::Happened(event) => self.publish(event),
            Done::Reopen { room } => self.board_reopen(room),
            Done::Pictures { room, pictures } => {
                for picture in pictures {
                    self.picture_add(room, PictureFrom::Bytes(picture.bytes), None);
                }
            }
            Done::Write { room, batch, bodies, answers } => {
                let written = self.board_write(room, bodies).await;
                self.boards.thread.give(Job::Written { room, batch });
                if let Err(error) = &written {
                    // The board shows what nobody else will ever see: back to what the log has.
                    self.board_reopen(room);
                    self.publish(Event::Problem { error: error.clone().into() });
                }
                for (answer, reply) in answers {
                    let _ = answer.send(written.clone().map(|()| reply));
                }
            }
        }
    }

    /// Everything drawn is written before the node stops.
    pub(super) async fn boards_shut_down(&mut self) {
        if self.boards.thread.give(Job::Stop) {
            while let Some(done) = self.boards.thread.done.recv().await {
                self.handle_board_done(done).await;
            }
        }
    }

    async fn board_write(&mut self, room: RoomId, bodies: Vec<Vec<u8>>) -> Result<(), CommandError> {
        for body in bodies {
            let (now, entry) = (self.now_ms(), self.entry(room)?);
            let applied = entry.room.write(board::kind::CHANGES, body, now).map_err(super::rooms::refused)?;
            self.settle(room, applied, None, Batch::new()).await?;
        }
        Ok(())
    }

    fn board_open(&mut self, room: RoomId) {
        let Some(entry) = self.rooms.get(&room) else { return };
        let ops = entry.room.operations().into_iter().filter(|op| op.kind == board::kind::CHANGES).map(board_op).collect();
        let actor = Actor(board::actor(&entry.room.me(), self.incarnation));
        self.boards.arrived.remove(&room);
        if self.boards.thread.give(Job::Open { room, actor, ops }) {
            self.boards.open.insert(room);
        } else {
            self.boards.open.remove(&room);
        }
    }
}

fn board_op(op: Operation) -> BoardOp {
    BoardOp { actor: Actor(board::actor(&op.author, op.incarnation)), author: op.author, body: op.body }
}
