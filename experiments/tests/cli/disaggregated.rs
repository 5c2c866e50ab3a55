//! Systems with prefill and decode pools, as files say them and tables show them.

use serde_json::Value;

use super::support::Place;

/// The small experiment with the second system in two pools.
const POOLS: &str = r#"[[system]]
name = "pools"
inherit = "chunked"
transfer = { mode = "push-by-layer", placement = "apart", network = "100 Gbit/s Ethernet" }

[system.prefill]
scheduler = { policy = "prefill-first", max_num_batched_tokens = 8192 }

[system.decode]
replicas = 1
gpu = "A100-SXM-80GB"
price = "1 USD/h"
"#;

const SECOND: &str = r#"[[system]]
name = "first"
inherit = "chunked"
scheduler = { policy = "prefill-first", max_num_batched_tokens = 8192 }
"#;

/// A place with the small experiment and these pools in place of its second system.
fn place(pools: &str) -> Place {
    Place::with_small(&[(SECOND, pools)])
}

fn pools_with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(POOLS.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "no `{old}`");
        text.replacen(old, new, 1)
    })
}

/// Measures of the first run of a system.
fn measures<'a>(said: &'a Value, system: &str) -> &'a Value {
    let runs = said["runs"].as_array().expect("runs");
    &runs.iter().find(|run| run["system"] == system).expect("the system ran")["measures"]
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&place.succeed(arguments).stdout).expect("JSON")
}

fn number(measures: &Value, name: &str) -> f64 {
    measures[name].as_f64().unwrap_or_else(|| panic!("{name} is {}", measures[name]))
}

#[test]
fn both_pools_are_in_the_bill_each_at_its_own_price() {
    let place = place(POOLS);
    let said = json(&place, &["run", "x.toml", "--json", "--no-figures"]);
    let pools = measures(&said, "pools");
    let of = |name: &str| number(pools, name);
    let devices = ["devices", "prefill_devices", "decode_devices"].map(|name| pools[name].as_u64());
    assert_eq!(devices, [Some(3), Some(2), Some(1)]);
    let hours = of("duration_s") / 3600.0;
    assert!((of("decode_cost_usd") - hours).abs() < 1e-12, "a dollar per hour");
    assert!((of("cost_usd") - of("prefill_cost_usd") - of("decode_cost_usd")).abs() < 1e-12);
    assert!((of("energy_j") - of("prefill_energy_j") - of("decode_energy_j")).abs() < 1e-6);
    assert!(of("prefill_idle_energy_j") > 0.0 && of("decode_dynamic_energy_j") > 0.0);
    assert_eq!(measures(&said, "chunked")["prefill_devices"], Value::Null);
}

#[test]
fn what_is_handed_over_is_in_the_tables() {
    let place = place(POOLS);
    let said = json(&place, &["run", "x.toml", "--json", "--no-figures"]);
    let pools = measures(&said, "pools");
    let table = place.text("results/x/requests.csv");
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let column = |name: &str| header.iter().position(|one| *one == name).unwrap_or_else(|| panic!("no {name}"));
    let (system, seed) = (column("system"), column("seed"));
    let (decode_replica, bytes) = (column("decode_replica"), column("kv_bytes"));
    let (input, output) = (column("input_tokens"), column("output_tokens"));
    let mut transfers = 0;
    for line in lines {
        let handed = line[system] == "pools" && line[output] != "1";
        assert_eq!(line[decode_replica], if handed { "2" } else { "" }, "{line:?}");
        if handed {
            // Keys and values of 8 heads of 128 in 32 layers, 16 bits.
            let per_token = 2 * 8 * 128 * 2 * 32;
            assert_eq!(line[bytes].parse::<u64>(), line[input].parse::<u64>().map(|tokens| tokens * per_token));
            transfers += u64::from(line[seed] == "1");
        }
    }
    assert_eq!(pools["kv_transfers"].as_u64(), Some(transfers));
    assert!(number(pools, "mean_handover_wait_ms") > 0.0);
    let plain = Place::with_small(&[]);
    plain.succeed(&["run", "x.toml", "--no-figures", "-q"]);
    assert!(!plain.text("results/x/requests.csv").contains("decode_replica"), "nobody hands over there");
}

#[test]
fn the_lock_file_gives_the_same_bytes() {
    let place = place(POOLS);
    place.succeed(&["run", "x.toml", "-o", "first", "--no-figures"]);
    place.succeed(&["run", "first/experiment.lock.toml", "-o", "second", "--no-figures"]);
    for name in ["requests.csv", "summary.csv", "steps.csv", "experiment.lock.toml"] {
        assert!(place.read(&format!("first/{name}")) == place.read(&format!("second/{name}")), "{name} differs");
    }
}

#[test]
fn pools_inherit_what_they_do_not_say() {
    let place = place(POOLS);
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
    let lock: toml::Table = place.text("out/experiment.lock.toml").parse().expect("TOML");
    let system = &lock["system"][1];
    assert_eq!(system["prefill"]["replicas"].as_integer(), Some(2), "the system's");
    assert_eq!(system["decode"]["replicas"].as_integer(), Some(1), "its own");
    assert_eq!(system["decode"]["scheduler"]["max_num_batched_tokens"].as_integer(), Some(512), "the system's");
    assert_eq!(system["prefill"]["scheduler"]["policy"].as_str(), Some("prefill-first"), "its own");
    assert!(system.get("scheduler").is_none() && system.get("gpu").is_none(), "nothing is said twice");
}

