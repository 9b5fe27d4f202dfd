//! Listening to notices.

use std::sync::{Arc, Mutex};

use crate::Notices;

/// The notices that were given.
pub(crate) struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    pub(crate) fn new() -> (Notices, Self) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let write = Arc::clone(&said);
        (Notices::new(move |text| write.lock().unwrap().push(text.to_string())), Self(said))
    }

    /// Takes what was said since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
