//! The storage of a device. Every call takes time before and after its effect, so that a tab may
//! crash in between. It fails, is full, loses the result of a write, and returns damaged bytes.

use std::rc::Rc;

use datum_sync::log::address::{BodyId, Seq};
use datum_sync::model::config::storage::Durability;
use datum_sync::model::error::{Code, Error, Result};
use datum_sync::ports::memory_store::MemoryStore;
use datum_sync::ports::store::{Append, AppendError, Records, Store, Tail};

use super::ports::Shared;

/// One tab's handle on one user's log.
pub struct SimStore {
    pub inner: MemoryStore,
    pub shared: Rc<Shared>,
}

impl SimStore {
    async fn pause(&self) {
        let dice = &self.shared.dice;
        let ms = if dice.chance(50) {
            dice.below(3_000)
        } else {
            dice.below(4)
        };
        self.shared.clock.sleep(ms).await;
    }

    fn has_fault(&self, per_mille: u64) -> bool {
        self.shared.weather.storage.get() && self.shared.dice.has_fault(per_mille)
    }

    fn failure(&self, what: &str) -> Result<()> {
        if !self.has_fault(30) {
            return Ok(());
        }
        let code = [
            Code::StorageFull,
            Code::StorageUnavailable,
            Code::StorageBlocked,
        ][self.shared.dice.harm(3) as usize];
        self.shared.say(&format!("{what} fails: {code:?}"));
        Err(Error::new(code, "The storage fails now."))
    }
}

impl Store for SimStore {
    async fn load(&self) -> Result<Records> {
        self.pause().await;
        self.failure("a load")?;
        self.inner.load().await
    }

    async fn tail(&self, after: Seq) -> Result<Tail> {
        self.pause().await;
        self.failure("a tail")?;
        self.inner.tail(after).await
    }

    async fn append(&self, append: Append, durability: Durability) -> Result<(), AppendError> {
        self.pause().await;
        self.failure("an append")?;
        if self.shared.full_until.get() > self.shared.clock.now.get()
            && self.shared.weather.storage.get()
        {
            return Err(Error::new(Code::StorageFull, "The disk is full.").into());
        }
        let done = self.inner.append(append, durability).await;
        if done.is_ok() && self.has_fault(8) {
            self.shared
                .say("the connection is lost while a commit ends: it is written, and nobody knows");
            return Err(Error::new(Code::StorageUnavailable, "The connection was lost.").into());
        }
        self.pause().await;
        done
    }

    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>> {
        self.pause().await;
        self.failure("reading bodies")?;
        let mut bodies = self.inner.bodies(ids).await?;
        if self.shared.damages.get() && self.has_fault(10) {
            self.shared.say("bodies come back damaged");
            for body in bodies.iter_mut().flatten() {
                let mut bytes = body.to_vec();
                bytes[0] ^= 1;
                *body = Rc::from(bytes);
            }
        }
        Ok(bodies)
    }

    async fn free(&self, below: Seq) -> Result<()> {
        self.pause().await;
        self.failure("freeing keys")?;
        self.inner.free(below).await
    }

    async fn wipe(&self) -> Result<()> {
        self.pause().await;
        self.inner.wipe().await
    }

    fn rest(&self) {
        self.inner.rest();
    }

    fn close(&self) {
        self.inner.close();
    }
}
