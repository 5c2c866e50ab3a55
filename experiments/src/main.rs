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
mod plot;
mod report;
mod reproduce;
mod request;
mod results;
mod run;
mod sweep;
mod tables;
mod terminal;
mod validate;

fn main() -> std::process::ExitCode {
    cli::main()
}
