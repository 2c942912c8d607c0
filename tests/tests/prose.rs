//! The rules of prose that a machine can hold: sentences of public docs, and subjects of commits.
//!
//! The subjects need a checkout with history, as the gate has:
//!
//! ```sh
//! cargo test -p enginewire-tests --test prose -- --ignored
//! ```
//!
//! `PROSE_BASE` is the commit after which they are checked, by default [`BASE`].
//! Every violation is listed with its file and line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The last commit before the gate has held the rule.
const BASE: &str = "77756e7";

/// Where published docs come from.
const SOURCES: [&str; 9] = [
    "core/src",
    "core/browser/src",
    "core/socketio/src",
    "core/ffi/src",
    "core/driver/src",
    "core/driver/cluster/src",
    "runtime-tokio/src",
    "runtime-smol/src",
    "runtime-async-std/src",
];

/// First words that make a sentence a riddle.
const VAGUE: [&str; 9] =
    ["what", "who", "those", "nothing", "whoever", "whatever", "nobody", "somebody", "everybody"];

/// Words of a first sentence, and of any other.
const MOST_WORDS: usize = 15;
const MOST_WORDS_LATER: usize = 25;

/// Characters of a subject that `git log --oneline` shows on a terminal.
const LONGEST_SUBJECT: usize = 72;

#[test]
fn sentences_of_public_docs_are_plain() -> io::Result<()> {
    let root = root();
    let mut found = Vec::new();
    for source in SOURCES {
        for path in rust_files(&root.join(source))? {
            let shown = path.strip_prefix(&root).unwrap_or(&path).display();
            let violations = violations(&fs::read_to_string(&path)?);
            found
                .extend(violations.into_iter().map(|(line, why)| format!("{shown}:{line}: {why}")));
        }
    }
    assert!(found.is_empty(), "{}\n{} violations", found.join("\n"), found.len());
    Ok(())
}

#[test]
#[ignore = "needs the history of the repository"]
fn subjects_of_commits_fit_a_line() -> io::Result<()> {
    let base = env::var("PROSE_BASE").unwrap_or_else(|_| BASE.to_owned());
    let range = format!("{base}..HEAD");
    let log = Command::new("git")
        .args(["log", "--no-merges", "--format=%h %s", &range])
        .current_dir(root())
        .output()?;
    assert!(log.status.success(), "{}", String::from_utf8_lossy(&log.stderr));
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    let long: Vec<_> = log.lines().filter(|line| is_too_long(line)).collect();
    assert!(long.is_empty(), "longer than {LONGEST_SUBJECT} characters:\n{}", long.join("\n"));
    Ok(())
}

#[test]
fn vague_first_words_and_long_first_sentences_are_found() {
    let long = "/// One two three four five six seven eight nine ten eleven twelve thirteen fourteen\n\
                /// fifteen sixteen.\npub struct Long;\n";
    assert_eq!(violations(long), [(1, "16 words in the first sentence".to_owned())]);
    let vague = "    /// What is read.\n    #[must_use]\n    pub fn read() {}\n";
    assert_eq!(violations(vague), [(1, "begins with `What`".to_owned())]);
    for item in [
        "pub enum Kind {\n    /// What is read.\n    Read,\n}\n",
        "pub trait Read {\n    /// What is read.\n    fn read();\n}\n",
        "pub struct Read {\n    /// What is read.\n    pub read: u8,\n}\n",
    ] {
        assert_eq!(violations(item), [(2, "begins with `What`".to_owned())], "{item}");
    }
    let exported = "/// What is read.\n#[macro_export]\nmacro_rules! read {\n";
    assert_eq!(violations(exported), [(1, "begins with `What`".to_owned())]);
    let module = "//! Nobody knows.\n\nuse std::io;\n";
    assert_eq!(violations(module), [(1, "begins with `Nobody`".to_owned())]);
    let page = "//! Nobody knows.\n";
    assert_eq!(violations(page), [(1, "begins with `Nobody`".to_owned())]);
}

#[test]
fn long_sentences_are_found_wherever_they_stand() {
    let words = |count| vec!["word"; count].join(" ");
    let long = words(MOST_WORDS_LATER + 1);
    let short = words(MOST_WORDS_LATER);
    for (docs, finds) in [
        (format!("/// First. A {short}.\npub struct A;\n"), true),
        (format!("/// First.\n///\n/// {short}.\npub struct A;\n"), false),
        (format!("/// First.\n///\n/// - {short} [a](crate::b): {short}\npub struct A;\n"), true),
        (format!("/// First.\n///\n/// {short}: {short}; {short}.\npub struct A;\n"), false),
        (format!("/// First.\n///\n/// ```\n/// {long}\n/// ```\npub struct A;\n"), false),
        (format!("/// First.\n///\n/// | {long} |\npub struct A;\n"), false),
        (format!("/// First.\n///\n/// {long}.\nstruct A;\n"), false),
    ] {
        let found = violations(&docs);
        assert_eq!(found.len(), usize::from(finds), "{docs} {found:?}");
        assert!(
            found.iter().all(|(line, why)| (*line, why.contains("in a sentence")) == (1, true))
        );
    }
}

