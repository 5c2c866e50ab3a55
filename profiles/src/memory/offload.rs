//! What lies in the memory of attention workers, which hold the KV cache and nothing else of the model, and of the model
//! workers, which hold all the rest.

use super::workspace::overhead_bytes;
use super::{MemoryOptions, MemoryPlan};
use crate::device::DeviceSpec;
use crate::error::ProfileError;
use crate::model::ModelSpec;
use crate::parallel::{Parallelism, Precision};

impl MemoryPlan {
    /// KV blocks that `workers` attention workers of kind `device` hold together, each its share of the heads: all memory
    /// they may use but for what libraries and communicators take. Queries and outputs on the way are kilobytes per request
    /// and left out.
    ///
    /// # Errors
    ///
    /// If there are no workers, `gpu_memory_utilization` or `block_size` is out of range, or not one block fits.
    pub fn attention_blocks(
        model: &ModelSpec,
        device: &DeviceSpec,
        workers: u32,
        precision: Precision,
        options: MemoryOptions,
    ) -> Result<u64, ProfileError> {
        let wrong =
            |setting, value: String, problem: String| Err(ProfileError::MemorySetting { setting, value, problem });
        if workers == 0 {
            return wrong("workers", "0".to_owned(), "use 1 or more".to_owned());
        }
        let share = options.gpu_memory_utilization;
        if !(share > 0.0 && share <= 1.0) {
            let problem = "use a share above 0 and up to 1, such as 0.9".to_owned();
            return wrong("gpu_memory_utilization", share.to_string(), problem);
        }
        if options.block_size == 0 {
            return wrong("block_size", "0".to_owned(), "use 1 or more".to_owned());
        }
        let spread = Parallelism { tensor_parallel_size: workers, ..Parallelism::default() };
        let budget = ((device.memory_bytes as f64 * share) as u64).saturating_sub(overhead_bytes(spread));
        let block_bytes = model.kv_bytes_per_token(precision.kv_cache) * u64::from(options.block_size);
        let blocks = (budget * u64::from(workers)).checked_div(block_bytes).unwrap_or(0);
        if blocks == 0 {
            let problem = format!(
                "{workers} {} have {} bytes for the KV cache of {}, and a block takes {block_bytes}",
                device.name,
                budget * u64::from(workers),
                model.name
            );
            return wrong("gpu_memory_utilization", share.to_string(), problem);
        }
        Ok(blocks)
    }
}
