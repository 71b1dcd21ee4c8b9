//! The built-in conflict resolvers.

/// A resolver that the engine has built in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Builtin {
    /// Three-way by field; a field changed on both sides goes to the later write.
    #[default]
    Merge,
    /// Takes the later write as a whole.
    LastWriteWins,
    /// Always takes the local side.
    LocalPriority,
    /// Always takes the remote side.
    RemotePriority,
    /// Parks the conflict for the app.
    Ask,
}

impl Builtin {
    /// Each value with its name in the config.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("merge", Self::Merge),
        ("lastWriteWins", Self::LastWriteWins),
        ("localPriority", Self::LocalPriority),
        ("remotePriority", Self::RemotePriority),
        ("ask", Self::Ask),
    ];
}
