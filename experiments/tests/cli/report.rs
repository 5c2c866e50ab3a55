//! `servesim report`: the page as its readers use it, in a real browser, and what is said when it cannot be made.

use std::collections::BTreeMap;

use super::browser::Browser;
use super::support::Place;
use super::sweep;

/// Results of the small experiment (two systems, two seeds, all steps recorded), and their page.
fn reported() -> Place {
    let place = Place::with_small(&[("perfetto = true", "perfetto = false")]);
    place.succeed(&["run", "x.toml", "-o", "out"]);
    place.succeed(&["report", "out"]);
    place
}

/// Rows of a table, by the names of its columns.
fn rows(place: &Place, table: &str) -> Vec<BTreeMap<String, String>> {
    let text = place.text(table);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().expect("a header").clone();
    let row =
        |record: csv::StringRecord| names.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect();
    reader.records().map(|record| row(record.expect("well formed"))).collect()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} is {:?}", row[column]))
}

/// The number that a text begins with, as the page writes it, in base units.
fn shown(text: &str) -> f64 {
    let plain: String = text.trim().replace('\u{202f}', "").replace('−', "-");
    let end = plain.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(plain.len());
    let factor = match &plain[end..] {
        unit if unit.starts_with("ms") => 1e-3,
        unit if unit.starts_with("µs") => 1e-6,
        _ => 1.0,
    };
    plain[..end].parse::<f64>().unwrap_or_else(|_| panic!("`{text}` begins with no number")) * factor
}

fn assert_near(a: f64, b: f64, what: &str) {
    assert!((a - b).abs() <= 6e-4 * b.abs().max(1e-9), "{what}: {a} is not {b}");
}

/// Opens the page of `place`, does what `visit` says, and checks that the page kept quiet and to itself.
fn visit(test: &str, place: &Place, page: &str, visit: impl FnOnce(&Browser)) {
    let Some(browser) = Browser::start(test) else { return };
    let path = place.path(page);
    browser.open(&path);
    visit(&browser);
    assert_eq!(browser.console(), Vec::<String>::new(), "the console stays empty");
    let own = format!("file://{}", path.display());
    let requested = browser.requested_by(&own);
    assert_eq!(requested, [own], "the page needs nothing but itself");
}

/// The texts of a column of a table, by its title; the first word of a header is enough.
fn column(browser: &Browser, table: &str, title: &str) -> (String, Vec<String>) {
    let titles = browser.texts(&format!("{table} thead th"));
    let at = titles
        .iter()
        .position(|there| there.starts_with(title))
        .unwrap_or_else(|| panic!("{title} is not in {titles:?}"));
    let header = format!("{table} thead th:nth-child({}) button", at + 1);
    (header, browser.texts(&format!("{table} tbody tr > :nth-child({})", at + 1)))
}

