//! All fuzz targets in one program: `CITYTAP_FUZZ` names the one to run, a decoder or one of `citytap_tests::fuzzing::OTHERS`.

#![no_main]

use citytap_tests::fuzzing;
use std::sync::LazyLock;

static TARGET: LazyLock<fuzzing::Target> = LazyLock::new(|| {
    let name = std::env::var("CITYTAP_FUZZ").expect("CITYTAP_FUZZ names the target");
    fuzzing::target(&name).unwrap_or_else(|| panic!("no fuzz target is called {name}"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET.run(bytes));
