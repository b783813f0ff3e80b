//! What lies in the past of a change: everything known but what is concurrent with it, which is little.

use std::collections::{BTreeMap, HashSet};

use crate::schema::guard::{Guard, OpRef};

/// The past of a change, itself left out.
pub(super) struct Past {
    /// Known changes that are not in it.
    concurrent: HashSet<u32>,
}

impl Past {
    pub(super) fn holds(&self, node: u32) -> bool {
        !self.concurrent.contains(&node)
    }
}

impl Guard {
    /// The past of a change with these dependencies, found in as many steps as there are changes concurrent with it, and a few more.
    pub(super) fn past(&self, deps: &[u32]) -> Past {
        let mut concurrent = HashSet::new();
        // What is left to look at, and whether it is in the past. Every change lies after all it builds on.
        let mut queue: BTreeMap<u32, bool> = self.heads.iter().map(|head| (*head, false)).collect();
        let mut undecided = queue.len();
        for dep in deps {
            if queue.insert(*dep, true) == Some(false) {
                undecided -= 1;
            }
        }
        while undecided > 0
            && let Some((place, past)) = queue.pop_last()
        {
            if !past {
                undecided -= 1;
                concurrent.insert(place);
            }
            for parent in self.nodes.get(place as usize).iter().flat_map(|node| &node.deps) {
                match queue.get_mut(parent) {
                    None => {
                        queue.insert(*parent, past);
                        undecided += usize::from(!past);
                    }
                    Some(known) if past && !*known => {
                        *known = true;
                        undecided -= 1;
                    }
                    Some(_) => {}
                }
            }
        }
        Past { concurrent }
    }

    /// The change an operation belongs to.
    pub(super) fn node_of(&self, op: OpRef) -> Option<u32> {
        let chain = self.chains.get(op.actor as usize)?;
        let start = |place: &u32| self.nodes.get(*place as usize).map_or(u64::MAX, |node| node.start);
        let after = chain.partition_point(|place| start(place) <= op.counter);
        let place = *chain.get(after.checked_sub(1)?)?;
        (op.counter <= self.nodes.get(place as usize)?.max).then_some(place)
    }
}
