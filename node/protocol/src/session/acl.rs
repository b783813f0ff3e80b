//! What a session asks of the room's ACL log. It never asks for more, so that a test can stand in for it.

use crate::id::{DeviceId, OpHash};

/// The ACL log as it is known here. *Heads* are a set of operations that stands for everything they build on, at most
/// [`crate::log::acl::MAX_PARENTS`].
pub trait Acl {
    /// What to judge an act of now by: covers every operation that counts here.
    fn heads(&self) -> Vec<OpHash>;
    /// All of these operations are known here, and so is what they build on.
    fn knows(&self, heads: &[OpHash]) -> bool;
    /// Everything under `older` is under `heads` too. False where something is unknown.
    fn covers(&self, heads: &[OpHash], older: &[OpHash]) -> bool;
    /// Each of the devices belongs to the room as these heads tell it.
    fn are_members_at(&self, devices: &[DeviceId], heads: &[OpHash]) -> bool;
    /// Belongs to the room, as far as is known.
    fn is_member(&self, device: &DeviceId) -> bool;
    /// Its place in the order of admission; a lower number is senior. Never changes while the device is a member.
    fn rank(&self, device: &DeviceId) -> Option<usize>;
    /// Nobody else belongs to the room: there is no session of others to wait for.
    fn is_only_member(&self) -> bool {
        false
    }
}