#[test]
fn tables_sort_by_the_column_that_is_clicked() {
    let place = reported();
    visit("tables_sort_by_the_column_that_is_clicked", &place, "out/report.html", |browser| {
        let (header, before) = column(browser, "#runs-table", "mean_ttft_ms");
        let mut wanted: Vec<f64> =
            rows(&place, "out/summary.csv").iter().map(|row| number(row, "mean_ttft_ms")).collect();
        let as_written: Vec<f64> = before.iter().map(|text| shown(text)).collect();
        for (shown, wanted) in as_written.iter().zip(&wanted) {
            assert_near(*shown, *wanted, "the table begins in the order of the file");
        }
        wanted.sort_by(f64::total_cmp);
        assert!(!as_written.is_sorted() || !as_written.iter().rev().is_sorted(), "sorting has something to do");
        for (direction, values) in
            [("ascending", wanted.clone()), ("descending", wanted.iter().rev().copied().collect())]
        {
            browser.click(&header);
            let (_, after) = column(browser, "#runs-table", "mean_ttft_ms");
            assert_eq!(after.len(), values.len());
            for (text, value) in after.iter().zip(&values) {
                assert_near(shown(text), *value, direction);
            }
            let sort = browser.texts(&format!("#runs-table th[aria-sort='{direction}']"));
            assert!(sort.len() == 1 && sort[0].starts_with("mean_ttft_ms"), "{direction}: {sort:?}");
        }
        let (_, names) = column(browser, "#comparison-table", "Measure");
        let (_, means) = column(browser, "#comparison-table", "chunked");
        let at = names.iter().position(|name| name.starts_with("mean_ttft_ms")).expect("a leading measure");
        let intervals = rows(&place, "out/intervals.csv");
        let is_it = |row: &&BTreeMap<String, String>| row["system"] == "chunked" && row["measure"] == "mean_ttft_ms";
        let interval = intervals.iter().find(is_it).expect("it has an interval");
        let half = (number(interval, "mean_high") - number(interval, "mean_low")) / 2.0;
        let said = means[at].split_once(" ± ").map(|(_, half)| shown(half)).expect("the interval is shown");
        assert!((said - half).abs() < 0.0051, "{} is not ± {half}", means[at]);
        // Words sort as words, and a key does what a click does.
        let (header, _) = column(browser, "#comparison-table", "Measure");
        browser.run(&format!("document.querySelector({header:?}).focus()"));
        browser.press("\u{e007}");
        let (_, names) = column(browser, "#comparison-table", "Measure");
        assert!(names.len() > 5 && names.is_sorted(), "{names:?}");
    });
}

#[test]
fn pointing_at_a_distribution_tells_the_share_of_requests() {
    let place = reported();
    visit("pointing_at_a_distribution_tells_the_share_of_requests", &place, "out/report.html", |browser| {
        let hidden = || browser.run("return document.getElementById('tip').hidden");
        assert_eq!(hidden(), true, "nothing is pointed at");
        let [left, top, width, height] = browser.place("#distributions .chart");
        let requests = rows(&place, "out/requests.csv");
        for along in [0.4, 0.6] {
            browser.point(left + width * along, top + height * 0.4);
            assert_eq!(hidden(), false, "the box shows");
            let lines = browser.texts("#tip > div");
            let limit = shown(lines[0].strip_prefix("TTFT ≤ ").expect("the box names the limit"));
            for (system, line) in ["chunked", "first"].iter().zip(&lines[1..]) {
                let share = shown(line.strip_prefix(&format!("{system}: ")).expect("the box names the system"));
                let times: Vec<f64> =
                    requests.iter().filter(|row| row["system"] == *system).map(|row| number(row, "ttft_s")).collect();
                // The limit is written with four digits, so requests that near may be on either side.
                let below = |limit: f64| {
                    100.0 * times.iter().filter(|time| **time <= limit).count() as f64 / times.len() as f64
                };
                let (low, high) = (below(limit * 0.9994), below(limit * 1.0006));
                assert!(
                    (low - 0.01..=high + 0.01).contains(&share),
                    "{system} at {limit} s: {share} %, not {low} to {high} %"
                );
            }
        }
        browser.point(left + width / 2.0, top - 60.0);
        assert_eq!(hidden(), true, "the pointer has gone");
        browser.run("document.querySelector('#distributions .chart').focus()");
        browser.press("\u{e014}");
        assert_eq!(hidden(), false, "an arrow key shows the box as well");
    });
}

/// From when to when the timeline shows, in seconds, and how many steps it says are in sight.
fn window(browser: &Browser) -> (f64, f64, usize) {
    let data =
        browser.run("const d = document.querySelector('#timeline canvas').dataset; return [d.from, d.to, d.steps]");
    let number = |at: usize| data[at].as_str().expect("it is set").parse::<f64>().expect("a number");
    let steps = number(2) as usize;
    let status = browser.text("#timeline-status").replace('\u{202f}', "");
    assert!(status.ends_with(&format!("{steps} steps in sight")), "{status}");
    (number(0), number(1), steps)
}

