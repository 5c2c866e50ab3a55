//! The program as its users meet it: arguments in, messages, files and exit codes out.

mod cli {
    pub(crate) mod bad_input;
    pub(crate) mod bad_traces;
    pub(crate) mod batchllm;
    pub(crate) mod browser;
    pub(crate) mod cache;
    pub(crate) mod calibrate;
    pub(crate) mod commands;
    pub(crate) mod compatibility;
    pub(crate) mod determinism;
    pub(crate) mod disaggregated;
    pub(crate) mod engine;
    pub(crate) mod first_hour;
    pub(crate) mod fit;
    pub(crate) mod goodput;
    pub(crate) mod import;
    pub(crate) mod kernel_tables;
    pub(crate) mod layered;
    pub(crate) mod mixed_pool;
    pub(crate) mod model_limits;
    pub(crate) mod offloaded;
    pub(crate) mod output_folder;
    pub(crate) mod parquet;
    pub(crate) mod plan;
    pub(crate) mod power;
    pub(crate) mod replay;
    pub(crate) mod report;
    pub(crate) mod reproduce;
    pub(crate) mod schedule;
    pub(crate) mod shell;
    pub(crate) mod shipped;
    pub(crate) mod support;
    pub(crate) mod sweep;
    pub(crate) mod sweep_interrupted;
    pub(crate) mod validate;
}
