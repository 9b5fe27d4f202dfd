#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cvm_core::testing::fuzz::checkpassword(data));
