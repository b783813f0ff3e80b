//! The ACL log as a presence session asks for it. It must never judge by more than the heads it is given.

use crate::id::{DeviceId, OpHash};
use crate::log::acl::MAX_PARENTS;
use crate::log::authority::View;
use crate::log::bits::Bits;
use crate::room::Room;
use crate::session::Acl;

impl Acl for Room {
    fn heads(&self) -> Vec<OpHash> {
        self.acl_log.heads_over(self.authority.tips(), [], MAX_PARENTS)
    }

    fn knows(&self, heads: &[OpHash]) -> bool {
        heads.iter().all(|head| self.acl_log.index_of(head).is_some())
    }

    fn covers(&self, heads: &[OpHash], older: &[OpHash]) -> bool {
        let view = self.under(heads);
        older.iter().all(|head| self.acl_log.index_of(head).is_some_and(|index| view.contains(index)))
    }

    fn are_members_at(&self, devices: &[DeviceId], heads: &[OpHash]) -> bool {
        let view = self.under(heads);
        self.knows(heads) && devices.iter().all(|device| self.authority.role_in(&self.acl_log, device, View::Of(&view)).is_some())
    }

    fn is_member(&self, device: &DeviceId) -> bool {
        self.acl.is_member(device)
    }

    fn rank(&self, device: &DeviceId) -> Option<usize> {
        self.authority.rank(device)
    }

    fn is_only_member(&self) -> bool {
        self.acl.roster().all(|member| member.device == self.me())
    }
}

impl Room {
    /// Everything that these heads stand for, as far as it is known.
    fn under(&self, heads: &[OpHash]) -> Bits {
        let heads: Vec<usize> = heads.iter().filter_map(|head| self.acl_log.index_of(head)).collect();
        self.acl_log.view(&heads)
    }
}
