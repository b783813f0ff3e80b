//! An ACL log that is a list: each operation builds on the one before, and a node knows it up to some place.

use std::sync::Arc;

use conclave_protocol::id::{DeviceId, OpHash};
use conclave_protocol::session::Acl;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclOp {
    Admit(DeviceId),
    Revoke(DeviceId),
}

/// The ACL log up to where someone knows it: each operation builds on the one before.
#[derive(Debug, Clone)]
pub struct TestAcl {
    pub ops: Arc<Vec<AclOp>>,
    pub known: usize,
    /// A device whose revocation is known here and not heeded.
    pub ignores: Option<DeviceId>,
}

impl TestAcl {
    pub fn hash(index: usize) -> OpHash {
        let mut hash = [0xac; 32];
        hash[..8].copy_from_slice(&(index as u64).to_be_bytes());
        OpHash(hash)
    }

    fn index(head: &OpHash) -> Option<usize> {
        let (index, rest) = head.0.split_at(8);
        rest.iter().all(|byte| *byte == 0xac).then(|| u64::from_be_bytes(index.try_into().unwrap()) as usize)
    }

    fn reach(heads: &[OpHash]) -> Option<usize> {
        heads.iter().map(|head| Self::index(head).map(|index| index + 1)).try_fold(0, |most, index| Some(most.max(index?)))
    }

    fn is_member_under(&self, device: &DeviceId, reach: usize) -> bool {
        let about = self.ops[..reach.min(self.ops.len())].iter().rev();
        let mut about = about.filter(|op| match op {
            AclOp::Admit(other) => other == device,
            AclOp::Revoke(other) => other == device && self.ignores != Some(*other),
        });
        matches!(about.next(), Some(AclOp::Admit(_)))
    }
}

impl Acl for TestAcl {
    fn heads(&self) -> Vec<OpHash> {
        vec![Self::hash(self.known - 1)]
    }

    fn knows(&self, heads: &[OpHash]) -> bool {
        Self::reach(heads).is_some_and(|reach| reach <= self.known)
    }

    fn covers(&self, heads: &[OpHash], older: &[OpHash]) -> bool {
        self.knows(heads) && self.knows(older) && Self::reach(heads) >= Self::reach(older)
    }

    fn are_members_at(&self, devices: &[DeviceId], heads: &[OpHash]) -> bool {
        self.knows(heads) && devices.iter().all(|device| self.is_member_under(device, Self::reach(heads).unwrap_or(0)))
    }

    fn is_member(&self, device: &DeviceId) -> bool {
        self.is_member_under(device, self.known)
    }

    fn rank(&self, device: &DeviceId) -> Option<usize> {
        self.ops[..self.known].iter().position(|op| *op == AclOp::Admit(*device))
    }
}
