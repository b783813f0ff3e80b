//! Rooms: their commands, their logs on disk and on the wire, their views. Whether an operation counts is decided by the room's
//! machine; here it is stored first, then sent, then told.

use std::collections::BTreeSet;

use conclave_protocol::board;
use conclave_protocol::call::Call;
use conclave_protocol::chat::read::ReadMark;
use conclave_protocol::id::{DeviceId, OpHash, RoomId};
use conclave_protocol::log::acl::Role;
use conclave_protocol::log::sync::{MAX_BATCH_BYTES, MAX_BATCH_OPS, MAX_LISTS, RoomFrame, batches};
use conclave_protocol::room::record::Record;
use conclave_protocol::room::{Applied, CreateRoom, Refusal, Room, RoomChange};
use conclave_protocol::session::Session;
use conclave_protocol::verification::Pins;
use conclave_protocol::wire::Signed;

use super::links::LinkId;
use super::verification::ShownCode;
use super::{Driver, sessions};
use crate::command::Reply;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::net::StreamName;
use crate::rtc::keys::MediaKeys;
use crate::store::Batch;
use crate::view::{MemberView, RoomCallView, RoomView};

/// Rooms that one device keeps. Past it a new one is refused.
const MAX_ROOMS: usize = 1000;

/// A room of this device and what goes with it.
pub(super) struct RoomEntry {
    pub(super) room: Room,
    pub(super) read: ReadMark,
    pub(super) call: Call,
    /// The members who are here now, and the keys they share.
    pub(super) session: Session,
    /// What media are sealed with; from the session.
    pub(super) keys: MediaKeys,
    /// Those in the call who are known to record.
    pub(super) recorders: BTreeSet<DeviceId>,
    /// Which account was seen under which name.
    pub(super) pins: Pins,
    /// The call code of the session's epoch.
    pub(super) code: ShownCode,
}

impl RoomEntry {
    /// `incarnation`: random at each start of the node.
    pub(super) fn new(room: Room, read: ReadMark, incarnation: u64, session: Session) -> Self {
        let (call, keys) = (Call::new(room.me(), incarnation), MediaKeys::new(room.me()));
        let (pins, code) = (Pins::default(), ShownCode::default());
        Self { room, read, call, session, keys, recorders: BTreeSet::new(), pins, code }
    }
}

/// The room machine's refusal as a person reads it.
pub(super) fn refused(refusal: Refusal) -> CommandError {
    let code = match refusal {
        Refusal::NotMember => ErrorCode::NotMember,
        Refusal::Withdrawn => ErrorCode::Refused,
        Refusal::NotPermitted | Refusal::Frozen => ErrorCode::NotPermitted,
        Refusal::UnknownMember => ErrorCode::UnknownDevice,
        Refusal::UnknownMessage => ErrorCode::UnknownMessage,
        Refusal::Text(_) | Refusal::Identity(_) => ErrorCode::BadText,
        Refusal::AlreadyMember => ErrorCode::AlreadyMember,
        Refusal::InviteUnknown | Refusal::InviteClosed => ErrorCode::LinkRevoked,
        Refusal::InviteExpired => ErrorCode::LinkExpired,
        Refusal::InviteUsedUp => ErrorCode::LinkUsedUp,
        Refusal::OutOfRange => ErrorCode::BadRequest,
        Refusal::QuotaExceeded => ErrorCode::QuotaExceeded,
    };
    let mut message = refusal.to_string();
    if let Some(first) = message.get(..1) {
        message = format!("{}{}.", first.to_uppercase(), message.get(1..).unwrap_or_default());
    }
    CommandError::new(code, message)
}

impl Driver {
    /// A room of this device.
    pub(super) fn entry(&mut self, room: RoomId) -> Result<&mut RoomEntry, CommandError> {
        self.rooms
            .get_mut(&room)
            .ok_or_else(|| CommandError::new(ErrorCode::UnknownRoom, "There is no such room on this device."))
    }