#[test]
fn the_timeline_zooms_pans_and_tells_single_steps() {
    let place = reported();
    visit("the_timeline_zooms_pans_and_tells_single_steps", &place, "out/report.html", |browser| {
        let steps: Vec<_> = rows(&place, "out/steps.csv")
            .into_iter()
            .filter(|row| row["system"] == "chunked" && row["seed"] == "1")
            .collect();
        let span = |row: &BTreeMap<String, String>| {
            (number(row, "start_s"), number(row, "start_s") + number(row, "duration_s"))
        };
        let (from, to, all) = window(browser);
        assert_eq!(all, steps.len(), "the whole run is in sight");
        let begin = steps.iter().map(|row| span(row).0).fold(f64::MAX, f64::min);
        let end = steps.iter().map(|row| span(row).1).fold(0.0, f64::max);
        assert!((from - begin).abs() < 2e-6 && (to - end).abs() < 2e-6, "{from} to {to}, not {begin} to {end}");

        let [left, top, width, _] = browser.place("#timeline canvas");
        // The axis leaves room for labels: 74 pixels on the left, 10 on the right.
        let x_of = |time: f64, (from, to): (f64, f64)| left + 74.0 + (time - from) / (to - from) * (width - 84.0);
        let lane = |replica: &str| top + 38.0 + 84.0 * replica.parse::<f64>().expect("a number") + 50.0;
        let middle = &steps[steps.len() / 2];
        let at = x_of(f64::midpoint(span(middle).0, span(middle).1), (from, to));
        browser.run("document.querySelector('#timeline canvas').focus()");
        let later = |than: f64| format!("return +document.querySelector('#timeline canvas').dataset.from > {than}");
        let mut closer = (from, to, all);
        for _ in 0..3 {
            browser.wheel(at, lane(&middle["replica"]), -240);
            browser.wait_until("the wheel has zoomed in", &later(closer.0));
            let before = closer;
            closer = window(browser);
            let factor = (closer.1 - closer.0) / (before.1 - before.0);
            assert_near(factor, (-0.6_f64).exp(), "240 pixels of the wheel");
        }
        let in_sight = steps.iter().filter(|row| span(row).1 >= closer.0 && span(row).0 < closer.1).count();
        assert!(closer.2.abs_diff(in_sight) <= 2 && closer.2 < all, "{} steps are in sight, not {in_sight}", closer.2);

        let at = x_of(f64::midpoint(span(middle).0, span(middle).1), (closer.0, closer.1));
        browser.point(at, lane(&middle["replica"]));
        let box_lines = browser.texts("#tip > div");
        let of_step = |name: &str| {
            let found = box_lines.iter().find_map(|line| line.strip_prefix(name).map(str::to_owned));
            found.unwrap_or_else(|| panic!("{box_lines:?} says nothing of {name}"))
        };
        assert!((shown(&of_step("Start: ")) - number(middle, "start_s")).abs() < 2e-6, "{box_lines:?}");
        assert_near(shown(&of_step("Duration: ")), number(middle, "duration_s"), "the duration");
        assert_near(shown(&of_step("Prompt tokens: ")), number(middle, "prefill_tokens"), "the tokens");
        assert_near(shown(&of_step("Free KV blocks: ")), number(middle, "free_kv_blocks"), "the free blocks");
        browser.click_at(at, lane(&middle["replica"]));
        let kept = browser.texts("#step dd");
        assert!((shown(&kept[1]) - number(middle, "start_s")).abs() < 2e-6, "a click keeps the step: {kept:?}");
        browser.press(".");
        let next = browser.texts("#step dd");
        assert!(shown(&next[1]) > shown(&kept[1]), "full stop goes on to the next step: {next:?}");

        browser.drag((left + width / 2.0, top + 80.0), (left + width / 2.0 + 100.0, top + 80.0));
        browser.wait_until(
            "a drag to the right shows what was before",
            &format!("return !({})", &later(closer.0 - 1e-9)[7..]),
        );
        let panned = window(browser);
        assert_near(panned.1 - panned.0, closer.1 - closer.0, "panning keeps the width");
        assert_near(
            closer.0 - panned.0,
            100.0 / (width - 84.0) * (closer.1 - closer.0),
            "what was grabbed stays at the pointer",
        );
        browser.press("0");
        browser.wait_until(
            "0 shows the whole run",
            &format!("return document.querySelector('#timeline canvas').dataset.from === '{from}'"),
        );
        assert_eq!(window(browser), (from, to, all));
        browser.run("document.activeElement.blur()");
        browser.wheel(left + width / 2.0, top + 60.0, 240);
        browser.wait_until(
            "without the focus, the wheel scrolls the page",
            &format!("return document.querySelector('#timeline canvas').getBoundingClientRect().top < {top} - 100"),
        );
        assert_eq!(window(browser), (from, to, all), "and does not zoom");
    });
}

