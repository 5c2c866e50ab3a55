//! What the path of a file says.

use crate::import::error::ImportError;

/// What the path of a file says: `HARDWARE_MODEL_tpN_TABLE.csv`, or `HARDWARE/MODEL/VARIANT/tpN/TABLE.csv` where the rest
/// is in `meta.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) hardware: String,
    pub(super) model: String,
    pub(super) tensor_parallel_size: u32,
}

impl Place {
    pub(super) fn of(path: &str, file: &str) -> Result<Self, ImportError> {
        by_name(path).or_else(|| by_folders(path)).ok_or_else(|| ImportError::Unrecognised {
            file: file.to_string(),
            problem: "nothing says how many GPUs shared a layer; expected a file called `HARDWARE_MODEL_tpN_TABLE.csv`, or a \
                      path such as `HARDWARE/MODEL/bf16/tp1/dense.csv`"
                .to_string(),
        })
    }
}

fn by_name(path: &str) -> Option<Place> {
    let name = path.rsplit('/').next()?;
    let (hardware, rest) = name.split_once('_')?;
    let at = rest.rfind("_tp")?;
    let (size, _table) = rest[at + 3..].split_once('_')?;
    Some(Place {
        hardware: hardware.to_string(),
        model: rest[..at].to_string(),
        tensor_parallel_size: size.parse().ok().filter(|size| *size > 0)?,
    })
}

fn by_folders(path: &str) -> Option<Place> {
    let folders: Vec<&str> = path.split('/').collect();
    let [.., hardware, model, _variant, tensor, _file] = folders.as_slice() else { return None };
    let size = tensor.strip_prefix("tp")?.parse().ok().filter(|size| *size > 0)?;
    Some(Place { hardware: (*hardware).into(), model: (*model).into(), tensor_parallel_size: size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_folders_say_hardware_model_and_gpus() {
        let place = |hardware: &str, model: &str, size| Place {
            hardware: hardware.into(),
            model: model.into(),
            tensor_parallel_size: size,
        };
        let named = Place::of("x/RTXPRO6000_Qwen3-32B_tp2_attention_skew.csv.gz", "f");
        assert_eq!(named, Ok(place("RTXPRO6000", "Qwen3-32B", 2)));
        let inside = Place::of("perf/RTX4090/Llama-3.1-8B/bf16/tp1/dense.csv", "f");
        assert_eq!(inside, Ok(place("RTX4090", "Llama-3.1-8B", 1)));
        let error = Place::of("dense.csv", "dense.csv").expect_err("nothing is said").to_string();
        assert!(error.starts_with("dense.csv: nothing says how many GPUs shared a layer"), "{error}");
    }
}
