//! What the contexts of permessage-deflate cost, as the docs of `PerMessageDeflate` say it.

use enginewire_properties::deflate::contexts;

#[test]
fn contexts_cost_no_more_than_the_docs_say() {
    const KIB: usize = 1024;
    let figures = [(15, 372, 47), (12, 260, 47), (9, 246, 47)]
        .map(|(bits, compresses, inflates)| (contexts(bits, true), bits, compresses, inflates));
    println!("{figures:?}");
    for (cost, bits, to_compress, to_inflate) in figures {
        let [compresses, inflates] = cost.kept;
        assert!(compresses <= to_compress * KIB, "{compresses} to compress with {bits} bits");
        assert!(inflates <= to_inflate * KIB, "{inflates} to inflate with {bits} bits");
        // Figures of the docs that are far too high would be of no use either.
        assert!(compresses > to_compress * KIB * 9 / 10 && inflates > to_inflate * KIB * 9 / 10);
        assert_eq!(cost.left, 0, "a socket that is dropped leaves something");
    }
    let [compresses, inflates] = contexts(15, false).kept;
    assert!(compresses.max(inflates) < 200, "{compresses} and {inflates} without contexts");
}

#[test]
fn figures_are_those_of_the_docs() {
    let docs = include_str!("../../../core/src/deflate/options.rs");
    for row in
        ["| 15 | 372 KiB | 47 KiB |", "| 12 | 260 KiB | 47 KiB |", "| 9 | 246 KiB | 47 KiB |"]
    {
        assert!(docs.contains(row), "{row}");
    }
}