#[test]
fn a_picked_request_tells_its_life_and_leads_to_its_steps() {
    let place = reported();
    visit("a_picked_request_tells_its_life_and_leads_to_its_steps", &place, "out/report.html", |browser| {
        let requests = rows(&place, "out/requests.csv");
        let row = requests
            .iter()
            .filter(|row| row["system"] == "chunked" && row["seed"] == "1")
            .nth(17)
            .expect("60 requests");
        browser.click("#request-id");
        browser.press(&format!("{}\u{e007}", row["id"]));
        assert_eq!(browser.text("#request h3"), format!("Request {} of chunked, seed 1", row["id"]));
        let names = browser.texts("#request dt");
        let values = browser.texts("#request dd");
        let said = |name: &str| &values[names.iter().position(|there| there == name).expect("it is told")];
        for (name, column) in
            [("Queueing", "queue_s"), ("TTFT", "ttft_s"), ("End to end", "e2e_s"), ("Energy", "energy_j")]
        {
            assert_near(shown(said(name)), number(row, column), name);
        }
        assert_near(shown(said("Prompt")), number(row, "input_tokens"), "the prompt");
        browser.click("#show-steps");
        let (arrival, end) = (number(row, "arrival_s"), number(row, "arrival_s") + number(row, "e2e_s"));
        browser.wait_until(
            "the timeline shows the request's life",
            &format!("const d = document.querySelector('#timeline canvas').dataset; return d.from <= {arrival} && d.to >= {end} && d.to - d.from < {}", 1.5 * (end - arrival)),
        );
    });
}

/// What a request did in each step it was in, from the schedule: number of the step on its replica, phase, tokens and those
/// whose keys and values were there before.
fn steps_of(place: &Place, system: &str, seed: u64, id: u64) -> Vec<(u64, &'static str, u64, u64)> {
    let file = std::fs::File::open(place.path("out/schedule.jsonl.gz")).expect("it was recorded");
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(file)).expect("gzip");
    let (mut found, mut is_it) = (Vec::new(), false);
    let mut numbers: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        if let Some(run) = line.get("run") {
            is_it = run["system"] == system && run["seed"] == seed;
        }
        let Some(step) = line.get("step").filter(|_| is_it) else { continue };
        let whole = |value: &serde_json::Value| value.as_u64().expect("a count");
        let number = numbers.entry((whole(&step["replica"]), whole(&step["slot"]))).or_default();
        *number += 1;
        for piece in step["prefill"].as_array().expect("a list").iter().filter(|piece| piece["request"] == id) {
            found.push((*number, "prefill", whole(&piece["new_tokens"]), whole(&piece["context_tokens"])));
        }
        for member in step["decode"].as_array().expect("a list").iter().filter(|member| member[0] == id) {
            found.push((*number, "decode", 1, whole(&member[1]) - 1));
        }
    }
    found
}

