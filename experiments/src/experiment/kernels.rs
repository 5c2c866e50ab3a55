//! What was measured on a system's device.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use profiles::DeviceSpec;
use profiles::kernels::Kernels;

use crate::diagnostic::{Problem, Sources};
use crate::file::keys::system as s;
use crate::file::reader::Reader;
use crate::tables;

/// Tables of a device, ready to predict from.
#[derive(Clone)]
pub(super) struct Measured {
    /// They.
    pub(super) kernels: Arc<Kernels>,
    /// The files, in the order of belief.
    pub(super) files: Vec<PathBuf>,
    /// What their reader has to know.
    pub(super) warnings: Vec<String>,
}

/// What has been read: systems, and experiments that are resolved beside each other, share tables, and those of a device
/// are large.
#[derive(Default)]
pub(crate) struct Library(Mutex<Vec<Shelf>>);

/// Which tables, for which device, and what came of reading them.
type Shelf = (Vec<PathBuf>, String, Result<Measured, String>);

impl Library {
    /// The tables that `kernel_tables` lists, for this device; `None` if it lists none.
    pub(super) fn read(
        &self,
        reader: &mut Reader<'_>,
        device: &DeviceSpec,
        sources: &Sources,
    ) -> Result<Option<Measured>, Problem> {
        let paths = reader.paths(&s::KERNEL_TABLES, sources);
        if paths.is_empty() {
            return Ok(None);
        }
        let same = |(listed, name, _): &&Shelf| *listed == paths && *name == device.name;
        // Held while tables are read, so that nobody reads them a second time meanwhile.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(same).map(|(_, _, read)| read.clone());
        let read = found.unwrap_or_else(|| {
            let read = load(&paths, device);
            known.push((paths, device.name.clone(), read.clone()));
            read
        });
        let refused = |problem| reader.problem(&s::KERNEL_TABLES, "kernel tables cannot be used").label(problem);
        read.map(Some).map_err(refused)
    }
}

fn load(paths: &[PathBuf], device: &DeviceSpec) -> Result<Measured, String> {
    let mut all = Vec::new();
    let mut files = Vec::new();
    let mut warnings = Vec::new();
    for path in paths {
        let (read, found) = tables::read(path)?;
        all.extend(read);
        warnings.extend(found);
        files.extend(tables::files(path)?);
    }
    let (kernels, found) = Kernels::new(device, &all).map_err(|error| error.to_string())?;
    warnings.extend(found);
    let warnings = warnings.iter().map(ToString::to_string).collect();
    Ok(Measured { kernels: Arc::new(kernels), files, warnings })
}
