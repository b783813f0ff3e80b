//! The devices of this device's person: which there are, taking one in, taking one out, and a backup of the person's key. A list is on
//! disk before anybody is told of it.

use conclave_protocol::id::{AccountId, DeviceId, RoomId};
use conclave_protocol::linking::{self, LinkRequest, LinkingError};
use conclave_protocol::log::acl::Role;
use conclave_protocol::wire::Signed;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::Driver;
use super::rooms::RoomEntry;
use crate::backup;
use crate::command::Reply;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::store::Batch;
use crate::view::OwnDeviceView;

type Answer = oneshot::Sender<Result<Reply, CommandError>>;

impl Driver {
    pub(super) fn device_list(&self) -> Reply {
        let me = self.me.device.id();
        let head = self.me.list.head();
        let own_devices = head.devices.iter().map(|listed| OwnDeviceView { device: listed.device, me: listed.device == me });
        Reply::OwnDevices { own_devices: own_devices.collect(), version: head.version }
    }

    /// What an old device of this person is to read.
    pub(super) fn device_code(&self) -> Reply {
        Reply::Code { code: LinkRequest::new(&self.me.device).to_text() }
    }

    /// Takes a device in, and says what it is to read.
    pub(super) async fn device_add(&mut self, code: &str) -> Result<Reply, CommandError> {
        let request = LinkRequest::parse(code).map_err(bad_code)?;
        let mut list = self.me.list.clone();
        let answer = linking::answer(&request, &self.me.account, &mut list, &self.me.name, self.now_ms(), &mut super::rng());
        let answer = answer.map_err(bad_code)?;
        self.me.keep(None, list, &self.store).await?;
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.tell_own_list(room).await;
        }
        Ok(Reply::Code { code: answer.to_string() })
    }

    /// Becomes a device of the person who answered. Only where nothing belongs to the person that this device was before.
    pub(super) async fn device_accept(&mut self, code: &str) -> Result<Reply, CommandError> {
        if !self.rooms.is_empty() {
            let message =
                "This device belongs to rooms already, as another person. Delete them first, or use another data directory.";
            return Err(CommandError::new(ErrorCode::NotPermitted, message));
        }
        let linked = linking::accept(code, &self.me.device).map_err(bad_code)?;
        self.me.keep(Some((linked.account, linked.name)), linked.list, &self.store).await?;
        let profile = self.me.view();
        self.publish(Event::ProfileChanged { profile: profile.clone() });
        Ok(Reply::Profile { profile })
    }

    /// Takes a device out of the list, and out of every room in which this device may do that.
    pub(super) async fn device_remove(&mut self, device: DeviceId) -> Result<Reply, CommandError> {
        let mut list = self.me.list.clone();
        let mut devices = list.head().devices.clone();
        if device == self.me.device.id() {
            return Err(CommandError::new(ErrorCode::BadRequest, "A device cannot remove itself."));
        }
        let before = devices.len();
        devices.retain(|listed| listed.device != device);
        if devices.len() == before {
            return Err(CommandError::new(ErrorCode::UnknownDevice, "There is no such device in the list."));
        }
        let full = |_| CommandError::new(ErrorCode::Busy, "The list of devices has no place for another change.");
        list.extend(&self.me.account, devices, self.now_ms()).map_err(full)?;
        self.me.keep(None, list, &self.store).await?;
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.tell_own_list(room).await;
        }
        let governed = self
            .rooms
            .iter()
            .filter(|(_, entry)| entry.room.my_role() >= Some(Role::Admin) && entry.room.acl().is_member(&device));
        let rooms: Vec<_> = governed.map(|(room, _)| *room).collect();
        for room in rooms {
            // An admin senior to this device stays: its people decide.
            if let Err(error) = self.room_revoke(room, device).await {
                self.publish(Event::Problem { error: error.into() });
            }
        }
        Ok(self.device_list())
    }

    /// What this person's list of devices is by now, to the members of a room.
    pub(super) async fn tell_own_list(&mut self, room: RoomId) {
        let Some(head) = self.me.list.proof().cloned() else { return };
        self.take_list(room, head).await;
    }

    /// A newer entry of a person's list became known in one room: the others are told.
    pub(super) async fn pass_list_on(&mut self, from: RoomId, account: AccountId) {
        let Some(entry) = self.rooms.get(&from).and_then(|entry| entry.room.list_of(&account)).cloned() else { return };
        let shared = |entry: &RoomEntry| entry.room.acl().roster().any(|member| member.account == account);
        let rooms: Vec<RoomId> =
            self.rooms.iter().filter(|(room, entry)| **room != from && shared(entry)).map(|(room, _)| *room).collect();
        for room in rooms {
            self.take_list(room, entry.clone()).await;
        }
    }

    async fn take_list(&mut self, room: RoomId, entry: Signed) {
        let Ok(held) = self.entry(room) else { return };
        let applied = held.room.handle_lists(vec![entry]);
        if let Err(error) = Box::pin(self.settle(room, applied, None, Batch::new())).await {
            self.publish(Event::Problem { error: error.into() });
        }
    }

    /// Devices that their person took out of the list are removed by the most senior admin who is there.
    pub(super) async fn remove_withdrawn(&mut self) {
        let due: Vec<(RoomId, DeviceId)> = self
            .rooms
            .iter()
            .filter(|(room, entry)| self.is_most_senior_here(**room, entry))
            .flat_map(|(room, entry)| entry.room.to_remove().into_iter().map(move |device| (*room, device)))
            .collect();
        for (room, device) in due {
            // Where the log has no place for it, somebody else or a later turn may.
            if let Err(error) = self.room_revoke(room, device).await {
                tracing::debug!(%error, "a device that its person withdrew could not be removed");
            }
        }
    }

    /// Answers when it is sealed, which takes a second beside the loop.
    pub(super) fn identity_export(&self, passphrase: String, answer: Answer) {
        let account = conclave_protocol::identity::AccountKey::from_seed(&self.me.account.seed());
        let (name, list, passphrase) = (self.me.name.clone(), self.me.list.clone(), Zeroizing::new(passphrase));
        tokio::task::spawn_blocking(move || {
            let sealed = backup::seal(&account, &name, &list, passphrase);
            let reply = sealed.map(|sealed| Reply::Backup { backup: data_encoding::BASE64.encode(&sealed) });
            // Whoever asked may have gone.
            let _ = answer.send(reply.map_err(|error| CommandError::new(ErrorCode::BadRequest, format!("No backup: {error}."))));
        });
    }
}

