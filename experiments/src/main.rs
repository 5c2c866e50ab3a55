//! `servesim`: simulates LLM serving deployments and compares them.

mod diagnostic;
mod experiment;
mod file;

fn main() {}
