using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Sockets;

/// <summary>
/// Asks the kernel (NETLINK_SOCK_DIAG, <c>inet_diag</c>) which socket of a network namespace takes a packet, and what mark (SO_MARK) it has. Made in the
/// namespace; its owner orders the calls.
/// </summary>
public sealed class SocketDiagnostics : IDisposable
{
    private const int NETLINK_SOCK_DIAG = 4;
    private const ushort SOCK_DIAG_BY_FAMILY = 20, INET_DIAG_MARK = 15;
    private const int AddressSize = 16, MessageSize = 72;
    private const uint INET_DIAG_NOCOOKIE = uint.MaxValue, AllStates = uint.MaxValue;
    private const byte AF_INET = 2, AF_INET6 = 10, IPPROTO_TCP = 6, IPPROTO_UDP = 17;
    private readonly NetlinkClient _netlink = new(NETLINK_SOCK_DIAG);
    private readonly NetlinkWriter _writer = new();

    /// <summary>The mark of the socket that a packet is for; null where there is none, or no answer.</summary>
    /// <param name="protocol">TCP or UDP; of others nothing is known.</param>
    /// <param name="remote">The packet's source, 4 or 16 bytes.</param>
    /// <param name="remotePort">Its source port.</param>
    /// <param name="local">Its destination, as many bytes.</param>
    /// <param name="localPort">Its destination port.</param>
    public uint? MarkOf(byte protocol, ReadOnlySpan<byte> remote, ushort remotePort, ReadOnlySpan<byte> local, ushort localPort)
    {
        if (protocol is not (IPPROTO_TCP or IPPROTO_UDP))
        {
            return null;
        }
        Request request = new() { Family = local.Length == 4 ? AF_INET : AF_INET6, Protocol = protocol, States = AllStates, Cookie0 = INET_DIAG_NOCOOKIE, Cookie1 = INET_DIAG_NOCOOKIE };
        // udp_dump_one takes source and destination as the packet has them, inet_diag_find_one_icsk as the socket does.
        bool asPacket = protocol == IPPROTO_UDP;
        request.SourcePort = BinaryPrimitives.ReverseEndianness(asPacket ? remotePort : localPort);
        request.DestinationPort = BinaryPrimitives.ReverseEndianness(asPacket ? localPort : remotePort);
        (asPacket ? remote : local).CopyTo(request.Source);
        (asPacket ? local : remote).CopyTo(request.Destination);
        uint? mark = null;
        _ = Exchange(request, 0, found => mark = found);
        return mark;
    }

    /// <summary>The marks of all TCP sockets, accepted ones that nobody has taken yet among them; null where the kernel does not tell.</summary>
    public HashSet<uint>? TcpMarks()
    {
        HashSet<uint> marks = [];
        foreach (byte family in (ReadOnlySpan<byte>)[AF_INET, AF_INET6])
        {
            if (Exchange(new Request { Family = family, Protocol = IPPROTO_TCP, States = AllStates }, NetlinkConstants.NLM_F_DUMP, mark => marks.Add(mark)) != 0)
            {
                return null;
            }
        }
        return marks;
    }

    public void Dispose() => _netlink.Dispose();

    /// <summary>0 or the errno. A socket that tells no mark (time-wait) is passed over.</summary>
    private int Exchange(in Request request, ushort flags, Action<uint> found)
    {
        _writer.Clear();
        _writer.BeginMessage(SOCK_DIAG_BY_FAMILY, (ushort)(NetlinkConstants.NLM_F_REQUEST | flags), request);
        _writer.EndMessage();
        return _netlink.Exchange(_writer.Written, reply =>
        {
            if (reply.Type == SOCK_DIAG_BY_FAMILY && reply.Attribute(MessageSize, INET_DIAG_MARK) is { Length: sizeof(uint) } mark)
            {
                found(MemoryMarshal.Read<uint>(mark));
            }
        });
    }

    /// <summary><c>struct inet_diag_req_v2</c>; ports and addresses in network byte order.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Request
    {
        public byte Family;
        public byte Protocol;
        public byte Extensions;
        public byte Padding;
        public uint States;
        public ushort SourcePort;
        public ushort DestinationPort;
        public Address Source;
        public Address Destination;
        public uint Interface;
        public uint Cookie0;
        public uint Cookie1;
    }

    [System.Runtime.CompilerServices.InlineArray(AddressSize)]
    private struct Address
    {
        private byte _first;
    }
}
