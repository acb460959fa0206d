using Xfrmd.Kernel;

namespace Xfrmd.Attach.Tests;

/// <summary>A family whose sockets answer each datagram with the same in capitals, and obey a few words (see <see cref="EchoSocket"/>).</summary>
public sealed class EchoFamily(Journal journal, bool key) : IProtocolFamily
{
    private const int SockDgram = 2, SockRaw = 3, PfKeyV2 = 2;

    public Errno Create(int type, int protocol, XfrmNamespace space, IReceiveBuffer buffer, in Caller caller, out IProtocolSocket? socket)
    {
        socket = null;
        if (key && !caller.NetAdmin)
        {
            return Errno.EPERM;
        }
        if (type != SockRaw && (key || type != SockDgram))
        {
            return Errno.ESOCKTNOSUPPORT;
        }
        if (key && protocol != PfKeyV2)
        {
            return Errno.EPROTONOSUPPORT;
        }
        journal.Add($"open {(key ? "key" : "netlink")} {type} {protocol}");
        socket = new EchoSocket(journal, buffer, space, key);
        return Errno.None;
    }
}
