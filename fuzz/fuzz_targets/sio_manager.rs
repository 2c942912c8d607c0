//! The target `sio_manager`: see the module of that name in `enginewire-properties`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    enginewire_properties::sio_manager::run(data);
});