    pub(super) async fn room_create(&mut self, name: String, approval: bool, full_history: bool) -> Result<Reply, CommandError> {
        self.room_for_one_more()?;
        let wish = CreateRoom { name, approval, full_history };
        let (room, applied) =
            Room::create(self.me.in_rooms()?, wish, self.incarnation, self.now_ms(), &mut super::rng()).map_err(refused)?;
        let id = room.id();
        self.adopt(room, applied, Batch::new()).await?;
        Ok(Reply::Room { room: self.room_view(id)? })
    }

    pub(super) fn room_for_one_more(&self) -> Result<(), CommandError> {
        if self.rooms.len() >= MAX_ROOMS {
            return Err(CommandError::new(
                ErrorCode::Busy,
                format!("This device keeps {MAX_ROOMS} rooms already; delete one first."),
            ));
        }
        Ok(())
    }

    /// Takes a room in that was founded or joined: on disk first.
    pub(super) async fn adopt(&mut self, room: Room, applied: Applied, extra: Batch) -> Result<(), CommandError> {
        let id = room.id();
        let session = sessions::begin(id, &self.me.device, self.now());
        let mut entry = RoomEntry::new(room, ReadMark::default(), self.incarnation, session);
        let pinned = entry.pin_members(self.now_ms());
        self.store.commit(to_disk(id, &applied.records).then(pinned).then(extra)).await?;
        self.rooms.insert(id, entry);
        self.share_secrets();
        self.run_session(id);
        self.dirty.insert(id);
        self.reach_members(id).await;
        self.tell_own_list(id).await;
        Ok(())
    }

    pub(super) async fn room_role(&mut self, room: RoomId, device: DeviceId, role: Role) -> Result<Reply, CommandError> {
        let (now, entry) = (self.now_ms(), self.entry(room)?);
        let applied = entry.room.set_role(device, role, now).map_err(refused)?;
        self.settle(room, applied, None, Batch::new()).await?;
        Ok(Reply::Room { room: self.room_view(room)? })
    }

    pub(super) async fn room_revoke(&mut self, room: RoomId, device: DeviceId) -> Result<Reply, CommandError> {
        let (now, entry) = (self.now_ms(), self.entry(room)?);
        let applied = entry.room.revoke(device, now, &mut super::rng()).map_err(refused)?;
        self.settle(room, applied, None, Batch::new()).await?;
        Ok(Reply::Room { room: self.room_view(room)? })
    }

    /// A link lets nobody in any more, whoever made it.
    pub(super) async fn room_close_invite(&mut self, room: RoomId, invite: OpHash) -> Result<Reply, CommandError> {
        let (now, entry) = (self.now_ms(), self.entry(room)?);
        let applied = entry.room.close_invite(invite, now).map_err(refused)?;
        self.settle(room, applied, None, Batch::new()).await?;
        Ok(Reply::Room { room: self.room_view(room)? })
    }

    pub(super) async fn room_leave(&mut self, room: RoomId) -> Result<Reply, CommandError> {
        self.leave_call_of(room);
        let (now, entry) = (self.now_ms(), self.entry(room)?);
        let applied = entry.room.leave(now).map_err(refused)?;
        self.settle(room, applied, None, Batch::new()).await?;
        Ok(Reply::Room { room: self.room_view(room)? })
    }

    /// Leaves if that is still to be done, and forgets the room.
    pub(super) async fn room_delete(&mut self, room: RoomId) -> Result<Reply, CommandError> {
        if self.entry(room)?.room.my_role().is_some() {
            // Refused only where this device is out already, or its quota is used up: then it goes without a goodbye.
            if let Err(error) = self.room_leave(room).await {
                tracing::info!(code = error.code.as_str(), "the room is deleted without a goodbye");
            }
        }
        self.store.commit(Batch::new().delete_room(&room)).await?;
        self.leave_session(room);
        self.forget_files(room).await;
        self.links.close_room(room);
        self.board_close(room);
        self.rooms.remove(&room);
        self.dirty.remove(&room);
        self.share_secrets();
        self.review_wanted().await;
        self.publish(Event::RoomRemoved { room });
        Ok(Reply::Done {})
    }

