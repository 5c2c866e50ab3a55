//! One way of placing a model on GPUs, and the keys of `[[system]]` that say so.

use std::fmt;

use crate::experiment::PlanSpec;
use crate::file::document::Value;
use crate::file::quantity::Dimension;

/// The GPUs of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// GPU type as the file writes it; `None`: the system's.
    pub(super) gpu: Option<String>,
    /// GPUs that share every layer.
    pub(super) tensor: u32,
    /// Pipeline stages.
    pub(super) pipeline: u32,
    /// Data-parallel ranks; `None`: those of the system.
    pub(super) data: Option<u32>,
}

impl Shape {
    /// GPUs in all, where the system has no data-parallel ranks of its own.
    pub(super) fn gpus(&self) -> u32 {
        self.tensor * self.pipeline * self.data.unwrap_or(1)
    }

    /// The same with `factor` times the stages.
    pub(super) fn deeper(&self, factor: u32) -> Self {
        Shape { pipeline: factor * self.pipeline, ..self.clone() }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(gpu) = &self.gpu {
            write!(f, "{gpu} ")?;
        }
        write!(f, "TP{} PP{}", self.tensor, self.pipeline)?;
        self.data.map_or(Ok(()), |data| write!(f, " DP{data}"))
    }
}

/// Replicas, and what they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// So many replicas that prefill and decode, perhaps with another token budget.
    Serve {
        /// GPUs of each.
        shape: Shape,
        /// How many.
        replicas: u32,
        /// `max_num_batched_tokens`, if not the system's.
        budget: Option<u32>,
    },
    /// One replica that computes prompts, by itself.
    PrefillOnly(Shape),
    /// One replica that decodes what was prefilled elsewhere.
    DecodeOnly(Shape),
    /// Prefill and decode replicas together.
    Split {
        /// GPUs of a prefill replica, and how many there are.
        prefill: (Shape, u32),
        /// GPUs of a decode replica, and how many there are.
        decode: (Shape, u32),
    },
}

impl Placement {
    /// GPUs in all.
    pub(super) fn gpus(&self) -> u32 {
        match self {
            Placement::Serve { shape, replicas, .. } => shape.gpus() * replicas,
            Placement::PrefillOnly(shape) | Placement::DecodeOnly(shape) => shape.gpus(),
            Placement::Split { prefill, decode } => prefill.0.gpus() * prefill.1 + decode.0.gpus() * decode.1,
        }
    }

    /// The keys of `[[system]]` that make it, or why none do.
    pub(super) fn changes(&self, spec: &PlanSpec) -> Result<Vec<(String, Value)>, String> {
        let mut changes = Vec::new();
        match self {
            Placement::Serve { shape, replicas, budget } => {
                put_shape(&mut changes, "", shape, *replicas, spec)?;
                if let Some(budget) = budget {
                    changes.push(("scheduler.max_num_batched_tokens".to_owned(), Value::Integer(i64::from(*budget))));
                }
            }
            Placement::PrefillOnly(shape) => put_shape(&mut changes, "", shape, 1, spec)?,
            Placement::DecodeOnly(shape) => {
                put_shape(&mut changes, "", shape, 1, spec)?;
                changes.push(("prefilled_elsewhere".to_owned(), Value::Flag(true)));
            }
            Placement::Split { prefill, decode } => {
                put_shape(&mut changes, "prefill.", &prefill.0, prefill.1, spec)?;
                put_shape(&mut changes, "decode.", &decode.0, decode.1, spec)?;
                changes.push(("transfer.mode".to_owned(), Value::Text("pull".to_owned())));
                changes.push(("transfer.network".to_owned(), Value::Text(spec.network.clone())));
            }
        }
        Ok(changes)
    }
}

/// Puts the keys that make `replicas` replicas of this shape into `table`: a pool with a dot behind it, or nothing.
pub(super) fn put_shape(
    changes: &mut Vec<(String, Value)>,
    table: &str,
    shape: &Shape,
    replicas: u32,
    spec: &PlanSpec,
) -> Result<(), String> {
    let mut put = |key: &str, value: Value| changes.push((format!("{table}{key}"), value));
    if let Some(gpu) = &shape.gpu {
        put("gpu", Value::Text(gpu.clone()));
        let place = spec.gpus.iter().position(|known| known == gpu);
        if let Some(price) = place.and_then(|place| spec.prices.get(place)) {
            put("price", Value::Text(Dimension::Price.write(*price)));
        }
    }
    put("tensor_parallel_size", Value::Integer(i64::from(shape.tensor)));
    put("pipeline_parallel_size", Value::Integer(i64::from(shape.pipeline)));
    if let Some(data) = shape.data {
        put("data_parallel_size", Value::Integer(i64::from(data)));
    }
    put("replicas", Value::Integer(i64::from(replicas)));
    if !spec.step_costs.is_empty() {
        let file = spec.step_costs.iter().find(|(size, _)| *size == shape.tensor);
        let (_, path) =
            file.ok_or_else(|| format!("no file of `step_costs` is for tensor_parallel_size = {}", shape.tensor))?;
        put("step_cost", Value::Text(path.to_string_lossy().into_owned()));
    }
    Ok(())
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Placement::Serve { shape, replicas, budget } => {
                write!(f, "{replicas} x {shape}")?;
                budget.map_or(Ok(()), |budget| write!(f, ", {budget} tokens a step"))
            }
            Placement::PrefillOnly(shape) => write!(f, "prefill {shape}"),
            Placement::DecodeOnly(shape) => write!(f, "decode {shape}"),
            Placement::Split { prefill, decode } => {
                write!(f, "{} x prefill {} + {} x decode {}", prefill.1, prefill.0, decode.1, decode.0)
            }
        }
    }
}