#[test]
fn prompts_that_were_computed_elsewhere_cost_nothing_here() {
    let here = place("[[system]]\nname = \"only decode\"\ninherit = \"chunked\"\nprefilled_elsewhere = true\n");
    let said = json(&here, &["run", "x.toml", "--json", "--no-figures"]);
    let decode = measures(&said, "only decode");
    assert_eq!((decode["prefill_tokens"].as_u64(), decode["decode_devices"].as_u64()), (Some(0), Some(2)));
    assert_eq!(decode["decode_tokens"], decode["total_output_tokens"], "first tokens are decoded too");
    assert!(number(decode, "mean_ttft_ms") < number(measures(&said, "chunked"), "mean_ttft_ms"));
}

#[test]
fn pools_that_make_no_sense_are_refused_with_a_reason() {
    let ethernet = ", network = \"100 Gbit/s Ethernet\"";
    let decode = "[system.decode]\nreplicas = 1\ngpu = \"A100-SXM-80GB\"\nprice = \"1 USD/h\"\n";
    let pull = "mode = \"pull\", awaited = true";
    for (changes, expected) in [
        (&[(decode, "")][..], "a `prefill` pool stands alone"),
        (&[(ethernet, "")], "needs `network` in `[system.transfer]`"),
        (&[("\"apart\"", "\"packed\"")], "a server has GPUs of one kind"),
        (&[("100 Gbit/s Ethernet", "fast")], "`fast` is not a network"),
        (
            &[("mode = \"push-by-layer\"", "mode = \"push-by-layer\", decode_choice = \"after-prefill\"")],
            "\"at-arrival\"",
        ),
        (&[("mode = \"push-by-layer\"", "mode = \"push-by-layer\", awaited = true")], "it belongs to \"pull\""),
        (&[("mode = \"push-by-layer\"", pull)], "the decode pool schedules asynchronously"),
        (&[("mode = \"push-by-layer\"", "mode = \"pull\", max_unbatched = 0.0505")], "expected thousandths"),
        (&[("price = ", "kv_cache_dtype = \"int8\"\nprice = ")], "different formats"),
        (&[("price = ", "engine = { engine_to_client = \"1 ms\" }\nprice = ")], "0.001000000 s for decode"),
        (
            &[("inherit = \"chunked\"", "inherit = \"chunked\"\nprefilled_elsewhere = true")],
            "beside `prefilled_elsewhere`",
        ),
    ] {
        let message = place(&pools_with(changes)).fail(2, &["run", "x.toml"]);
        assert!(message.contains(expected), "{changes:?}: {message}");
    }
    let message = Place::with_small(&[("replicas = 2", "transfer = \"pull\"")]).fail(2, &["run", "x.toml"]);
    assert!(message.contains("`transfer` has no effect without pools"), "{message}");
    let message = Place::with_small(&[("gpu = \"H100-SXM-80GB\"\n", "")]).fail(2, &["run", "x.toml"]);
    assert!(message.contains("`gpu` is missing in `[[system]]`"), "{message}");
    let message = place(POOLS).fail(2, &["run", "x.toml", "--set", "output.record_steps=true"]);
    assert!(message.contains("prefill and decode replicas, and a schedule has one head"), "{message}");
}

#[test]
fn a_replica_of_each_pool_is_drawn_with_its_own_cache_and_says_which_it_is() {
    let timeline = |decode_blocks: u32| {
        let place = Place::new();
        place.write(
            "x.toml",
            &format!(
                r#"model = "meta-llama/Llama-3.1-8B"

[workload]
rate = 2
requests = 20
input = {{ distribution = "fixed", tokens = 1000 }}
output = {{ distribution = "fixed", tokens = 20 }}

[[system]]
name = "pools"
gpu = "H100-SXM-80GB"
max_model_len = 4096

[system.prefill]
num_gpu_blocks_override = 2000

[system.decode]
num_gpu_blocks_override = {decode_blocks}
"#
            ),
        );
        place.succeed(&["run", "x.toml"]);
        let names = ["steps_pools_prefill", "run_pools_prefill", "steps_pools_decode", "run_pools_decode"];
        names.map(|name| place.text(&format!("results/x/figures/{name}.svg")))
    };
    let (small, large) = (timeline(2000), timeline(20_000));
    assert!(small[..2] == large[..2], "the decode pool's cache changes the figure of a prefill replica");
    assert!(small[2] != large[2] && small[3] != large[3], "the decode replica is drawn with its own cache");
    for (figure, title) in [(0, "pools, prefill replica 0"), (2, "pools, decode replica 1")] {
        let described = format!("<title>Timeline of {title}</title>");
        assert!(small[figure].contains(&described), "no {described}");
    }
}

#[test]
fn layers_leave_by_groups_where_the_prefill_pool_computes_them_by_groups() {
    let layered = r#"scheduler = { policy = "layered-prefill", groups = "fixed", num_groups = 4 }"#;
    let wait = |mode: &str| {
        let pools = pools_with(&[
            (r#"scheduler = { policy = "prefill-first", max_num_batched_tokens = 8192 }"#, layered),
            ("push-by-layer", mode),
        ]);
        let said = json(&place(&pools), &["run", "x.toml", "--json", "--no-figures"]);
        number(measures(&said, "pools"), "mean_handover_wait_ms")
    };
    let (pushed, after) = (wait("push-by-layer"), wait("after-prefill"));
    // Of four groups the last one's quarter shows, and the latency.
    assert!(pushed < 0.5 * after, "{pushed} ms pushed by groups, {after} ms after the prompt");
}