#[test]
fn a_picked_request_lists_the_steps_it_took_part_in_and_each_leads_to_the_timeline() {
    let place = Place::with_small(&[
        ("perfetto = true", "record_steps = true"),
        ("max_num_batched_tokens = 512", "max_num_batched_tokens = 128"),
    ]);
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
    place.succeed(&["report", "out"]);
    let test = "a_picked_request_lists_the_steps_it_took_part_in_and_each_leads_to_the_timeline";
    visit(test, &place, "out/report.html", |browser| {
        let requests = rows(&place, "out/requests.csv");
        let long = |row: &&BTreeMap<String, String>| {
            row["system"] == "chunked"
                && row["seed"] == "1"
                && number(row, "input_tokens") > 600.0
                && number(row, "output_tokens") > 20.0
        };
        let row = requests.iter().find(long).expect("a prompt of several chunks");
        browser.click("#request-id");
        browser.press(&format!("{}\u{e007}", row["id"]));
        let wanted = steps_of(&place, "chunked", 1, row["id"].parse().expect("a number"));
        let chunks: Vec<_> = wanted.iter().filter(|step| step.1 == "prefill").collect();
        assert!(chunks.len() > 3, "{wanted:?}");
        let computed = number(row, "input_tokens") - number(row, "cached_tokens");
        assert_near(chunks.iter().map(|step| step.2 as f64).sum(), computed, "chunks make up what was not cached");
        assert_near(
            (wanted.len() - chunks.len()) as f64,
            number(row, "output_tokens") - 1.0,
            "the first token is the prompt's",
        );
        let said = browser.text("#taking-part p");
        assert!(said.starts_with(&format!("Took part in {} steps: ", wanted.len())), "{said}");
        while browser
            .run("const more = document.querySelector('#taking-part .more button'); more?.click(); return !!more")
            == true
        {}
        let of = |title: &str| column(browser, "#taking-part", title).1;
        let (steps, what, tokens, before) = (of("Step"), of("What"), of("Tokens"), of("KV before"));
        let (starts, durations) = (of("Start"), of("Duration"));
        assert_eq!(steps.len(), wanted.len());
        for (at, wanted) in wanted.iter().enumerate() {
            let shown = (shown(&steps[at]), what[at].as_str(), shown(&tokens[at]), shown(&before[at]));
            assert_eq!(shown, (wanted.0 as f64, wanted.1, wanted.2 as f64, wanted.3 as f64), "step {at} of its life");
        }
        let (arrival, end) = (number(row, "arrival_s"), number(row, "arrival_s") + number(row, "e2e_s"));
        assert!(
            (shown(&starts[0]) - arrival - number(row, "queue_s")).abs() < 2e-6,
            "it leaves the queue into its first step"
        );
        let last = shown(&starts[starts.len() - 1]) + shown(&durations[durations.len() - 1]);
        assert!((last - end).abs() < 1e-3 * end, "its last step ends with it: {last}, not {end}");
        browser.click(&format!("#taking-part tbody tr:nth-child({})", chunks.len() + 2));
        let kept = browser.texts("#step dd");
        assert!(
            (shown(&kept[1]) - shown(&starts[chunks.len() + 1])).abs() < 2e-6,
            "a click chooses the step: {kept:?}"
        );
        assert!(browser.text("#step h3").starts_with(&format!("Step {} of", wanted[chunks.len() + 1].0)));
    });
}

