//! Power over time against the energy of the run.

use super::support::Place;

/// The columns of these names, of a CSV file without quoted fields, row by row; numbers but for the system's name.
fn columns<const N: usize>(text: &str, names: [&str; N]) -> Vec<(String, [f64; N])> {
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let places = names.map(|name| header.iter().position(|column| *column == name).expect("a column"));
    lines
        .map(|row| (format!("{} {}", row[0], row[1]), places.map(|place| row[place].parse().expect("a number"))))
        .collect()
}

/// Asserts for every run that power times time is its energy, and returns the runs' rows as (start, end).
fn assert_power_adds_up_to_energy(place: &Place) -> Vec<(f64, f64)> {
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
    let rows = columns(&place.text("out/power.csv"), ["start_s", "end_s", "dynamic_power_w", "power_w"]);
    for (run, [energy_j, dynamic_energy_j, duration_s]) in
        columns(&place.text("out/summary.csv"), ["energy_j", "dynamic_energy_j", "duration_s"])
    {
        let of_run = || rows.iter().filter(|(label, _)| *label == run).map(|(_, row)| row);
        let sum = |column: usize| of_run().map(|row| row[column] * (row[1] - row[0])).sum::<f64>();
        assert!((sum(3) - energy_j).abs() < 1e-6 * energy_j, "{run}: {} J instead of {energy_j} J", sum(3));
        assert!(
            (sum(2) - dynamic_energy_j).abs() < 1e-6 * energy_j,
            "{run}: {} J instead of {dynamic_energy_j} J",
            sum(2)
        );
        let width: f64 = of_run().map(|row| row[1] - row[0]).sum();
        assert!((width - duration_s).abs() < 1e-6, "{run}: {width} s instead of {duration_s} s");
    }
    rows.into_iter().map(|(_, row)| (row[0], row[1])).collect()
}

#[test]
fn power_times_time_is_the_energy_of_the_run() {
    let rows = assert_power_adds_up_to_energy(&Place::with_small(&[("steps = true", "power = true")]));
    assert!(rows.iter().any(|(start, end)| end - start < 1.0), "some run starts or ends inside a second: {rows:?}");
}

#[test]
fn power_covers_the_wait_for_a_last_request_that_is_rejected() {
    let place = Place::new();
    place.write("t.csv", "arrival_s,input_tokens,output_tokens\n2.25,100,10\n4.5,100,10\n7.75,9000,10\n");
    place.write(
        "x.toml",
        "model = \"meta-llama/Llama-3.1-8B\"\noutput = { power = true }\n[workload]\ntrace = \"t.csv\"\n[[system]]\nname = \"a\"\n\
         gpu = \"H100-SXM-80GB\"\nmax_model_len = 8192\n",
    );
    let rows = assert_power_adds_up_to_energy(&place);
    assert!(rows.windows(2).all(|pair| pair[0].1.to_bits() == pair[1].0.to_bits()), "no gaps: {rows:?}");
}
