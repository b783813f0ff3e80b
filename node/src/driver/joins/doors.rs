//! The doors of this device's rooms: those who knock here. Whom to let in is decided by the doorkeeper's machine and by people.

use std::collections::BTreeMap;

use conclave_protocol::id::{DeviceId, OpHash, RoomId};
use conclave_protocol::identity::MemberCard;
use conclave_protocol::knock::{Doorkeeper, DoorkeeperOutput, RefusalCode, Rooms, SessionId};
use conclave_protocol::log::acl::Role;
use conclave_protocol::log::state::AclState;
use tokio::task::AbortHandle;

use super::KnockStream;
use crate::command::Reply;
use crate::driver::Driver;
use crate::driver::links::LinkId;
use crate::driver::rooms::RoomEntry;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::net::FrameWriter;
use crate::store::Batch;
use crate::view::KnockView;

/// So many frames to one knocker are put into the queue of its stream, which has room for them; more are fed.
const FEW_FRAMES: usize = 8;

impl KnockStream {
    /// A few frames are queued; a whole ACL log goes out at the pace of whoever reads it, and the stream stays until it has.
    pub(in crate::driver) fn send_all(&self, frames: Vec<Vec<u8>>) {
        if frames.len() > FEW_FRAMES {
            let writer = self.writer.clone();
            tokio::spawn(async move {
                for frame in frames {
                    if writer.feed(&frame).await.is_err() {
                        tracing::debug!("a knocker went away before it had the whole log");
                        return;
                    }
                }
            });
            return;
        }
        for frame in frames {
            // A stream that takes no more has ended; the knocker knocks again.
            let _ = self.writer.send(&frame);
        }
    }
}

/// What the doorkeeper may know of the rooms.
pub(in crate::driver) struct Known<'a>(pub(in crate::driver) &'a BTreeMap<RoomId, RoomEntry>);

impl Rooms for Known<'_> {
    fn acl(&self, room: &RoomId) -> Option<&AclState> {
        self.0.get(room).map(|entry| entry.room.acl())
    }
}

impl Driver {
    /// Somebody knocks.
    pub(in crate::driver) fn handle_knock(&mut self, id: LinkId, device: DeviceId, writer: FrameWriter, task: AbortHandle) {
        let now = self.now();
        let session = self.keeper().handle_opened(device, now, &mut crate::driver::rng());
        self.joins.sessions.insert(id, session);
        self.joins.streams.insert(session, (id, KnockStream { writer, task }));
        // The challenge goes out with the next turn.
        self.send_of_keeper();
    }

    pub(super) fn keeper(&mut self) -> &mut Doorkeeper {
        let me = self.me.device.id();
        self.joins.keeper.get_or_insert_with(|| Doorkeeper::new(me))
    }

    /// An admin here said yes or no.
    pub(in crate::driver) async fn room_answer(
        &mut self,
        room: RoomId,
        device: DeviceId,
        yes: bool,
    ) -> Result<Reply, CommandError> {
        let now_ms = self.now_ms();
        let entry = self.entry(room)?;
        if entry.room.my_role().is_none_or(|role| role < Role::Admin) {
            return Err(CommandError::new(ErrorCode::NotPermitted, "Only an admin of the room lets people in."));
        }
        self.keeper();
        let Some(keeper) = &mut self.joins.keeper else { return Ok(Reply::Done {}) };
        let done = if yes { keeper.approve(room, device, &Known(&self.rooms), now_ms) } else { keeper.refuse(room, device) };
        self.run_keeper().await;
        if !done {
            return Err(CommandError::new(
                ErrorCode::UnknownDevice,
                "Nobody waits under this name, or the invitation has ended meanwhile.",
            ));
        }
        Ok(Reply::Done {})
    }

    /// The room's members or invitations changed: whoever waits may not have to wait any more.
    pub(in crate::driver) async fn review_door(&mut self, room: RoomId) {
        if let Some(keeper) = &mut self.joins.keeper {
            keeper.handle_room_changed(room, &Known(&self.rooms));
            Box::pin(self.run_keeper()).await;
        }
        self.review_codes(room).await;
    }

    /// What the doorkeeper asks for that needs no disk.
    pub(super) fn send_of_keeper(&mut self) -> Vec<DoorkeeperOutput> {
        let mut rest = Vec::new();
        let mut frames: BTreeMap<SessionId, Vec<Vec<u8>>> = BTreeMap::new();
        while let Some(output) = self.joins.keeper.as_mut().and_then(Doorkeeper::poll_output) {
            match output {
                DoorkeeperOutput::Send { session, frame } => frames.entry(session).or_default().push(frame),
                DoorkeeperOutput::Close { session } => {
                    self.send_to_knocker(session, frames.remove(&session).unwrap_or_default());
                    if let Some((id, _)) = self.joins.streams.remove(&session) {
                        self.joins.sessions.remove(&id);
                    }
                }
                DoorkeeperOutput::KnockReceived { room, card, code, since_ms } => {
                    let knock = KnockView { device: card.device, account: card.account, name: card.name, code, since_ms };
                    self.joins.waiting.insert((room, knock.device), knock.clone());
                    self.dirty.insert(room);
                    self.publish(Event::KnockReceived { room, knock });
                }
                DoorkeeperOutput::KnockEnded { room, device } => {
                    self.joins.waiting.remove(&(room, device));
                    self.dirty.insert(room);
                    self.publish(Event::KnockEnded { room, device });
                }
                admission => rest.push(admission),
            }
        }
        for (session, frames) in frames {
            self.send_to_knocker(session, frames);
        }
        rest
    }

    fn send_to_knocker(&self, session: SessionId, frames: Vec<Vec<u8>>) {
        if let Some((_, stream)) = self.joins.streams.get(&session) {
            stream.send_all(frames);
        }
    }

    pub(super) async fn run_keeper(&mut self) {
        loop {
            let admissions = self.send_of_keeper();
            if admissions.is_empty() {
                return;
            }
            for admission in admissions {
                match admission {
                    DoorkeeperOutput::Admit { room, card, role, invite } => self.admit(room, card, role, invite).await,
                    DoorkeeperOutput::Welcome { room, device } => self.welcome(room, device),
                    _ => {}
                }
            }
        }
    }

    pub(super) async fn admit(&mut self, room: RoomId, card: MemberCard, role: Role, invite: Option<OpHash>) {
        let (device, now) = (card.device, self.now_ms());
        let Ok(entry) = self.entry(room) else { return };
        match entry.room.admit(card, role, invite, now, &mut crate::driver::rng()) {
            Ok(applied) => match Box::pin(self.settle(room, applied, None, Batch::new())).await {
                Ok(()) => self.welcome(room, device),
                Err(error) => {
                    self.keeper().handle_not_admitted(room, device, RefusalCode::Busy);
                    self.publish(Event::Problem { error: error.into() });
                }
            },
            Err(refusal) => self.keeper().handle_not_admitted(room, device, refusal.into()),
        }
    }

    pub(super) fn welcome(&mut self, room: RoomId, device: DeviceId) {
        let Some(ops) = self.rooms.get(&room).map(|entry| entry.room.acl_missing(&[])) else { return };
        self.keeper().handle_admitted(room, device, ops);
    }
}
