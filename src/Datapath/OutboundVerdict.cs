namespace Xfrmd.Datapath;

/// <summary>What became of an outbound packet.</summary>
public enum OutboundVerdict : byte
{
    /// <summary>Ready to be sent.</summary>
    Send,

    /// <summary>Ready, but larger than the path takes: send its fragments (<see cref="OutboundFragments"/>).</summary>
    Fragment,

    /// <summary>Untouched and too big: answer with <see cref="IcmpErrors.TooBig"/>. Counted only where it is XFRM that refuses it, not plain IP forwarding.</summary>
    TooBig,

    /// <summary>Copied into the SA's IP-TFS queue: ask <see cref="Outbound.TryTake"/> for what is to be sent.</summary>
    Queued,

    /// <summary>Gone; its counter has been incremented.</summary>
    Dropped,
}
