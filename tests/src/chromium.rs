//! chromedriver, which drives headless Chromium.

use std::sync::OnceLock;

use crate::{
    background::{Background, program},
    postgres::free_port,
};

/// The running chromedriver of this process.
struct Driver {
    port: u16,
    _program: Background,
}

/// Returns the address of this process's chromedriver. Without the programs, reports `test` as not
/// run and returns `None`.
pub fn driver(test: &str) -> Option<String> {
    static DRIVER: OnceLock<Driver> = OnceLock::new();
    let chromedriver = program(test, "chromedriver")?;
    program(test, "chromium")?;
    let driver = DRIVER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let port = free_port();
        let arguments = [format!("--port={port}"), "--log-level=OFF".to_owned()];
        let program = Background::start(&chromedriver, arguments, folder);
        program.wait_for_port(port);
        Driver {
            port,
            _program: program,
        }
    });
    Some(format!("http://127.0.0.1:{}", driver.port))
}
