//! `servesim`: simulates LLM serving deployments and compares them.

mod caches;
mod cli;
mod diagnostic;
mod experiment;
mod explain;
mod failure;
mod figures;
mod file;
mod goodput;
mod init;
mod output;
mod plan;
mod report;
mod reproduce;
mod request;
#[allow(dead_code, unused_imports, reason = "its readers are being written")]
mod results;
mod run;
mod sweep;
mod tables;
mod terminal;
mod validate;

fn main() -> std::process::ExitCode {
    cli::main()
}
