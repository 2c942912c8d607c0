//! The target `cluster_wire`: see the module of that name in `enginewire-properties`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    enginewire_properties::cluster_wire::run(data);
});
