#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    enginewire_properties::http_client::run(data);
});
