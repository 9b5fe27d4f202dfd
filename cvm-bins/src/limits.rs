//! Resource limits that whoever starts a program of root's has set for it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::become_user::failed;
use crate::program::Stopped;

/// What a program needs to leave no file half written: that many bytes, seconds or descriptors, or all that there are.
const VITAL: [(Resource, Option<u64>); 3] =
    [(Resource::Fsize, None), (Resource::Cpu, None), (Resource::Nofile, Some(1024))];

/// What it ends without, cleanly.
const MEMORY: [(Resource, Option<u64>); 3] =
    [(Resource::Data, None), (Resource::As, None), (Resource::Stack, Some(8 << 20))];

/// The limits as they were.
pub(crate) struct Limits(Vec<(Resource, Rlimit)>);

impl Limits {
    /// Raises limits that are too low, and forbids core dumps; this takes root.
    pub(crate) fn leave_behind() -> Result<Self, Stopped> {
        let mut before = Self(Vec::new());
        for (resource, least) in VITAL {
            before.raise(resource, least).map_err(failed("raise a resource limit"))?;
        }
        for (resource, least) in MEMORY {
            // In a container root may lack the right, and a limit of its memory is no mistake.
            let _ = before.raise(resource, least);
        }
        let core = getrlimit(Resource::Core);
        before.set(Resource::Core, Rlimit { current: Some(0), ..core }).map_err(failed("forbid core dumps"))?;
        Ok(before)
    }

    /// Sets the limits as they were: whoever limits himself stays limited.
    pub(crate) fn return_to(&self) -> Result<(), Stopped> {
        for (resource, limit) in &self.0 {
            setrlimit(*resource, *limit).map_err(failed("return to the caller's resource limits"))?;
        }
        Ok(())
    }

    fn raise(&mut self, resource: Resource, least: Option<u64>) -> rustix::io::Result<()> {
        let Rlimit { current, maximum } = getrlimit(resource);
        if !is_below(current, least) {
            return Ok(());
        }
        let maximum = if is_below(maximum, least) { least } else { maximum };
        self.set(resource, Rlimit { current: least, maximum })
    }

    fn set(&mut self, resource: Resource, limit: Rlimit) -> rustix::io::Result<()> {
        let before = getrlimit(resource);
        setrlimit(resource, limit)?;
        self.0.push((resource, before));
        Ok(())
    }
}

/// Compares limits, of which none is the highest.
fn is_below(limit: Option<u64>, least: Option<u64>) -> bool {
    limit.is_some_and(|limit| least.is_none_or(|least| limit < least))
}