    pub(super) async fn profile_rename(&mut self, name: &str) -> Result<Reply, CommandError> {
        self.me.rename(name, &self.store).await?;
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room in rooms {
            let now = self.now_ms();
            let Ok(entry) = self.entry(room) else { continue };
            match entry.room.rename_me(name, now) {
                Ok(applied) => self.settle(room, applied, None, Batch::new()).await?,
                // A room that this device has left keeps the old name.
                Err(Refusal::NotMember) => {}
                Err(refusal) => return Err(refused(refusal)),
            }
        }
        let profile = self.me.view();
        self.publish(Event::ProfileChanged { profile: profile.clone() });
        Ok(Reply::Profile { profile })
    }

    /// What an act or a peer did to a room: to disk, then to the other members, then to whoever listens.
    pub(super) async fn settle(
        &mut self,
        room: RoomId,
        applied: Applied,
        from: Option<LinkId>,
        extra: Batch,
    ) -> Result<(), CommandError> {
        let Applied { records, changes, refused } = applied;
        if refused.hostile() > 0 {
            tracing::debug!(?refused, "operations were not taken");
        }
        let now_ms = self.now_ms();
        let who_belongs = records.iter().any(|record| matches!(record, Record::Acl(_)));
        let pinned = self.rooms.get_mut(&room).filter(|_| who_belongs).map(|entry| entry.pin_members(now_ms));
        let batch = to_disk(room, &records).then(pinned.unwrap_or_default()).then(extra);
        if let Err(error) = self.store.commit(batch).await {
            // The machine holds what the disk does not: it is brought back to what the disk has, so that nothing of it is sent.
            self.reload(room).await;
            self.board_reopen(room);
            return Err(error.into());
        }
        let mut goodbyes = Vec::new();
        for change in &changes {
            if let RoomChange::MemberGone { device, .. } = change {
                goodbyes.push(*device);
            }
        }
        self.send_records(room, &records, from);
        for change in changes {
            self.handle_room_change(room, change).await;
        }
        for device in goodbyes {
            self.cut_off(room, device).await;
        }
        if who_belongs {
            self.review_blocked(room);
        }
        Ok(())
    }

    async fn reload(&mut self, room: RoomId) {
        let Ok(me) = self.me.in_rooms() else { return };
        match self.store.read(move |store| super::load_room(store, room)).await {
            Ok(loaded) => match Room::load(me, room, loaded.records, self.incarnation) {
                Ok(fresh) => {
                    if let Some(entry) = self.rooms.get_mut(&room) {
                        entry.room = fresh;
                        entry.pins = loaded.pins;
                    }
                }
                Err(error) => tracing::error!(%error, "a room could not be read back"),
            },
            Err(error) => tracing::error!(%error, "a room could not be read back"),
        }
    }