impl super::identity::Me {
    /// Another list, and for whoever was linked another person: on disk first.
    async fn keep(
        &mut self,
        person: Option<(conclave_protocol::identity::AccountKey, String)>,
        list: conclave_protocol::identity::DeviceList,
        store: &crate::store::StoreHandle,
    ) -> Result<(), CommandError> {
        let mut row = self.row();
        row.device_list = list.chain().to_vec();
        if let Some((account, name)) = &person {
            row.account_seed = *account.seed();
            row.name.clone_from(name);
        }
        store.commit(Batch::new().identity(&row)).await?;
        self.list = list;
        if let Some((account, name)) = person {
            (self.account, self.name) = (account, name);
        }
        Ok(())
    }
}

fn bad_code(error: LinkingError) -> CommandError {
    let (code, message) = match error {
        LinkingError::NotACode => (ErrorCode::LinkInvalid, "This is not the code of a device."),
        LinkingError::Damaged => (ErrorCode::LinkDamaged, "The code is damaged: copy or scan it again."),
        LinkingError::OtherDevice => (ErrorCode::CodeMismatch, "The code is for another device."),
        LinkingError::Linked => (ErrorCode::AlreadyMember, "The device is one of yours already."),
        LinkingError::Full => (ErrorCode::Busy, "There is no place for another device: remove one first."),
    };
    CommandError::new(code, message)
}
