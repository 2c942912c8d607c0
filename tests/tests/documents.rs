//! What `ARCHITECTURE.md`, `CONTRIBUTING.md` and the READMEs name exists.
#![allow(clippy::unwrap_used, reason = "a test that cannot read the tree fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The code spans of a page, without those in fenced blocks.
fn spans(page: &str) -> Vec<&str> {
    let outside = page.split("```").step_by(2);
    outside.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

/// Whether a code span names a file or folder: `core/src/`, `runtime.rs`, `.ci/run`.
fn is_path(span: &str) -> bool {
    let of_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let file = [".rs", ".md", ".toml", ".sh", ".mjs"].iter().any(|end| span.ends_with(end));
    span.chars().all(of_path) && (span.contains('/') || file)
}

#[test]
fn paths_in_the_documents_exist() {
    let documents =
        ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "README.md", "tests/README.md"];
    let mut found = 0;
    for document in documents {
        let page = read(document);
        for path in spans(&page).into_iter().filter(|span| is_path(span)) {
            let places = [
                "",
                "core/driver/src",
                "core/driver/src/socketio",
                "core/driver/cluster/src/redis",
                "core/ffi/src",
                "core/browser/src",
                "tests",
            ];
            let exists = places.iter().any(|place| root().join(place).join(path).exists());
            assert!(exists, "{document} names {path}, which does not exist");
            found += 1;
        }
    }
    assert!(found > 50, "only {found} paths were found: is the reading of the pages broken?");
}

#[test]
fn every_part_of_the_core_and_every_file_of_the_driver_is_in_the_architecture() {
    let page = read("ARCHITECTURE.md");
    let named = spans(&page);
    for parts in ["core/src", "core/socketio/src"] {
        for entry in fs::read_dir(root().join(parts)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                let folder = format!("{parts}/{}/", entry.file_name().display());
                let is_named = named.iter().any(|span| span.starts_with(&folder));
                assert!(is_named, "{folder} is not named");
            }
        }
    }
    for folder in ["core/driver/src", "core/driver/cluster/src/redis"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let minor = [
                "lib.rs",
                "mod.rs",
                "trace.rs",
                "listen.rs",
                "reader.rs",
                "writer.rs",
                "scratch.rs",
            ];
            let minor = minor.contains(&&*name) || !name.ends_with(".rs");
            assert!(minor || named.contains(&&*name), "{name} is not named");
        }
    }
}

#[test]
fn tests_of_the_reports_exist() {
    let page = read("tests/README.md");
    let (_, section) = page.split_once("\n## Reports\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<_> = section.lines().filter(|line| line.contains("` `")).collect();
    for row in &rows {
        let mut source = None;
        for span in spans(row) {
            if is_path(span) {
                let places = ["tests", ""].map(|place| root().join(place).join(span));
                let place = places.iter().find(|place| place.is_file());
                let place = place.unwrap_or_else(|| panic!("{span} does not exist: {row}"));
                source = Some(fs::read_to_string(place).unwrap());
                continue;
            }
            let source = source.as_ref().unwrap_or_else(|| panic!("no file before {span}: {row}"));
            let is_test = [
                format!("fn {span}("),
                format!("fn {span}<"),
                format!("{span}\""),
                format!("{span} ("),
            ];
            let exists = is_test.iter().any(|text| source.contains(text));
            assert!(exists, "there is no test {span}: {row}");
        }
    }
    assert!(rows.len() > 45, "only {} rows were found", rows.len());
}

/// Clients are refused that come between the two.
#[test]
fn examples_make_their_namespaces_before_they_listen() {
    let listens = [".bind(", "TcpListener::bind("];
    let mut found = 0;
    let runtimes = ["runtime-async-std", "runtime-smol", "runtime-tokio"];
    for examples in runtimes.map(|runtime| root().join(runtime).join("examples")) {
        for entry in fs::read_dir(&examples).unwrap() {
            let path = entry.unwrap().path();
            let main = if path.is_dir() { path.join("main.rs") } else { path };
            let source = fs::read_to_string(&main).unwrap();
            let Some(listen) = listens.iter().filter_map(|call| source.find(call)).min() else {
                continue;
            };
            for call in [" io.namespace(", " io.namespaces_by("] {
                for (position, _) in source.match_indices(call) {
                    assert!(position < listen, "{} listens before{call}..)", main.display());
                    found += 1;
                }
            }
        }
    }
    assert!(found > 12, "only {found} were found: is the reading of the examples broken?");
}
