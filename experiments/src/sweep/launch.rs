//! Having a sweep run elsewhere.

/// What a batch system is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// Parts (≥ 1), each a task of its own.
    pub(crate) shards: usize,
    /// Lines of options for the batch system, as they are.
    pub(crate) options: Vec<String>,
    /// Whether the job scripts are only written.
    pub(crate) dry_run: bool,
}
