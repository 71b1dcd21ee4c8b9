//! How fractions are read and printed: as the server does, since nobody waits for this module's bytes.

use datum_sync::util::json::number::{FractionFns, install as install_functions};
use serde_json::Number;

/// Installs the functions. A second call changes nothing.
pub fn install() {
    install_functions(FractionFns {
        read: |text| serde_json::from_str(text).ok(),
        push: |out, number| {
            if let Some(number) = Number::from_f64(number) {
                out.push_str(&number.to_string());
            }
        },
    });
}
