//! The API key a command asks a running server with: from a file, or the environment.

use std::path::Path;

use super::exit::{Exit, failure};
use super::files;

/// The variable that holds it.
const VARIABLE: &str = "DOORBUSTER_API_KEY";

/// The key in `file`, or else in the environment; `None`: the server asks for none.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let key = match file {
        Some(path) => {
            // A file named on the command line that is not there is a slip of the hand.
            let text = files::read(path);
            let text = text.map_err(|error| failure(Exit::Usage, format!("{error:#}")))?;
            let key = text.trim();
            if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                let path = path.display();
                let message = format!("{path} holds no API key: one line, and nothing else in it");
                return Err(failure(Exit::Usage, message));
            }
            Some(key.to_owned())
        }
        None => std::env::var(VARIABLE).ok(),
    };
    Ok(key.filter(|key| !key.is_empty()))
}
