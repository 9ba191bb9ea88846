//! What the docs name is there: files, functions, tests.

use std::fs;
use std::path::{Path, PathBuf};

/// All files with this ending in a folder and those in it.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_str().is_some_and(|path| path.ends_with(ending)) {
            found.push(path);
        }
    }
}

/// What stands between pairs of backquotes.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The lines outside of pictures.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2).flat_map(str::lines)
}

#[test]
fn each_function_that_the_tour_names_is_in_its_file() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let tour = fs::read_to_string(src.join("tour.md")).unwrap();
    let mut checked = 0;
    for line in prose(&tour) {
        // `file`: `function`, `function`; `file`: ...
        let mut file: Option<(&str, String)> = None;
        // Texts and names in turn.
        let mut parts = line.split('`');
        while let (Some(between), Some(word)) = (parts.next(), parts.next()) {
            let goes_on = matches!(between, ": " | ", ");
            if word.ends_with(".rs") {
                let text =
                    fs::read_to_string(src.join(word)).unwrap_or_else(|_| panic!("no file {word}: {line}"));
                file = Some((word, text));
                checked += 1;
            } else if let Some((name, text)) = file.as_ref().filter(|_| goes_on) {
                assert!(text.contains(&format!("fn {word}")), "no function {word} in {name}: {line}");
                checked += 1;
            } else {
                file = None;
            }
        }
    }
    assert!(checked > 60, "only {checked} names were found");
}

#[test]
fn each_test_that_the_tour_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(&root.join("tests"), ".rs", &mut paths);
    files(&root.join("src"), ".rs", &mut paths);
    let code: String = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let tour = fs::read_to_string(root.join("src/tour.md")).unwrap();
    let invariants = tour.split("# 6.").nth(1).and_then(|rest| rest.split("# 7.").next()).unwrap();
    let names: Vec<_> = invariants.lines().flat_map(quoted).collect();
    assert!(names.len() > 12);
    for name in names {
        assert!(code.contains(&format!("fn {name}()")), "no test {name}");
    }
}
