//! Which GPU, engine and version a file was measured with.

use crate::import::error::ImportError;
use crate::import::records::{Column, Record, Records};

/// What rows or names of files say of the measurement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Parts {
    pub(super) gpu: String,
    pub(super) engine: String,
    pub(super) version: String,
}

/// Where to read it.
pub(super) struct Origin {
    path: String,
    columns: Option<[Column; 3]>,
}

impl Origin {
    /// By the columns of Parquet files if they are there, else by the name of the file.
    pub(super) fn columns(records: &mut Records<'_>, path: &str) -> Self {
        let mut column = |name| records.maybe_column(&[name]);
        let columns = match (column("device"), column("framework"), column("version")) {
            (Some(device), Some(framework), Some(version)) => Some([device, framework, version]),
            _ => None,
        };
        Self { path: path.to_string(), columns }
    }

    /// What a row, or the name of the file, says.
    pub(super) fn parts(&self, file: &str, row: &Record) -> Result<Parts, ImportError> {
        match self.columns {
            Some([device, framework, version]) => Ok(Parts {
                gpu: row.text(device).to_string(),
                engine: row.text(framework).to_lowercase(),
                version: row.text(version).to_string(),
            }),
            None => of_path(&self.path).ok_or_else(|| ImportError::Unrecognised {
                file: file.to_string(),
                problem: "nothing says on which GPU and with which engine this was measured; expected a file called \
                          `GPU_ENGINE_VERSION_TABLE.csv`, a path such as `h200_sxm/gemm/vllm/0.24.0/gemm_perf.parquet`, or \
                          the columns `device`, `framework` and `version`"
                    .to_string(),
            }),
        }
    }
}

/// `GPU_ENGINE_VERSION_TABLE` as the name of a file, or `GPU/FAMILY/ENGINE/VERSION/FILE` as the end of a path.
fn of_path(path: &str) -> Option<Parts> {
    let mut folders = path.rsplit('/');
    let file = folders.next()?;
    let words: Vec<&str> = file.splitn(4, '_').collect();
    let versioned = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    if let [gpu, engine, version, _] = words.as_slice()
        && versioned(version)
    {
        return Some(Parts { gpu: (*gpu).into(), engine: (*engine).into(), version: (*version).into() });
    }
    let (version, engine, _family, gpu) = (folders.next()?, folders.next()?, folders.next()?, folders.next()?);
    versioned(version).then(|| Parts { gpu: gpu.into(), engine: engine.into(), version: version.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_say_in_their_names_or_folders_what_they_hold() {
        let parts = Parts { gpu: "H200".into(), engine: "trtllm".into(), version: "1.3.0rc20".into() };
        assert_eq!(of_path("x/H200_trtllm_1.3.0rc20_attention_decode.csv.gz"), Some(parts));
        let parts = Parts { gpu: "h200_sxm".into(), engine: "vllm".into(), version: "0.24.0".into() };
        assert_eq!(of_path("data/h200_sxm/gemm/vllm/0.24.0/gemm_perf.parquet"), Some(parts));
        assert_eq!(of_path("gemm.csv"), None);
    }
}
