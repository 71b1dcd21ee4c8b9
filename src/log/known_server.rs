//! Which server a database belongs to.

/// A server, as a database knows it. Its id survives restores and changes of address; without one,
/// its address stands for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownServer {
    /// `serverId` of its replies, or of the app's adapter.
    pub id: Option<String>,
    /// The origin and path of its URL.
    pub address: Option<String>,
}

/// What a server that answers is to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// The one that it knows.
    Same,
    /// The one that it knows, or the first: more is known of it now.
    Learned(KnownServer),
    /// Another one.
    Other,
}

impl KnownServer {
    /// Compares the known server with one that answers.
    ///
    /// | | it has the known id | it has another id, or lost it | it has an id, none is known | no id on either side |
    /// |---|---|---|---|---|
    /// | the same address | same | other if the id differs, else same | same | same |
    /// | another address | same | other | other | other |
    #[must_use]
    pub fn meets(&self, id: Option<&str>, address: Option<&str>) -> Meeting {
        let moved = matches!((&self.address, address), (Some(known), Some(now)) if known != now);
        let is_same = match (self.id.as_deref(), id) {
            (Some(known), Some(now)) => known == now,
            _ => !moved,
        };
        if !is_same {
            return Meeting::Other;
        }
        let now = Self {
            id: id.map(str::to_owned).or_else(|| self.id.clone()),
            address: address.map(str::to_owned).or_else(|| self.address.clone()),
        };
        if *self == now {
            Meeting::Same
        } else {
            Meeting::Learned(now)
        }
    }

    /// Returns the id that a push names. If the app's adapter has a name of its `own`, the server behind
    /// it need not know that one.
    #[must_use]
    pub fn named(&self, own: Option<&str>) -> Option<&str> {
        self.id.as_deref().filter(|_| own.is_none())
    }

    /// Returns the server's name for a message.
    #[must_use]
    pub fn name(&self) -> &str {
        self.id
            .as_deref()
            .or(self.address.as_deref())
            .unwrap_or("unknown")
    }
}

/// What a cycle has learned about its server. It says nothing once another tab has recorded something
/// else meanwhile: a tab that was behind would take a stranger for the first server that it meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerNews {
    /// What was known.
    pub before: KnownServer,
    /// What is known now.
    pub now: KnownServer,
}

impl ServerNews {
    /// Returns true if nothing else was recorded meanwhile.
    #[must_use]
    pub fn holds(&self, recorded: &KnownServer) -> bool {
        [&self.before, &self.now].contains(&recorded)
    }

    /// Returns what is left to record.
    #[must_use]
    pub fn to_record(&self, recorded: &KnownServer) -> Option<&KnownServer> {
        (*recorded == self.before && self.before != self.now).then_some(&self.now)
    }
}
