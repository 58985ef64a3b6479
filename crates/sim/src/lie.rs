//! Ways to break the promise, each at one seam, to see that it is found out.

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Lie {
    /// A batch's record reaches the order log with the next one, behind its outputs.
    ReleaseBeforeBind,
    /// A child of a reshard is read from its newest record on.
    LatestChildren,
    /// A child of a reshard does not wait for its parents.
    ImpatientChildren,
    /// Entries of a call that failed count as acknowledged.
    IgnorePartialFailure,
    /// Outputs count as delivered as soon as they are released, so that positions are stored before them.
    PositionsBeforeOutputs,
    /// Another model decides, and the order log does not say so.
    UnboundSwitch,
    /// Recovery takes the snapshot alone and the records behind it in any order.
    SnapshotAlone,
    /// No model decides any more, and the order log does not say so.
    UnsaidNoModel,
    /// A gap that was accepted is not written down.
    UntoldGap,
    /// A process that is asked to end counts as delivered what it has not sent.
    HastyEnd,
    /// Bytes are not synced, and it is said that they are.
    UnsyncedBytes,
    /// The same of the names in a folder.
    UnsyncedNames,
    /// A sync that failed is asked for again, and then it seems to be done.
    SyncedAgain,
    /// A start builds on what it reads, though that may be in memory alone.
    TrustedMemory,
}

impl Lie {
    pub const ALL: [Self; 14] = [
        Self::ReleaseBeforeBind,
        Self::LatestChildren,
        Self::ImpatientChildren,
        Self::IgnorePartialFailure,
        Self::PositionsBeforeOutputs,
        Self::UnboundSwitch,
        Self::SnapshotAlone,
        Self::UnsaidNoModel,
        Self::UntoldGap,
        Self::HastyEnd,
        Self::UnsyncedBytes,
        Self::UnsyncedNames,
        Self::SyncedAgain,
        Self::TrustedMemory,
    ];
}
