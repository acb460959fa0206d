using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux.Packets;

/// <summary>ESP that arrives on one link for this host, as the link delivers it, in memory shared with the kernel. One reader.</summary>
public interface ILinkRing : IDisposable
{
    /// <summary>Readable when a packet waits.</summary>
    SafeFileHandle Handle { get; }

    /// <summary>The next packet from its IP header on, or what of it fits; empty: it was nothing for this host. False: none waits.</summary>
    bool TryPeek(out ReadOnlySpan<byte> packet);

    /// <summary>The packet has been read.</summary>
    void Release();

    /// <summary>What was read is the kernel's again, at the latest now.</summary>
    void EndBatch();

    /// <summary>The reader is about to wait on <see cref="Handle"/>.</summary>
    void PrepareWait();
}
