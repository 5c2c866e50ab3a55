//! `replicas.csv`: what the replicas of each system are, which rows of other tables name by number.

use crate::experiment::Experiment;

/// One row per system and replica: role, GPU, how many of them, layers of the model, and size of the KV cache.
pub(super) fn csv(experiment: &Experiment) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["system", "replica", "role", "gpu", "devices", "layers", "kv_blocks", "kv_block_tokens"];
    writer.write_record(header).expect("a vector takes all that is written to it");
    for system in &experiment.systems {
        for (first, pool) in system.first_engines() {
            for replica in first..first + pool.engines {
                let row = [
                    system.name.clone(),
                    replica.to_string(),
                    pool.role.name().to_owned(),
                    pool.device.name.clone(),
                    pool.parallelism.gpus().to_string(),
                    system.model.layers.len().to_string(),
                    pool.kv.blocks.to_string(),
                    pool.kv.block_size.to_string(),
                ];
                writer.write_record(row).expect("a vector takes all that is written to it");
            }
        }
    }
    String::from_utf8(writer.into_inner().expect("a vector takes all that is written to it")).expect("text was written")
}