    fn send_records(&mut self, room: RoomId, records: &[Record], except: Option<LinkId>) {
        if records.is_empty() {
            return;
        }
        let (mut acl, mut ops, mut proofs) = (Vec::new(), Vec::new(), Vec::new());
        for record in records {
            match record {
                Record::Acl(signed) => acl.push(signed.clone()),
                Record::Op(signed) => ops.push(signed.clone()),
                Record::Equivocation(proof) => proofs.push(RoomFrame::Proof(proof.clone()).encode()),
                Record::List(signed) => proofs.push(RoomFrame::Lists(vec![signed.clone()]).encode()),
            }
        }
        let encode = |frame: fn(Vec<Signed>) -> RoomFrame, ops| -> Vec<Vec<u8>> {
            batches(ops).into_iter().map(move |batch| frame(batch).encode()).collect()
        };
        let who_belongs = encode(RoomFrame::AclOps, acl.clone());
        let Some(entry) = self.rooms.get(&room) else { return };
        let history = encode(RoomFrame::Ops, ops.clone());
        for link in self.links.of_room(room, StreamName::Room).filter(|link| Some(link.id) != except) {
            if entry.room.withholds_from(&link.key.device, &link.proved_by) {
                continue;
            }
            if !entry.room.acl().is_member(&link.key.device) {
                // Someone who was just revoked is still told so, and told nothing else.
                let theirs = acl.iter().filter(|op| entry.room.may_learn(&link.key.device, &op.hash())).cloned().collect();
                encode(RoomFrame::AclOps, theirs).into_iter().for_each(|frame| link.send(frame));
                continue;
            }
            who_belongs.iter().for_each(|frame| link.send(frame.clone()));
            proofs.iter().for_each(|frame| link.send(frame.clone()));
            if entry.room.acl().full_history() {
                history.iter().for_each(|frame| link.send(frame.clone()));
            } else {
                let readable = ops.iter().filter(|op| entry.room.may_read(&link.key.device, &op.hash())).cloned();
                encode(RoomFrame::Ops, readable.collect()).into_iter().for_each(|frame| link.send(frame));
            }
        }
    }

    async fn handle_room_change(&mut self, room: RoomId, change: RoomChange) {
        self.dirty.insert(room);
        let name = |driver: &Self, device: &DeviceId| {
            driver.rooms.get(&room).and_then(|entry| entry.room.acl().name_of(device)).unwrap_or_default().to_owned()
        };
        match change {
            RoomChange::MemberJoined(device) => {
                let name = name(self, &device);
                self.publish(Event::MemberJoined { room, device, name });
                self.greet_member(room, device);
                self.reach_members(room).await;
            }
            RoomChange::MemberGone { device, .. } => {
                let name = name(self, &device);
                self.publish(Event::MemberRevoked { room, device, name });
                if device == self.me.device.id() {
                    self.leave_call_of(room);
                }
                self.review_wanted().await;
            }
            RoomChange::AclChanged => {
                self.files.review(room);
                self.session_acl_changed(room);
                self.review_door(room).await;
            }
            RoomChange::SecretsChanged => self.share_secrets(),
            // Whoever is in other rooms too is told there by this device.
            RoomChange::ListChanged(account) => Box::pin(self.pass_list_on(room, account)).await,
            RoomChange::Frozen(device) => self.publish(Event::MemberEquivocated { room, device }),
            RoomChange::Message { id, after, at_end } => {
                self.publish_message(room, id, after, true);
                if !at_end {
                    self.publish(Event::ChatReordered { room });
                }
            }
            RoomChange::MessageChanged(id) => self.publish_message(room, id, None, false),
            RoomChange::Reordered => {
                self.files.review(room);
                self.publish(Event::ChatReordered { room });
                self.board_reopen(room);
            }
            RoomChange::Operation { id, kind: board::kind::CHANGES } => self.board_operation(room, &id),
            RoomChange::Operation { kind, .. } => self.note_file_operation(room, kind),
        }
    }

    /// A room stream stands: first the two compare who belongs to the room.
    pub(super) fn greet(&mut self, link: LinkId) {
        let Some(found) = self.links.get(link) else { return };
        let Some(entry) = self.rooms.get(&found.key.room) else { return };
        // Whoever proves an old secret and is not known may have been removed under another key: it is asked for everything it has, and
        // told nothing.
        let withheld = entry.room.withholds_from(&found.key.device, &found.proved_by);
        let heads = if withheld { Vec::new() } else { entry.room.acl_heads_for(&found.key.device) };
        found.send(RoomFrame::AclHeads(heads).encode());
    }

