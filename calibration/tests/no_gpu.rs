//! On a machine without a GPU nothing panics, and what is missing is said.

use calibration::gpu::{Gpu, GpuError, doctor};

#[test]
fn without_a_driver_the_error_names_it_and_how_to_get_it() {
    match Gpu::open(0) {
        Err(error @ GpuError::Library { .. }) => {
            let text = error.to_string();
            for part in ["cannot load NVIDIA driver (libcuda.so.1)", "last error: ", "help: install the NVIDIA driver"]
            {
                assert!(text.contains(part), "`{part}` is not in: {text}");
            }
        }
        Err(other) => println!("NOT RUN: this machine has a driver: {other}"),
        Ok(_) => println!("NOT RUN: this machine has a GPU"),
    }
}

#[test]
fn the_doctor_lists_everything_and_says_how_to_get_what_is_missing() {
    let findings = doctor(0);
    for what in ["NVIDIA driver", "CUDA run-time compiler", "cuBLASLt", "NVIDIA management library"] {
        let finding = findings.iter().find(|finding| finding.what == what).expect("it is looked for");
        if let Err(problem) = &finding.says {
            assert!(problem.contains("help: "), "{what}: {problem}");
        }
    }
}
