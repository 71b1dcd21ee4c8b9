//! The three browser engines: the programs that each needs, and the command that runs a browser
//! suite in it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    context::Context,
    failure::{Because, Failure, Result},
    process,
};

/// An engine that the browser suites run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Chromium by chromedriver.
    Chromium,
    /// Firefox by geckodriver.
    Firefox,
    /// WebKitGTK's MiniBrowser by WebKitWebDriver, under a virtual screen.
    Webkit,
}

/// A program that an engine needs, and the Debian packages that contain it.
pub struct Program {
    /// Its possible names; the first that is found is used.
    pub names: &'static [&'static str],
    /// Debian packages.
    pub debian: &'static [&'static str],
}

impl Engine {
    /// All three, in the order in which they run.
    pub const ALL: [Self; 3] = [Self::Chromium, Self::Firefox, Self::Webkit];

    /// Finds an engine by its name.
    pub fn named(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|engine| engine.name() == name)
            .because(format!(
                "there is no engine `{name}`: chromium, firefox and webkit are known"
            ))
    }

    /// Its name in arguments and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::Webkit => "webkit",
        }
    }

    /// The environment variable by which the end-to-end tests find its program.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Chromium => "CHROMIUM",
            Self::Firefox => "FIREFOX",
            Self::Webkit => "MINIBROWSER",
        }
    }

    /// The programs that must be installed. Cargo builds geckodriver, since Debian has no package.
    pub fn programs(self) -> &'static [Program] {
        match self {
            Self::Chromium => &[
                Program {
                    names: &["chromium", "chromium-browser", "google-chrome"],
                    debian: &["chromium"],
                },
                Program {
                    names: &["chromedriver"],
                    debian: &["chromium-driver"],
                },
            ],
            Self::Firefox => &[Program {
                names: &["firefox-esr", "firefox"],
                debian: &["firefox-esr"],
            }],
            Self::Webkit => &[
                Program {
                    names: &["WebKitWebDriver"],
                    debian: &["webkit2gtk-driver"],
                },
                // xvfb-run needs xauth, which the xvfb package only recommends.
                Program {
                    names: &["xvfb-run"],
                    debian: &["xvfb", "xauth"],
                },
                Program {
                    names: &["xauth"],
                    debian: &["xauth"],
                },
            ],
        }
    }

    /// The `wasm-pack test` command of this engine, without the arguments after the crate's folder.
    pub fn command(self, context: &Context) -> Result<Command> {
        let capabilities = context
            .target
            .join("webdriver")
            .join(format!("{}.json", self.name()));
        write_json(&capabilities, &self.capabilities(context)?)?;
        let mut command = match self {
            Self::Webkit => {
                let mut command = context.command("xvfb-run");
                // WebKit's sandbox does not start for root or in most containers. The pages are
                // trusted.
                command
                    .args(["-a", "wasm-pack"])
                    .env("WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS", "1");
                command
            }
            Self::Chromium | Self::Firefox => context.command("wasm-pack"),
        };
        let (flag, option, driver) = match self {
            Self::Chromium => ("--chrome", "--chromedriver", "chromedriver"),
            Self::Firefox => ("--firefox", "--geckodriver", "geckodriver"),
            Self::Webkit => ("--safari", "--safaridriver", "WebKitWebDriver"),
        };
        let driver = context
            .which(driver)
            .because(format!("{driver} is not on the path"))?;
        command
            .args(["test", "--headless", "--mode", "no-install", flag, option])
            .arg(driver)
            .arg(&context.root);
        command
            .env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", capabilities)
            .env("WASM_BINDGEN_TEST_TIMEOUT", "180")
            .env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "30");
        // Any of these in the environment would select another driver.
        for name in [
            "GECKODRIVER",
            "SAFARIDRIVER",
            "CHROMEDRIVER",
            "MSEDGEDRIVER",
        ] {
            command
                .env_remove(format!("{name}_REMOTE"))
                .env_remove(name);
        }
        Ok(command)
    }

    fn capabilities(self, context: &Context) -> Result<Value> {
        let binary = self
            .browser(context)
            .because(format!("no browser for {}", self.name()))?;
        Ok(match self {
            Self::Chromium => {
                json!({ "goog:chromeOptions": { "binary": binary, "args": CHROMIUM_ARGS } })
            }
            Self::Firefox => {
                json!({ "moz:firefoxOptions": { "binary": binary, "args": ["-headless"] } })
            }
            Self::Webkit => {
                json!({ "webkitgtk:browserOptions": { "binary": binary, "args": ["--automation"] } })
            }
        })
    }

    /// The browser's own program.
    pub fn browser(self, context: &Context) -> Option<PathBuf> {
        match self {
            Self::Webkit => mini_browser(context),
            Self::Chromium | Self::Firefox => self
                .programs()
                .first()?
                .names
                .iter()
                .find_map(|name| context.which(name)),
        }
    }
}

/// Without a sandbox, which root and containers do not have: the pages are trusted.
const CHROMIUM_ARGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Finds WebKitGTK's MiniBrowser, which lies in the library's folder; the path depends on the
/// machine type.
fn mini_browser(context: &Context) -> Option<PathBuf> {
    [
        "libwebkit2gtk-4.1-0",
        "libwebkit2gtk-4.0-37",
        "libwebkitgtk-6.0-4",
    ]
    .iter()
    .find_map(|library| {
        let files = process::capture(context.command("dpkg").args(["-L", library])).ok()?;
        files
            .lines()
            .find(|file| file.ends_with("/MiniBrowser"))
            .map(PathBuf::from)
    })
}

fn write_json(file: &Path, value: &Value) -> Result<()> {
    let folder = file
        .parent()
        .ok_or_else(|| Failure::new(format!("{} has no folder", file.display())))?;
    std::fs::create_dir_all(folder).because(format!("making {}", folder.display()))?;
    std::fs::write(file, value.to_string()).because(format!("writing {}", file.display()))
}