    /// A frame of a room stream.
    pub(super) async fn handle_room_frame(&mut self, link: LinkId, frame: &[u8]) {
        let Some(found) = self.links.get(link) else { return };
        let (room, device) = (found.key.room, found.key.device);
        let frame = match RoomFrame::decode(frame) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::debug!(%error, "a frame of a room stream cannot be read");
                self.links.close(link);
                return;
            }
        };
        let Some(entry) = self.rooms.get_mut(&room) else { return };
        let member = entry.room.acl().is_member(&device);
        match frame {
            RoomFrame::AclHeads(heads) => {
                if !entry.room.withholds_from(&device, &found.proved_by) {
                    for batch in entry.room.acl_answer(&device, &heads) {
                        found.send(RoomFrame::AclOps(batch).encode());
                    }
                }
                let lacks = entry.room.acl_lacks(&heads);
                if let Some(found) = self.links.get_mut(link) {
                    found.announced = heads;
                }
                if !lacks {
                    self.judge_membership(link);
                }
            }
            RoomFrame::AclOps(ops) => {
                let applied = entry.room.handle_acl_ops(ops);
                let fresh = !applied.records.is_empty();
                self.settle_from_peer(room, applied, link).await;
                if fresh {
                    self.go_on_comparing(link, member);
                }
                self.judge_membership(link);
            }
            // History is for members: to this machine's knowledge, and at this moment.
            RoomFrame::Summary(summary) if member => {
                let ops = entry.room.ops_missing(&device, &summary, MAX_BATCH_BYTES);
                for batch in batches(ops) {
                    found.send(RoomFrame::Ops(batch).encode());
                }
            }
            RoomFrame::Ops(ops) if member => {
                // A batch this large was cut: there is more where it came from.
                let cut = ops.iter().map(Signed::wire_len).sum::<usize>() > MAX_BATCH_BYTES / 2 || ops.len() > MAX_BATCH_OPS / 2;
                let applied = entry.room.handle_ops(ops);
                let fresh = !applied.records.is_empty();
                self.settle_from_peer(room, applied, link).await;
                if let Some(entry) = self.rooms.get(&room)
                    && let Some(found) = self.links.get_mut(link)
                    && (cut && fresh || entry.room.wants_more() && found.may_ask())
                {
                    found.send(RoomFrame::AclHeads(entry.room.acl_heads()).encode());
                    found.send(RoomFrame::Summary(entry.room.summary()).encode());
                }
            }
            RoomFrame::Proof(proof) if member => {
                let applied = entry.room.handle_proof(*proof);
                self.settle_from_peer(room, applied, link).await;
            }
            RoomFrame::Lists(entries) if member => {
                let applied = entry.room.handle_lists(entries);
                self.settle_from_peer(room, applied, link).await;
            }
            RoomFrame::Summary(_) | RoomFrame::Ops(_) | RoomFrame::Proof(_) | RoomFrame::Lists(_) => {
                tracing::debug!("a device that is no member sent what only members may");
            }
            RoomFrame::Unknown(kind) => tracing::debug!(kind, "a frame from a newer version"),
        }
    }

    /// Something new of the ACL log came by this link: what else was announced there is asked for, and a device that turned out to be a
    /// member gets what it could not be given before.
    fn go_on_comparing(&self, link: LinkId, was_member: bool) {
        let Some(found) = self.links.get(link) else { return };
        let Some(entry) = self.rooms.get(&found.key.room) else { return };
        let device = &found.key.device;
        if entry.room.acl_lacks(&found.announced) && !entry.room.withholds_from(device, &found.proved_by) {
            found.send(RoomFrame::AclHeads(entry.room.acl_heads_for(device)).encode());
        }
        if !was_member && entry.room.acl().is_member(device) {
            for batch in entry.room.acl_answer(device, &found.announced) {
                found.send(RoomFrame::AclOps(batch).encode());
            }
        }
    }

    async fn settle_from_peer(&mut self, room: RoomId, applied: Applied, link: LinkId) {
        if self.links.count_hostile(link, applied.refused.hostile()) {
            tracing::info!("a member's stream carried more than an honest one could; it is closed");
            self.links.close(link);
        }
        if let Err(error) = self.settle(room, applied, Some(link), Batch::new()).await {
            self.publish(Event::Problem { error: error.into() });
        }
    }

    /// The ACL logs agree as far as this side knows: is the other a member? Then its history is asked for; otherwise the link has
    /// told it all it may know.
    fn judge_membership(&mut self, link: LinkId) {
        let Some(found) = self.links.get(link) else { return };
        let Some(entry) = self.rooms.get(&found.key.room) else { return };
        if entry.room.acl().is_member(&found.key.device) {
            let (key, summary) = (found.key, entry.room.summary());
            let proofs: Vec<_> = entry.room.proofs().cloned().collect();
            let lists: Vec<_> = entry.room.lists().cloned().collect();
            if self.links.admit(link) {
                let Some(found) = self.links.get(link) else { return };
                found.send(RoomFrame::Summary(summary).encode());
                for proof in proofs {
                    found.send(RoomFrame::Proof(Box::new(proof)).encode());
                }
                for part in lists.chunks(MAX_LISTS) {
                    found.send(RoomFrame::Lists(part.to_vec()).encode());
                }
                self.dirty.insert(key.room);
                self.publish(Event::MemberOnline { room: key.room, device: key.device, online: true });
                self.reach_for_files(key.room);
            }
        }
    }

    /// A device that is no member any more: nothing of the room reaches it from here on.
    async fn cut_off(&mut self, room: RoomId, device: DeviceId) {
        self.drop_participant(room, device);
        // What was queued before (the revocation itself) is still written; then the streams end.
        self.links.close_device_in(room, device);
        self.dirty.insert(room);
    }

    /// The room as a person sees it.
    pub(super) fn room_view(&self, room: RoomId) -> Result<RoomView, CommandError> {
        let entry = self
            .rooms
            .get(&room)
            .ok_or_else(|| CommandError::new(ErrorCode::UnknownRoom, "There is no such room on this device."))?;
        let (acl, me) = (entry.room.acl(), entry.room.me());
        let mut members: Vec<MemberView> = acl
            .roster()
            .map(|member| MemberView {
                device: member.device,
                account: member.account,
                name: member.name.clone(),
                role: member.role.into(),
                online: self.links.is_online(room, member.device),
                me: member.device == me,
                frozen: entry.room.is_frozen(&member.device),
                verified_ms: self.verification.marks().since(&member.account),
                key_changed: self.is_key_changed(room, &member.device),
            })
            .collect();
        members.sort_by(|a, b| {
            b.me.cmp(&a.me).then_with(|| a.name.to_lowercase().cmp(&b.name.to_lowercase())).then(a.device.cmp(&b.device))
        });
        let invites = self.open_invites(room);
        let unread: Vec<_> = entry.read.unread(entry.room.chat(), &me).collect();
        Ok(RoomView {
            room,
            name: acl.name().to_owned(),
            approval: acl.approval(),
            full_history: acl.full_history(),
            my_role: entry.room.my_role().unwrap_or(Role::Viewer).into(),
            gone: entry.room.my_role().is_none(),
            members,
            knocks: self.joins.knocks(room),
            unread: u32::try_from(unread.len()).unwrap_or(u32::MAX),
            mentions: unread.iter().filter(|message| message.mentions().contains(&me)).count().try_into().unwrap_or(u32::MAX),
            last_message: entry.room.chat().last().map(|message| entry.message_view(message)),
            call: self.room_call(room).map(|(call, people)| RoomCallView { call, people }),
            session: entry.session_view(),
            call_code: entry.code.view(),
            invites,
        })
    }

    pub(super) fn room_views(&self) -> Vec<RoomView> {
        let mut views: Vec<RoomView> = self.rooms.keys().filter_map(|room| self.room_view(*room).ok()).collect();
        views.sort_by(|a, b| a.name.to_lowercase().cmp(&b.name.to_lowercase()).then(a.room.cmp(&b.room)));
        views
    }
}

/// Records as the store keeps them.
pub(super) fn to_disk(room: RoomId, records: &[Record]) -> Batch {
    records.iter().fold(Batch::new(), |batch, record| batch.record(&room, &record.key(), &record.encode()))
}
