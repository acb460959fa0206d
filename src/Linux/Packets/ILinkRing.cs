using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux.Packets;

/// <summary>ESP that arrives on one link for this host, as the link delivers it, in memory shared with the kernel. One reader.</summary>
public interface ILinkRing : IDisposable
{
    /// <summary>Readable when a packet waits.</summary>
    SafeFileHandle Handle { get; }

    /// <summary>How many packets wait, up to a limit.</summary>
    int Count(int limit);

    /// <summary>The first of those counted, from its IP header on, or what of it fits; empty: it was nothing for this host.</summary>
    ReadOnlySpan<byte> Peek();

    /// <summary>The packet has been read.</summary>
    void Release();

    /// <summary>What was read is the kernel's again, at the latest now.</summary>
    void EndBatch();

    /// <summary>The reader is about to wait on <see cref="Handle"/>.</summary>
    void PrepareWait();
}