#[test]
fn the_deployments_of_a_plan_sort_and_their_frontier_answers_to_the_pointer() {
    let place = super::plan::deployments::place(&[]);
    place.succeed(&["plan", "x.toml", "-o", "out"]);
    place.succeed(&["report", "out"]);
    let test = "the_deployments_of_a_plan_sort_and_their_frontier_answers_to_the_pointer";
    visit(test, &place, "out/report.html", |browser| {
        let plan = rows(&place, "out/plan.csv");
        let of = |status: &str| plan.iter().filter(|row| row["status"] == status).collect::<Vec<_>>();
        let winner = plan.iter().find(|row| row["winner"] == "true").expect("there is a plan");
        let facts = browser.texts("#deployments > dl dd");
        assert_eq!(facts[0], winner["deployment"]);
        assert_eq!(facts[1..3], [of("serves").len().to_string(), of("misses").len().to_string()]);
        assert_eq!(browser.text("#deployment h3"), winner["deployment"], "the plan is described from the beginning");

        // The box tells which deployment lies under the pointer, and what it costs and buys.
        let [left, top, width, height] = browser.place("#frontier .ring");
        browser.point(left + width / 2.0, top + height / 2.0);
        let lines = browser.texts("#tip > div");
        assert_eq!(lines[0], winner["deployment"]);
        for (title, column, factor) in
            [("Cost", "usd_per_hour", 1.0), ("P99 TTFT", "p99_ttft_ms", 1e-3), ("P99 TBT", "p99_itl_ms", 1e-3)]
        {
            let line = lines.iter().find_map(|line| line.strip_prefix(&format!("{title}: "))).expect("a measure");
            assert_near(shown(line), factor * number(winner, column), title);
        }
        let points = |browser: &Browser| browser.run("return document.querySelectorAll('#frontier .mark').length");
        assert_eq!(points(browser), of("serves").len(), "one point for each that serves");
        browser.click("#deployments input[type=checkbox]");
        assert_eq!(points(browser), of("serves").len() + of("misses").len(), "and for those that miss, if asked for");
        assert_eq!(browser.texts("#frontier-up option").len(), 3, "energy is not known here, and not offered");

        let (header, before) = column(browser, "#deployments-table", "Cost");
        assert_eq!(before.len(), of("serves").len());
        browser.click(&header);
        browser.click(&header);
        let (_, names) = column(browser, "#deployments-table", "Deployment");
        let (_, costs) = column(browser, "#deployments-table", "Cost");
        let costs: Vec<f64> = costs.iter().map(|text| shown(text)).collect();
        assert!(costs.iter().rev().is_sorted() && costs[0] > costs[costs.len() - 1], "{costs:?}");
        browser.click("#deployments-table tbody tr:nth-child(1)");
        assert_eq!(browser.text("#deployment h3"), names[0], "a click describes the deployment");

        browser.run("const kinds = document.querySelector('#deployments-shown'); kinds.selectedIndex = 3; kinds.dispatchEvent(new Event('change'))");
        let (_, reasons) = column(browser, "#deployments-table", "Why not");
        let mut reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
        let mut wanted: Vec<&str> = of("not simulated").iter().map(|row| row["reason"].as_str()).collect();
        reasons.sort_unstable();
        wanted.sort_unstable();
        assert!(!wanted.is_empty() && reasons == wanted, "{reasons:?}");
        assert!(browser.text("#what").contains("Searched"), "what was searched is told");
        assert!(browser.text("#lock").contains("servesim plan experiment.lock.toml"));
    });
}

#[test]
fn what_was_not_recorded_or_left_out_is_said() {
    let place = Place::with_small(&[("steps = true", "steps = false")]);
    place.succeed(&["run", "x.toml", "-o", "out"]);
    let said = place.succeed(&["report", "out", "--requests", "50"]);
    assert!(
        said.stderr
            .contains("This page has 50 of 240 requests: 2 of 4 runs, 2 of them cut after their first 25 requests."),
        "{}",
        said.stderr
    );
    visit("what_was_not_recorded_or_left_out_is_said", &place, "out/report.html", |browser| {
        let steps = browser.text("#steps");
        assert!(steps.contains("--set output.steps=true -o NEW_FOLDER"), "{steps}");
        assert!(browser.text("#requests").contains("50 of 240 requests"), "the page says it as well");
        assert_eq!(browser.texts("#request-list tbody tr").len(), 15, "a first page of them");
        assert!(browser.text("#evidence").contains("fitted"), "evidence is told");
    });
}

