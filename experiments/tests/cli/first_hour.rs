//! The guide for newcomers does what it says: its files are written, its commands run, in its order.

use std::path::Path;

use super::support::Place;

/// The fenced blocks of a page: what stands behind the fence, and the lines within.
fn blocks(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut open = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(word) if !open => {
                blocks.push((word, Vec::new()));
                open = true;
            }
            Some(_) => open = false,
            None if open => blocks.last_mut().expect("one is open").1.push(line),
            None => {}
        }
    }
    blocks
}

#[test]
fn every_file_and_command_of_the_first_hour_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let page = std::fs::read_to_string(root.join("docs/first-hour.md")).expect("it is there");
    let place = Place::new();
    let experiments = std::fs::read_dir(root.join("experiments")).expect("it is there").flatten();
    for file in experiments.filter(|file| file.path().extension().is_some_and(|end| end == "toml")) {
        let text = std::fs::read_to_string(file.path()).expect("it can be read");
        place.write(&format!("experiments/{}", file.file_name().to_string_lossy()), &text);
    }
    let (mut files, mut commands) = (0, 0);
    for (word, lines) in blocks(&page) {
        match word.split_once(' ') {
            Some((_, name)) => {
                place.write(name, &(lines.join("\n") + "\n"));
                files += 1;
            }
            None if word == "console" => {
                for command in lines {
                    let words = command.strip_prefix("$ servesim ").expect("a command of this program");
                    let mut words: Vec<&str> = words.split(' ').collect();
                    if words[0] == "run" {
                        // Drawing takes most of the time without optimisation, and other tests do it.
                        words.push("--no-figures");
                    }
                    place.succeed(&words);
                    commands += 1;
                }
            }
            None => {}
        }
    }
    assert!(files >= 4 && commands >= 10, "{files} files and {commands} commands");
    let requests = place.text("results/with_trace/requests.csv");
    let cached = |line: &str| line.split(',').nth(5).expect("a column").to_owned();
    let lines: Vec<&str> = requests.lines().collect();
    assert_eq!(cached(lines[0]), "cached_tokens");
    assert!(cached(lines[4]).parse::<u32>().expect("a count") >= 608, "{requests}");
}
