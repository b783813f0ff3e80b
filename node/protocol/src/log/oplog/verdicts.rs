//! What of the op log counts: quotas, cuts, frozen authors, and what others built on. A verdict must never depend on the order of arrival.

use std::collections::VecDeque;

use crate::log::acl::Revoke;
use crate::log::oplog::{OpLog, OpNode, Rules, Verdicts};
use crate::log::{MAX_BYTES_PER_AUTHOR, MAX_OPS_PER_MINUTE};

impl OpLog {
    /// Judges what is new, or everything where that is necessary.
    pub(crate) fn settle(&mut self, rules: Rules<'_>) -> Verdicts {
        let unjudged = std::mem::take(&mut self.unjudged);
        let mut verdicts = Verdicts::default();
        if !self.stale {
            for index in unjudged {
                if self.stands(index, rules) {
                    self.mark_valid(index, &mut verdicts.newly_valid);
                }
            }
            return verdicts;
        }
        self.stale = false;
        let before: Vec<bool> = self.nodes.iter().map(|node| node.valid).collect();
        self.judge_quotas();
        self.frontier.clear();
        for node in &mut self.nodes {
            node.valid = false;
            node.valid_children = 0;
        }
        let mut valid = Vec::new();
        for index in 0..self.nodes.len() {
            if self.stands(index, rules) {
                self.mark_valid(index, &mut valid);
            }
        }
        verdicts.newly_valid = valid.into_iter().filter(|index| !before.get(*index).copied().unwrap_or(false)).collect();
        verdicts.newly_void = self.nodes.iter().zip(before).any(|(node, was)| was && !node.valid);
        verdicts
    }

    /// Over the whole log: who was over the quota when, by their own clocks, and what they built on it.
    fn judge_quotas(&mut self) {
        for ledger in self.ledgers.values() {
            let mut window: VecDeque<u64> = VecDeque::new();
            let mut bytes = 0;
            for ((time_ms, ..), index) in &ledger.entries {
                while window.front().is_some_and(|first| first + 60_000 <= *time_ms) {
                    window.pop_front();
                }
                window.push_back(*time_ms);
                let Some(node) = self.nodes.get_mut(*index) else { continue };
                bytes += node.signed.payload.len() as u64;
                node.over_quota = window.len() > MAX_OPS_PER_MINUTE || bytes > MAX_BYTES_PER_AUTHOR;
            }
        }
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|index| self.nodes.get(*index).map(OpNode::key));
        for index in order {
            let Some(node) = self.nodes.get(index) else { continue };
            let device = node.op.id.device;
            let over = node
                .parents()
                .any(|hash| self.get(hash).is_some_and(|parent| parent.op.id.device == device && parent.over_quota));
            if over && let Some(node) = self.nodes.get_mut(index) {
                node.over_quota = true;
            }
        }
    }

    /// Counts by itself, whatever builds on it.
    fn stands(&self, index: usize, rules: Rules<'_>) -> bool {
        let Some(node) = self.node(index) else { return false };
        !node.over_quota
            && !self.is_frozen(&node.op.id.device)
            && rules.authority.may_write(rules.acl, &node.op.id.device, &node.view, |revoke| is_inside(revoke, node))
    }

    /// It counts, and with it all that it builds on.
    fn mark_valid(&mut self, index: usize, newly: &mut Vec<usize>) {
        let mut stack = vec![index];
        while let Some(index) = stack.pop() {
            let Some(node) = self.nodes.get_mut(index).filter(|node| !node.valid) else { continue };
            node.valid = true;
            newly.push(index);
            if node.valid_children == 0 {
                self.frontier.insert(index);
            }
            let parents: Vec<usize> = self
                .nodes
                .get(index)
                .into_iter()
                .flat_map(OpNode::parents)
                .filter_map(|hash| self.index.get(hash).copied())
                .collect();
            for parent in parents {
                self.frontier.remove(&parent);
                if let Some(node) = self.nodes.get_mut(parent) {
                    node.valid_children += 1;
                    if !node.valid {
                        stack.push(parent);
                    }
                }
            }
        }
    }
}

fn is_inside(revoke: &Revoke, node: &OpNode) -> bool {
    let id = node.op.id;
    revoke
        .op_cuts
        .iter()
        .find(|cut| cut.incarnation == id.incarnation)
        .is_some_and(|cut| id.seq < cut.seq || (id.seq == cut.seq && node.hash == cut.hash))
}