#[test]
fn plain_sentences_and_private_items_pass() {
    for text in [
        "/// Returns what was read. Those who wait are woken.\npub fn read() {}\n",
        "/// What is read.\nfn read() {}\n",
        "/// What is read.\npub(crate) fn read() {}\n",
        "/// Whole numbers, e.g. 1.5 is none.\npub struct Whole;\n",
    ] {
        assert_eq!(violations(text), [], "{text}");
    }
}

#[test]
fn the_length_of_a_subject_is_that_behind_the_name_of_its_commit() {
    assert!(!is_too_long(&format!("1234567 {}", "ä".repeat(LONGEST_SUBJECT))));
    assert!(is_too_long(&format!("1234567 {}", "ä".repeat(LONGEST_SUBJECT + 1))));
}

fn is_too_long(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(_, subject)| subject.chars().count() > LONGEST_SUBJECT)
}

/// Line and reason of each comment of a public item or a module that breaks a rule.
///
/// Variants of a public enum and items of a public trait are public without a word of their own.
fn violations(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut docs: Option<(usize, String)> = None;
    // The line that ends the public enum or trait around this one.
    let mut end: Option<String> = None;
    let mut exported = false;
    // The docs of a module may be all that a file has: an empty line ends them.
    for (number, line) in (1..).zip(source.lines().chain([""])) {
        if end.as_deref() == Some(line) {
            end = None;
        }
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        let text = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        if let Some(text) = text {
            let (_, docs) = docs.get_or_insert_with(|| (number, String::new()));
            docs.push_str(text);
            docs.push('\n');
            continue;
        }
        if line.starts_with("#[") {
            exported |= line == "#[macro_export]";
            continue;
        }
        let public = line.is_empty() || line.starts_with("pub ") || exported || end.is_some();
        exported = false;
        if let Some((first, docs)) = docs.take()
            && public
        {
            found.extend(fault(&docs).map(|why| (first, why)));
        }
        let opens = ["pub enum ", "pub trait "].iter().any(|start| line.starts_with(start));
        if opens && line.ends_with('{') {
            end = Some(format!("{}}}", " ".repeat(indent)));
        }
    }
    found
}

/// Why a sentence of `docs` is refused.
fn fault(docs: &str) -> Option<String> {
    let paragraph = docs.split("\n\n").next()?.trim();
    let paragraph = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = first_sentence(&paragraph);
    let first = sentence.split_whitespace().next()?.trim_matches(|c: char| !c.is_alphanumeric());
    if VAGUE.contains(&first.to_lowercase().as_str()) {
        return Some(format!("begins with `{first}`"));
    }
    let count = sentence.split_whitespace().count();
    if count > MOST_WORDS {
        return Some(format!("{count} words in the first sentence"));
    }
    let long = paragraphs(docs).into_iter().find_map(|paragraph| {
        let words: Vec<_> = paragraph.split_whitespace().map(without_target).collect();
        let ends = |word: &&str| word.ends_with(['.', ':', ';', '!', '?']);
        let sentences = words.split_inclusive(ends);
        sentences.map(<[_]>::len).find(|&count| count > MOST_WORDS_LATER)
    });
    long.map(|count| format!("{count} words in a sentence"))
}

/// The word of a link, whose target is none.
fn without_target(word: &str) -> &str {
    match word.split_once("](") {
        Some((text, target)) => target.split_once(')').map_or(text, |(_, end)| match end {
            "" => text,
            end => end,
        }),
        None => word,
    }
}

/// The paragraphs and items of lists; neither code nor tables nor headings.
fn paragraphs(docs: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    let mut code = false;
    for line in docs.lines().map(str::trim) {
        let fence = line.starts_with("```");
        code ^= fence;
        let begins = line.is_empty() || line.starts_with(['-', '*', '#', '|']);
        if begins || fence {
            paragraphs.push(String::new());
        }
        if let Some(last) = paragraphs.last_mut()
            && !code
            && !fence
            && !line.starts_with(['#', '|'])
        {
            last.push_str(line.trim_start_matches("- "));
            last.push(' ');
        }
    }
    paragraphs
}

/// Ends at the first full stop that no lower-case word or number follows.
fn first_sentence(paragraph: &str) -> &str {
    let end = paragraph.match_indices(". ").find(|&(at, _)| {
        let next = paragraph[at + 2..].chars().next();
        next.is_some_and(|next| !next.is_lowercase() && !next.is_numeric())
    });
    end.map_or(paragraph, |(at, _)| &paragraph[..at])
}

fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("..")).to_owned()
}
