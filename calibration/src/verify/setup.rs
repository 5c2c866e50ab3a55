//! Operands in a machine's memory, with their values kept for the reference.

use crate::kernels::View;
use crate::machine::{Machine, MachineError};
use crate::numbers::{Random, bf16_bytes, bf16_values, f32_bytes, i32_bytes};

/// Normal bfloat16 values on the machine and here.
pub(super) fn normals(
    machine: &mut dyn Machine,
    random: &mut Random,
    count: u64,
    deviation: f32,
) -> Result<(View, Vec<f64>), MachineError> {
    let values = random.normals(count as usize, deviation);
    let view = machine.upload(&bf16_bytes(&values))?;
    Ok((view, values.into_iter().map(f64::from).collect()))
}

/// Floats on the machine.
pub(super) fn floats(machine: &mut dyn Machine, values: &[f32]) -> Result<View, MachineError> {
    machine.upload(&f32_bytes(values))
}

/// Integers on the machine.
pub(super) fn integers(machine: &mut dyn Machine, values: &[i32]) -> Result<View, MachineError> {
    machine.upload(&i32_bytes(values))
}

/// Room for results, filled with bytes that are no number in any of the formats.
pub(super) fn room(machine: &mut dyn Machine, bytes: u64) -> Result<View, MachineError> {
    machine.upload(&vec![0xff; bytes as usize])
}

/// Results in bfloat16.
pub(super) fn bf16_results(machine: &mut dyn Machine, view: &View) -> Result<Vec<f32>, MachineError> {
    Ok(bf16_values(&machine.download(view)?))
}
