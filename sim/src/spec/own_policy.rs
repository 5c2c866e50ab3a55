//! A scheduling policy that is not one of ours.

use super::{KvSpec, SchedulerSpec};
use crate::scheduler::Scheduler;

/// How a policy of the caller's is made, so that one can be tried without touching this crate
/// (`examples/own_scheduler.rs`).
///
/// The engine takes every prompt to be splittable over steps, and reserves nothing beyond what the policy asks for.
#[derive(Clone, Copy, Debug)]
pub struct OwnPolicy {
    /// What it is called; two of the same name count as the same.
    pub name: &'static str,
    /// Makes one for a replica, from its scheduler, its KV cache and the number of layers of its model.
    pub make: fn(&SchedulerSpec, &KvSpec, u32) -> Box<dyn Scheduler>,
}

impl PartialEq for OwnPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OwnPolicy {}
