//! Figures of energy and money.

use profiles::OperatorClass;

use super::{Better, List, Section, Value};
use crate::measures::summary::{Summary, per};

fn tokens(summary: &Summary) -> f64 {
    (summary.total_input_tokens + summary.total_output_tokens) as f64
}

/// What operators of a class are.
fn words(class: OperatorClass) -> &'static str {
    match class {
        OperatorClass::PrefillAttention => "attention kernels of prompts",
        OperatorClass::DecodeAttention => "attention kernels of generating requests",
        OperatorClass::Products => "products with weights that all tokens pass, the head among them,",
        OperatorClass::Experts => "routed experts",
        OperatorClass::Collectives => "links between GPUs (all-reduce, all-to-all, from stage to stage)",
        OperatorClass::Others => "small kernels, embedding, state-space scans and sampling",
    }
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
    for class in OperatorClass::ALL {
        let doc = format!("The part of the energy above idle that {} take.", words(class));
        let name = format!("{}_energy_j", class.name());
        list.push((name, "J", Lower), doc, move |summary| {
            summary.of_work(summary.class_energy_j(class)).map(Value::Real)
        });
    }
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
