//! The kernels compile for real architectures, where NVIDIA's run-time compiler is installed; no GPU is needed.

use calibration::gpu::{GpuError, compile_for};
use calibration::kernels::{KERNELS, Source};

#[test]
fn every_kernel_compiles_for_ampere_and_hopper_and_none_spills() {
    for architecture in ["sm_80", "sm_89", "sm_90a", "sm_100a"] {
        for source in Source::ALL {
            let compiled = match compile_for(source, architecture) {
                Ok(compiled) => compiled,
                Err(error @ GpuError::Library { .. }) => {
                    println!("NOT RUN: {error}");
                    return;
                }
                Err(error) => panic!("{error}"),
            };
            let mut names: Vec<&str> = compiled.resources.iter().map(|used| used.kernel.as_str()).collect();
            names.sort_unstable();
            let mut wanted: Vec<&str> =
                KERNELS.iter().filter(|kernel| kernel.source == source).map(|kernel| kernel.name).collect();
            wanted.sort_unstable();
            assert_eq!(names, wanted, "{} holds the kernels that launches name", source.file());
            for used in &compiled.resources {
                assert_eq!(used.spilled_bytes, 0, "{} spills registers on {architecture}", used.kernel);
            }
            assert!(!compiled.binary.is_empty());
        }
    }
}

#[test]
fn an_architecture_that_is_none_is_an_error_with_the_compilers_words() {
    match compile_for(Source::Norm, "sm_1") {
        Err(error @ GpuError::Library { .. }) => println!("NOT RUN: {error}"),
        Err(GpuError::Compile { log, .. }) => assert!(log.contains("gpu-architecture"), "{log}"),
        other => panic!("{other:?}"),
    }
}
