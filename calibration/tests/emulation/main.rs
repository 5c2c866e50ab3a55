//! The kernels compute what they should: compiled as C++ and executed on the CPU, a fibre per thread, against the same
//! double-precision references that `servesim calibrate --stage verify` uses on a GPU.
//!
//! What a GPU adds (timing, bank conflicts, the compiler for its instructions) this cannot show.
#![expect(clippy::print_stdout, reason = "tests say what they ran and how far off it was")]

mod machine;
mod workloads;

use std::path::PathBuf;
use std::sync::OnceLock;

use calibration::kernels::{self, View};
use calibration::machine::Machine;
use calibration::numbers::{Random, bf16_bytes};
use calibration::verify;

use machine::{Emulator, build};

/// The compiled kernels, or nothing where there is no C++ compiler.
fn program() -> Option<&'static PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = PROGRAM.get_or_init(build).as_ref();
    if program.is_none() {
        println!("NOT RUN: there is no C++ compiler (CXX, c++, g++ or clang++) to emulate the kernels with");
    }
    program
}

fn every_check_of(family: &str) {
    let Some(program) = program() else { return };
    let (_, check) = verify::FAMILIES.iter().find(|(name, _)| *name == family).expect("the family exists");
    let checks = check(&mut Emulator::new(program)).unwrap_or_else(|error| panic!("{family}: {error}"));
    for check in &checks {
        println!("{}: {:.2e} of {:.2e}", check.name, check.error, check.tolerance);
    }
    let wrong: Vec<_> = checks.iter().filter(|check| !check.passes()).collect();
    assert!(wrong.is_empty(), "differ from their references: {wrong:#?}");
}

#[test]
fn small_kernels_agree_with_their_references() {
    every_check_of("elementwise");
}

#[test]
fn attention_agrees_with_its_reference() {
    every_check_of("attention");
}

#[test]
fn experts_agree_with_their_references() {
    every_check_of("experts");
}

#[test]
fn state_space_kernels_agree_with_their_references() {
    every_check_of("state space");
}

#[test]
fn whole_steps_agree_with_each_other() {
    every_check_of("whole steps");
}

#[test]
fn every_family_is_checked() {
    let tested = ["elementwise", "attention", "experts", "state space", "whole steps"];
    assert_eq!(verify::FAMILIES.map(|(name, _)| name), tested);
}

/// The emulation itself must be able to find a mistake.
#[test]
fn a_kernel_that_writes_beyond_its_memory_is_caught() {
    let Some(program) = program() else { return };
    let mut emulator = Emulator::new(program);
    let width = 64;
    let mut views: Vec<View> = Vec::new();
    for rows in [2, 1, 2] {
        let values = Random::new(5).normals((rows * width) as usize, 1.0);
        views.push(emulator.upload(&bf16_bytes(&values)).expect("memory"));
    }
    let mut launch = kernels::rms_norm(1, width, &views[0], &views[1], &views[1]).expect("one row fits");
    launch.grid = [2, 1];
    let said = emulator.run(&[launch]).expect_err("the second row has no place").to_string();
    assert!(said.contains("rms_norm wrote outside buffer 1"), "{said}");
}
