//! The target `deflate`: see the module of that name in `enginewire-properties`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    enginewire_properties::deflate::run(data);
});
