//! The figures as a picture: a panel for each load, a bar for each server.

use std::fmt::Write;

use crate::table::{Column, Figures, USER, WHOLE};

/// The chart as a page by itself.
pub(crate) fn html(figures: &Figures) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{TITLE}</title>\n\
         <style>body {{ margin: 2rem auto; max-width: {WIDTH}px }} svg {{ width: 100%; height: auto }}\
         </style>\n{}</html>\n",
        svg(figures)
    )
}

/// The chart. Bars of a panel share its scale; panels do not share theirs.
pub(crate) fn svg(figures: &Figures) -> String {
    let mut body = String::new();
    let mut y = 96;
    for column in &figures.columns {
        y = panel(column, &figures.unit(column.load), y, &mut body);
    }
    for (load, peer, reason) in figures.failures() {
        let line = escape(&format!("{load} of {peer} could not run: {reason}"));
        let _ = writeln!(body, "<text x=\"24\" y=\"{y}\" fill=\"{NOTE}\">{line}</text>");
        y += ROW;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" \
         height=\"{y}\" font-family=\"system-ui, Helvetica, Arial, sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{y}\" fill=\"#ffffff\"/>\n\
         <text x=\"24\" y=\"36\" font-size=\"20\" font-weight=\"600\" fill=\"{INK}\">{TITLE}</text>\n\
         <rect x=\"24\" y=\"52\" width=\"12\" height=\"12\" fill=\"{DARK}\"/>\
         <text x=\"42\" y=\"63\" fill=\"{NOTE}\">user</text>\n\
         <rect x=\"86\" y=\"52\" width=\"12\" height=\"12\" fill=\"{LIGHT}\"/>\
         <text x=\"104\" y=\"63\" fill=\"{NOTE}\">kernel (or all, where user could not be told apart); \
         ratios are to engineioxide or socketioxide; shorter is better</text>\n{body}</svg>\n"
    )
}

/// Draws one load from `y` downwards and returns where the next begins.
fn panel(column: &Column, unit: &str, y: usize, to: &mut String) -> usize {
    let load = column.load;
    let rows: Vec<_> = column
        .cells
        .iter()
        .filter_map(|cell| {
            let whole = column.summary(cell.peer.name, WHOLE)?;
            Some((cell.peer.name, whole, column.summary(cell.peer.name, USER)))
        })
        .collect();
    let most = rows.iter().fold(f64::MIN_POSITIVE, |most, (_, whole, _)| most.max(whole.figure));
    let (title, unit) = (escape(load.what), escape(unit));
    let _ = writeln!(
        to,
        "<text x=\"24\" y=\"{y}\" font-weight=\"600\" fill=\"{INK}\">{}</text>\
         <text x=\"{BARS}\" y=\"{y}\" fill=\"{NOTE}\">{title}; {unit}</text>",
        load.name
    );
    for (nth, (name, whole, user)) in rows.iter().enumerate() {
        let top = y + 10 + nth * ROW;
        let (bar, base) = (top + 3, top + 15);
        let length = |figure: f64| figure / most * LONGEST;
        let ours = ["enginewire", "hub", "uring"].iter().any(|ours| name.starts_with(ours));
        let ours = if ours { "600" } else { "400" };
        let _ = writeln!(
            to,
            "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\" font-weight=\"{ours}\" fill=\"{INK}\">\
             {name}</text><rect x=\"{BARS}\" y=\"{bar}\" width=\"{:.1}\" height=\"14\" \
             fill=\"{LIGHT}\"/>",
            BARS - 10,
            length(whole.figure)
        );
        let mut label = figure(whole.figure);
        if let Some(ratio) = whole.ratio {
            let _ = write!(label, " ({ratio:.2}x)");
        }
        if let Some(user) = user {
            let _ = writeln!(
                to,
                "<rect x=\"{BARS}\" y=\"{bar}\" width=\"{:.1}\" height=\"14\" fill=\"{DARK}\"/>",
                length(user.figure)
            );
            let _ = write!(label, ", user {}", figure(user.figure));
            if let Some(ratio) = user.ratio {
                let _ = write!(label, " ({ratio:.2}x)");
            }
        }
        let end = BARS as f64 + length(whole.figure) + 8.0;
        let _ = writeln!(to, "<text x=\"{end:.1}\" y=\"{base}\" fill=\"{NOTE}\">{label}</text>");
    }
    y + 10 + rows.len() * ROW + 34
}

/// Shows three significant digits.
fn figure(figure: f64) -> String {
    match figure.abs() {
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

const TITLE: &str = "Engine.IO and Socket.IO servers: CPU per message, heap per session";

const WIDTH: usize = 960;
const ROW: usize = 20;
/// Where bars begin, and how long the longest of a panel is: its label stands behind it.
const BARS: usize = 190;
const LONGEST: f64 = 520.0;

const INK: &str = "#1b1f24";
const NOTE: &str = "#57606a";
const DARK: &str = "#1f5fa8";
const LIGHT: &str = "#a9c8ea";