#[test]
fn a_goodput_folder_has_a_page_with_curves() {
    let place = Place::with_small(&[]);
    place.succeed(&["goodput", "x.toml", "-o", "out", "--set", "goodput.tolerance=0.2"]);
    place.succeed(&["report", "out", "-o", "page.html"]);
    visit("a_goodput_folder_has_a_page_with_curves", &place, "page.html", |browser| {
        let (_, systems) = column(browser, "#table-0", "system");
        assert_eq!(systems, ["chunked", "first"]);
        let [left, top, width, height] = browser.place("#curves .chart");
        browser.point(left + width * 0.5, top + height * 0.5);
        let lines = browser.texts("#tip > div");
        let probes = rows(&place, "out/probes.csv");
        let (share, rate) =
            lines[1].strip_prefix("chunked: ").and_then(|line| line.split_once(" at ")).expect("share and rate");
        let near = |row: &&BTreeMap<String, String>| {
            row["system"] == "chunked" && (number(row, "rate") / shown(rate) - 1.0).abs() < 6e-4
        };
        let seeds: Vec<f64> = probes.iter().filter(near).map(|row| number(row, "slo_attainment")).collect();
        assert!(!seeds.is_empty(), "{rate} was probed");
        assert_near(shown(share), 100.0 * seeds.iter().sum::<f64>() / seeds.len() as f64, "the mean over seeds");
    });
}

#[test]
fn a_sweep_has_a_page_that_compares_at_each_point() {
    let place = sweep::place(sweep::SWEPT);
    place.succeed(&["sweep", "x.toml", "-o", "out"]);
    place.succeed(&["report", "out"]);
    visit("a_sweep_has_a_page_that_compares_at_each_point", &place, "out/report.html", |browser| {
        let changes = rows(&place, "out/comparison.csv");
        let points = [("10", "256"), ("10", "512"), ("20", "256"), ("20", "512")];
        for (point, (rate, tokens)) in points.into_iter().enumerate() {
            let choose = format!(
                "const select = document.querySelector('#comparison select'); select.selectedIndex = {point}; \
                 select.dispatchEvent(new Event('change'))"
            );
            browser.run(&choose);
            let (_, names) = column(browser, "#comparison-table", "Measure");
            let (_, means) = column(browser, "#comparison-table", "first");
            let at = names.iter().position(|name| name.starts_with("mean_ttft_ms")).expect("a leading measure");
            let is_of = |row: &&BTreeMap<String, String>| {
                row["workload.rate"] == rate
                    && row["system.scheduler.max_num_batched_tokens"] == tokens
                    && row["measure"] == "mean_ttft_ms"
            };
            let row = changes.iter().find(is_of).expect("it is compared");
            assert_near(shown(&means[at]), number(row, "system_mean"), rate);
        }
        let (header, _) = column(browser, "#runs-table", "system.scheduler");
        browser.click(&header);
        let (_, tokens) = column(browser, "#runs-table", "system.scheduler");
        assert_eq!(tokens, [["256"; 8], ["512"; 8]].concat(), "keys sort as numbers");
        assert_eq!(browser.run("return document.querySelectorAll('#curves path.series').length"), 2);
        // Curves carry the intervals of the tables.
        browser.run(
            "const select = document.querySelector('#curve-measure'); \
             select.selectedIndex = [...select.options].findIndex((option) => option.text === 'mean_ttft_ms'); \
             select.dispatchEvent(new Event('change'))",
        );
        let note = browser.text("#curves .note");
        assert!(note.ends_with("Bars are 95 % intervals (seeds: Student's t over 2)."), "{note}");
        let [left, top, width, height] = browser.place("#curves .chart");
        browser.point(left + width * 0.95, top + height * 0.5);
        let lines = browser.texts("#tip > div");
        let (_, range) = lines[1].split_once('(').expect("an interval");
        let (low, high) = range.split_once(" … ").expect("two ends");
        let intervals = rows(&place, "out/intervals.csv");
        let is_of = |row: &&BTreeMap<String, String>| {
            let at = (row["workload.rate"].as_str(), row["system.scheduler.max_num_batched_tokens"].as_str());
            at == ("20", "256") && row["system"] == "chunked" && row["measure"] == "mean_ttft_ms"
        };
        let row = intervals.iter().find(is_of).expect("it has an interval");
        // Times are read in seconds.
        assert_near(1e3 * shown(high), number(row, "mean_high"), "the upper end");
        let floor = number(row, "mean_low").max(0.0);
        assert!((1e3 * shown(low) - floor).abs() <= 1e-3 * floor, "{low} is not {floor}");
    });
}

