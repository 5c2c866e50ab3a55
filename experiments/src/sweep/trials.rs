//! Windows of systems that are compared: where all that stand at a point are steady.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::resolve::Setting;
use crate::failure::Failure;
use crate::run::{Measured, Trial, common, window};

/// A run of a system, by its address, under a seed: made once, however many points and systems are measured by it; `None` of one
/// that fails.
type Made = Arc<OnceLock<Option<Trial>>>;

/// Runs that tell where systems become steady.
#[derive(Default)]
pub(super) struct Trials(Mutex<BTreeMap<(String, u64), Made>>);

impl Trials {
    /// The window in which a system is measured under a seed.
    ///
    /// It does not depend on which runs were made before, in this process or another: all that stand at the point are in the
    /// address of the run.
    ///
    /// # Errors
    /// A run that fails; not one of a system that it is to be compared with, which then has no say.
    pub(super) fn window(&self, setting: &Setting, seed: u64) -> Result<Measured, Failure> {
        let Some(own) = setting.beside.iter().position(|(_, system)| system.name == setting.system.name) else {
            return window(setting.conditions.measuring, &setting.workload, &setting.system, seed);
        };
        // Its own first, so that threads that run several systems of a point do not wait for each other.
        self.trial(setting, own, seed);
        let trials: Vec<(usize, Trial)> =
            (0..setting.beside.len()).filter_map(|place| Some((place, self.trial(setting, place, seed)?))).collect();
        let named: Vec<(&str, Trial)> =
            trials.iter().map(|(place, trial)| (setting.beside[*place].1.name.as_str(), *trial)).collect();
        let windows = common(&named, seed);
        let found = trials.iter().zip(windows).find(|((place, _), _)| *place == own);
        // If its own fails, so does what is to be measured.
        Ok(found.map_or((None, None), |(_, measured)| measured))
    }

    fn trial(&self, setting: &Setting, place: usize, seed: u64) -> Option<Trial> {
        let (address, system) = &setting.beside[place];
        let made = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry((address.clone(), seed)).or_default())
        };
        *made.get_or_init(|| Trial::of(&setting.workload, system, seed).ok())
    }
}
