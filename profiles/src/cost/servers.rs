//! Replicas that are larger than a server: where their GPUs stand, and what is between them.

use super::options::CostOptions;
use crate::error::ProfileError;
use crate::topology::{Between, Interconnect, NCCL_POINT_TO_POINT_EFFICIENCY, ServerSpec, Topology};

/// The servers that a replica stands on.
///
/// The GPUs of a pipeline stage, all data-parallel ranks together, are in as few servers as can have equally many of them and
/// whole tensor-parallel groups (or, where such a group is larger than a server, equally many of it). As many stages as fit
/// share a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Servers {
    /// Each of them.
    pub server: ServerSpec,
    /// What is between them. Whatever else it carries is left out of account.
    pub network: Interconnect,
}

/// What groups of a replica's GPUs have between servers; `None`: they are in one.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    /// Those of a tensor-parallel group.
    pub(super) tensor: Option<Between>,
    /// Those that share routed experts.
    pub(super) experts: Option<Between>,
    /// Those of a pipeline stage and of the one before, from the second stage on.
    pub(super) stages: Vec<Option<Between>>,
}

/// How stages lie on servers.
struct Layout {
    /// GPUs in a server.
    server_gpus: u32,
    /// Of which each stage has so many.
    used: u32,
    /// Servers of a stage.
    servers: u32,
    /// Stages that share servers.
    stages: u32,
}

impl Layout {
    fn of(server_gpus: u32, tensor: u32, data: u32) -> Self {
        let gpus = tensor * data;
        let whole =
            |used: u32| if tensor <= server_gpus { used.is_multiple_of(tensor) } else { tensor.is_multiple_of(used) };
        let fits = |servers: u32| {
            let used = gpus / servers;
            gpus.is_multiple_of(servers) && used <= server_gpus && whole(used)
        };
        let servers = (1..=gpus).find(|&servers| fits(servers)).expect("one tensor-parallel group or GPU per server");
        let used = gpus / servers;
        Self { server_gpus, used, servers, stages: if servers == 1 { server_gpus / used } else { 1 } }
    }

    /// GPUs of a stage, by their numbers in the cluster.
    fn stage(&self, stage: u32) -> Vec<u32> {
        let first_server = stage / self.stages * self.servers;
        let first = stage % self.stages * self.used;
        let on_server = |server: u32| (0..self.used).map(move |gpu| server * self.server_gpus + first + gpu);
        (first_server..first_server + self.servers).flat_map(on_server).collect()
    }
}

impl Groups {
    /// Those of the replica that `options` describe; without [`CostOptions::servers`] all is in one server.
    pub(super) fn new(options: &CostOptions<'_>) -> Result<Self, ProfileError> {
        let parallelism = options.parallelism;
        let pipeline = parallelism.pipeline_parallel_size;
        let in_one = Self { stages: vec![None; pipeline as usize - 1], ..Self::default() };
        let Some(Servers { server, network }) = options.servers else { return Ok(in_one) };
        let tensor = parallelism.tensor_parallel_size;
        let layout = Layout::of(server.gpus.max(1), tensor, parallelism.data_parallel_size);
        let servers = pipeline.div_ceil(layout.stages) * layout.servers;
        let cluster = Topology::new(&server, servers, network)?;
        // Stages hand over by NCCL's messages from point to point.
        let efficiency = network.efficiency.min(NCCL_POINT_TO_POINT_EFFICIENCY);
        let hand_over = Topology::new(&server, servers, Interconnect { efficiency, ..network })?;
        let first = layout.stage(0);
        let stages = (1..pipeline).map(|stage| {
            let both: Vec<u32> = [stage - 1, stage].into_iter().flat_map(|stage| layout.stage(stage)).collect();
            hand_over.between(&both)
        });
        Ok(Self {
            tensor: cluster.between(&first[..tensor as usize])?,
            experts: cluster.between(&first)?,
            stages: stages.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Servers of a stage, and the GPUs it has in each, for servers of eight.
    fn spread(tensor: u32, data: u32) -> (u32, u32) {
        let layout = Layout::of(8, tensor, data);
        (layout.servers, layout.used)
    }

    #[test]
    fn stages_take_the_fewest_servers_that_have_equally_many_of_their_gpus() {
        assert_eq!([spread(8, 1), spread(16, 1), spread(12, 1), spread(24, 1)], [(1, 8), (2, 8), (2, 6), (3, 8)]);
        assert_eq!([spread(1, 8), spread(1, 16), spread(2, 6), spread(8, 4)], [(1, 8), (2, 8), (2, 6), (4, 8)]);
    }

    #[test]
    fn tensor_parallel_groups_that_fit_a_server_are_whole_in_one() {
        // Twelve GPUs would fit two servers six by six, and cut a group of four.
        assert_eq!(spread(4, 3), (3, 4));
        assert_eq!(spread(3, 4), (2, 6));
        // A prime number of GPUs has no other even spread.
        assert_eq!(spread(11, 1), (11, 1));
        // Groups larger than a server take whole shares of it, however many ranks there are.
        assert_eq!(spread(12, 2), (4, 6));
    }

    #[test]
    fn as_many_stages_as_fit_share_a_server() {
        let layout = Layout::of(8, 2, 1);
        assert_eq!([layout.stage(0), layout.stage(3), layout.stage(4)], [vec![0, 1], vec![6, 7], vec![8, 9]]);
        let layout = Layout::of(8, 3, 1);
        assert_eq!([layout.stage(1), layout.stage(2)], [vec![3, 4, 5], vec![8, 9, 10]]);
        let layout = Layout::of(8, 12, 1);
        assert_eq!(layout.stage(1), [16, 17, 18, 19, 20, 21, 24, 25, 26, 27, 28, 29]);
    }
}
