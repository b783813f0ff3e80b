//! Invitations: what a link says, and where it says that somebody is found.

use conclave_protocol::id::RoomId;
use conclave_protocol::link::{AddressHint, Link, MAX_HINTS};
use conclave_protocol::log::acl::{MAX_INVITE_USES, Role};
use conclave_protocol::room::InviteSpec;
use zeroize::Zeroizing;

use crate::command::Reply;
use crate::driver::rooms::refused;
use crate::driver::{Driver, net_refused, rng};
use crate::error::{CommandError, ErrorCode};
use crate::store::Batch;
use crate::view::{InviteView, OpenInviteView};

/// What of this device's own addresses a link carries, so that others of the room fit beside them.
const OWN_HINTS: usize = 5;

/// Most invitations of a room that are shown.
const MAX_SHOWN: usize = 64;

/// Expiry of an invitation, in seconds.
const EXPIRES_S: std::ops::RangeInclusive<u64> = 60..=30 * 86_400;

impl Driver {
    pub(in crate::driver) async fn room_invite(
        &mut self,
        room: RoomId,
        role: Role,
        uses: u32,
        expires_s: u64,
        approval: Option<bool>,
    ) -> Result<Reply, CommandError> {
        if !EXPIRES_S.contains(&expires_s) {
            return Err(CommandError::new(ErrorCode::BadRequest, "A link is valid for at least a minute and at most 30 days."));
        }
        if !(1..=MAX_INVITE_USES).contains(&uses) {
            return Err(CommandError::new(ErrorCode::BadRequest, format!("A link admits 1 to {MAX_INVITE_USES} people.")));
        }
        if role == Role::Owner {
            return Err(CommandError::new(ErrorCode::BadRequest, "Nobody can be invited as the owner of a room."));
        }
        let listening = self.net.listening().await.map_err(net_refused)?;
        let now = self.now_ms();
        let mut seed = Zeroizing::new([0; 32]);
        {
            use rand_core::Rng;
            rng().fill_bytes(seed.as_mut());
        }
        let expires_ms = now + expires_s * 1000;
        let hints = self.hints(room, &listening);
        let (inviter, admin) = (self.me.device.id(), self.me.account.id());
        let entry = self.entry(room)?;
        let secret = entry.room.acl().secrets().last().cloned().unwrap_or_default();
        let link = Link {
            room,
            room_name: entry.room.acl().name().to_owned(),
            // It finds the door and nothing else: whoever holds it cannot tell the secret it was made of.
            topic_key: blake3::derive_key("conclave 2026 knock topic v1", secret.as_ref()),
            inviter,
            admin,
            invite_seed: seed,
            expires_ms,
            hints,
        };
        let approval = approval.unwrap_or(entry.room.acl().approval());
        let spec = InviteSpec { key: link.invite_key(), expires_ms, uses, role, approval };
        let applied = entry.room.invite(spec, now).map_err(refused)?;
        self.settle(room, applied, None, Batch::new()).await?;
        let link = link.to_text().to_string();
        Ok(Reply::Invite { invite: InviteView { room, link, expires_ms, uses, role: role.into() } })
    }

    /// The invitations of a room that still let people in, the newest first; only admins see any.
    pub(in crate::driver) fn open_invites(&self, room: RoomId) -> Vec<OpenInviteView> {
        let Some(entry) = self.rooms.get(&room).filter(|entry| entry.room.my_role() >= Some(Role::Admin)) else {
            return Vec::new();
        };
        let (acl, now) = (entry.room.acl(), self.now_ms());
        let open = acl.invites().filter(|invite| invite.open && invite.used < invite.uses && invite.expires_ms > now);
        let mut views: Vec<OpenInviteView> = open
            .map(|invite| OpenInviteView {
                invite: invite.hash,
                by: invite.issuer,
                by_name: acl.name_of(&invite.issuer).unwrap_or_default().to_owned(),
                expires_ms: invite.expires_ms,
                uses: invite.uses,
                used: invite.used,
                role: invite.role.into(),
                approval: invite.approval,
            })
            .collect();
        views.sort_by_key(|view| (std::cmp::Reverse(view.expires_ms), view.invite));
        views.truncate(MAX_SHOWN);
        views
    }

    /// Where this device and the room's other admins may be found.
    pub(super) fn hints(&self, room: RoomId, listening: &[String]) -> Vec<AddressHint> {
        let me = self.me.device.id();
        let mut own: Vec<&String> = listening.iter().collect();
        // Loopback helps only where there is nothing else, or on this very machine: it goes last.
        own.sort_by_key(|address| (address.contains("/127.") || address.contains("/::1/"), address.contains("/ip6/")));
        let mut hints: Vec<AddressHint> =
            own.into_iter().take(OWN_HINTS).map(|address| AddressHint { device: me, address: address.clone() }).collect();
        let admins = self
            .rooms
            .get(&room)
            .into_iter()
            .flat_map(|entry| entry.room.acl().roster().filter(|member| member.role >= Role::Admin));
        for member in admins.filter(|member| member.device != me) {
            if let Some(address) = self.addresses.get(&member.device).and_then(|addresses| addresses.first()) {
                hints.push(AddressHint { device: member.device, address: address.clone() });
            }
        }
        hints.truncate(MAX_HINTS);
        hints
    }
}
