using Xfrmd.Kernel;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

/// <summary>A dump under way: <c>struct netlink_callback</c>. Use under <see cref="XfrmNamespace.Gate"/>.</summary>
internal interface INetlinkDump : IDisposable
{
    /// <summary>Reads the request's filters.</summary>
    Errno Start(ExtAck extAck);

    /// <summary>Writes the next entry as a message, without passing it; false at the end.</summary>
    bool TryWriteNext(NlWriter writer, uint seq, uint portId);

    /// <summary>Passes the entry that was written.</summary>
    void Advance();
}
