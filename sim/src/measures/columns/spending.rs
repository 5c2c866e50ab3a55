//! Figures of energy and money.

use super::{Better, List, Section};
use crate::measures::summary::{Summary, per};

fn tokens(summary: &Summary) -> f64 {
    (summary.total_input_tokens + summary.total_output_tokens) as f64
}

pub(super) fn energy(list: &mut List) {
    use Better::Lower;
    list.section = Section::Energy;
    list.real(("energy_j", "J", Lower), "Energy of all devices over the run, idle power included.", |summary| {
        summary.of_work(summary.energy_j())
    });
    list.real(("idle_energy_j", "J", Lower), "The part of it that idle power takes, busy or not.", |summary| {
        Some(summary.idle_energy_j)
    });
    list.real(("dynamic_energy_j", "J", Lower), "The part of it above idle power.", |summary| {
        summary.of_work(summary.dynamic_energy_j)
    });
    list.real(
        ("energy_j_per_token", "J/tok", Lower),
        "Energy of all devices ÷ (prompt + output tokens) of completed requests.",
        |summary| per(summary.of_work(summary.energy_j())?, tokens(summary)),
    );
    list.real(
        ("energy_j_per_output_token", "J/tok", Lower),
        "Energy of all devices ÷ output tokens of completed requests.",
        |summary| per(summary.of_work(summary.energy_j())?, summary.total_output_tokens as f64),
    )
    .headline();
    list.real(("mean_power_w", "W", Lower), "Mean power of all devices together.", |summary| {
        per(summary.of_work(summary.energy_j())?, summary.duration_s)
    });
}

pub(super) fn cost(list: &mut List) {
    use Better::{Higher, Lower};
    list.section = Section::Cost;
    list.real(("cost_usd", "$", Lower), "Device-hours × price.", |summary| summary.cost_usd);
    list.real(
        ("usd_per_million_output_tokens", "$", Lower),
        "Cost per million output tokens of completed requests.",
        |summary| per(summary.cost_usd? * 1e6, summary.total_output_tokens as f64),
    )
    .headline();
    list.real(
        ("output_tokens_per_usd", "tok/$", Higher),
        "Output tokens of completed requests per US dollar.",
        |summary| per(summary.total_output_tokens as f64, summary.cost_usd?),
    );
}
