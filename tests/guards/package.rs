//! The npm package and the crate have one version.

use super::sources::root;

#[test]
fn the_npm_package_has_the_version_of_the_crate() {
    let text = std::fs::read_to_string(root().join("pkg.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        manifest["version"],
        env!("CARGO_PKG_VERSION"),
        "pkg.json and Cargo.toml"
    );
}
