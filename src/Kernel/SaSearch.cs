namespace Xfrmd.Kernel;

/// <summary>What a template found.</summary>
public enum SaSearch : byte
{
    Found,

    /// <summary>No SA and none asked for: an ACQUIRE is due.</summary>
    Missing,

    /// <summary>A larval SA waits for its key manager.</summary>
    InProgress,

    /// <summary>Only one that a key manager failed to set up, or that has expired.</summary>
    Failed,

    /// <summary>The template names an SPI whose SA does not fit (EEXIST).</summary>
    SpiTaken,
}
