//! TODO

/// The resolvers that need nobody's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Builtin {
    /// Three-way by field; a field changed on both sides goes to the later write.
    #[default]
    Merge,
    /// The later write as a whole.
    LastWriteWins,
    /// Always what is here.
    LocalPriority,
    /// Always what is there.
    RemotePriority,
    /// Park it for the app.
    Ask,
}

impl Builtin {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("merge", Self::Merge),
        ("lastWriteWins", Self::LastWriteWins),
        ("localPriority", Self::LocalPriority),
        ("remotePriority", Self::RemotePriority),
        ("ask", Self::Ask),
    ];
}
