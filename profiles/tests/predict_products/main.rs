//! Products and experts predicted from tables: by analytic laws, and against measured shapes that were hidden.

mod experts;
mod gemm;
#[path = "../support/shared_data.rs"]
mod support;
mod tables;

use profiles::predict::OperandFormat;
use profiles::table::Scaling;
use profiles::{DType, DeviceSpec};
use support::shared_data;

fn device(name: &str) -> DeviceSpec {
    DeviceSpec::shipped(name).expect("a shipped device")
}

const BF16: OperandFormat = OperandFormat { weights: DType::Bf16, activations: DType::Bf16, scaling: Scaling::None };

/// Tests say which of them had data.
#[expect(clippy::print_stdout, reason = "the output of a test is where a reader looks")]
fn say(line: &str) {
    println!("{line}");
}

fn skipped(test: &str) {
    say(&format!("SKIPPED: {test} needs ../shared/data"));
}

/// One of five parts into which groups are dealt, as good as at random and always the same.
fn part(numbers: &[u32]) -> u64 {
    let mix = |state: u64, number: &u32| {
        let mixed = (state ^ u64::from(*number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    };
    let mixed = numbers.iter().fold(7, mix);
    (mixed ^ (mixed >> 32)) % 5
}

/// Relative errors of predictions.
#[derive(Default)]
struct Errors(Vec<f64>);

impl Errors {
    fn add(&mut self, predicted: f64, measured: f64) {
        self.0.push(predicted / measured - 1.0);
    }

    /// Median and 95th percentile of their sizes.
    fn spread(&self) -> (f64, f64) {
        let mut sizes: Vec<f64> = self.0.iter().map(|error| error.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        (sizes[sizes.len() / 2], sizes[sizes.len() * 95 / 100])
    }

    /// Says them, and returns median and 95th percentile.
    fn report(&self, what: &str) -> (f64, f64) {
        let (median, p95) = self.spread();
        let bias = self.0.iter().sum::<f64>() / self.0.len() as f64;
        let [median_percent, p95_percent, bias] = [median, p95, bias].map(|share| share * 100.0);
        let count = self.0.len();
        say(&format!(
            "USED: {what}: median {median_percent:.2} %, p95 {p95_percent:.1} %, mean {bias:+.1} % of {count} rows"
        ));
        (median, p95)
    }
}
