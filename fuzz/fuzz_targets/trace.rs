#![allow(missing_docs)]
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| datum_sync_fuzz::trace::holds(bytes));
