using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

/// <summary>One request whose frame was found good: header, body of at least its type's length, attributes by type.</summary>
internal ref struct XfrmRequest
{
    public NetlinkSocket Socket;
    public NlMsgHdr Header;

    /// <summary>The message, header included.</summary>
    public Span<byte> Message;
    public NlAttributes Attributes;
    public ExtAck ExtAck;

    public readonly XfrmMsg Type => (XfrmMsg)Header.Type;

    /// <summary>The fixed body. The dispatch table has made sure of its length.</summary>
    public readonly T Body<T>() where T : unmanaged => MemoryMarshal.Read<T>(Message[NlMsgHdr.Size..]);
}