#[test]
fn a_skewed_interval_of_one_run_is_shown_by_its_ends() {
    let changes = [("seeds = [1, 2]", "seeds = [1]"), ("requests = 60", "requests = 4000"), ("steps = true", "")];
    let place = Place::with_small(&[changes.as_slice(), &[("perfetto = true", "")]].concat());
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
    place.succeed(&["report", "out"]);
    visit("a_skewed_interval_of_one_run_is_shown_by_its_ends", &place, "out/report.html", |browser| {
        let (_, names) = column(browser, "#comparison-table", "Measure");
        let (_, cells) = column(browser, "#comparison-table", "first");
        let intervals = rows(&place, "out/intervals.csv");
        let mut skewed = 0;
        for row in intervals.iter().filter(|row| row["system"] == "first" && !row["mean_low"].is_empty()) {
            let Some(at) = names.iter().position(|name| name.starts_with(&row["measure"])) else { continue };
            let (low, mean, high) = (number(row, "mean_low"), number(row, "mean"), number(row, "mean_high"));
            let off = (low + high - 2.0 * mean).abs() / (high - low);
            if off > 0.05 {
                skewed += 1;
                assert!(cells[at].contains(" … ") && !cells[at].contains('±'), "{}: {off}", cells[at]);
            } else if off < 0.001 {
                assert!(cells[at].contains('±'), "{}: {off}", cells[at]);
            }
        }
        assert!(skewed > 0, "{cells:?}");
    });
}

#[test]
fn a_folder_that_cannot_be_shown_is_an_error_that_says_why() {
    let place = Place::new();
    let none = place.fail(2, &["report", "nowhere"]);
    assert!(none.contains("cannot read nowhere"), "{none}");
    place.write("empty/x.txt", "");
    let empty = place.fail(2, &["report", "empty"]);
    assert!(empty.contains("empty holds no results"), "{empty}");
    place.write("broken/summary.csv", "system,seed,mean_ttft_ms\na,1,2\n");
    place.write("broken/requests.csv", "system,seed,id\na,1,2\n");
    let broken = place.fail(2, &["report", "broken"]);
    assert!(broken.contains("requests.csv has no column `"), "{broken}");
}

#[test]
fn runs_that_were_never_steady_are_warned_of() {
    let place = Place::new();
    let rows = ["a,1,60,overloaded", "a,2,60,steady", "b,1,60,unsteady", "b,2,60,unsteady"];
    place.write("out/summary.csv", &format!("system,seed,requests,steadiness\n{}\n", rows.join("\n")));
    let said = place.succeed(&["report", "out"]).stderr;
    for part in ["1 of 2 runs of a were overloaded", "2 of 2 runs of b never came to a steady state", "no lock file"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains("runs of a never"), "{said}");
}

#[test]
fn results_of_another_version_or_of_parquet_have_a_page_too() {
    let place = Place::with_small(&[]);
    place.succeed(&["run", "x.toml", "-o", "out", "--format", "parquet"]);
    let lock = place.text("out/experiment.lock.toml");
    place.write(
        "out/experiment.lock.toml",
        &lock.replace(&format!("servesim = \"{}\"", env!("CARGO_PKG_VERSION")), "servesim = \"0.0.7\""),
    );
    let said = place.succeed(&["report", "out"]);
    assert!(said.stderr.contains("written by servesim 0.0.7"), "{}", said.stderr);
    let csv = reported().text("out/report.html");
    let parquet = place.text("out/report.html");
    let steps = |page: &str| {
        page.split_once("\"steps\":{")
            .expect("it has steps")
            .1
            .split_once("\"lock\":")
            .expect("and a lock")
            .0
            .to_owned()
    };
    assert!(steps(&csv) == steps(&parquet), "the same steps are in both pages");
}
