using Xfrmd.Kernel;

namespace Xfrmd.Attach;

/// <summary><c>net_families</c>: who answers socket(2) for a domain, and for a protocol of it.</summary>
public sealed class ProtocolFamilies
{
    public const int Netlink = SocketAbi.AfNetlink, Key = SocketAbi.AfKey, NetlinkXfrm = SocketAbi.NetlinkXfrm;

    private readonly List<(int Domain, int? Protocol, IProtocolFamily Family)> _families = [];

    /// <summary>Adds a family for one protocol of a domain, or (null) for all: it refuses those that it does not know.</summary>
    public ProtocolFamilies Add(int domain, int? protocol, IProtocolFamily family)
    {
        _families.Add((domain, protocol, family));
        return this;
    }

    /// <summary>The family, or null where the kernel beneath may answer.</summary>
    internal IProtocolFamily? Find(int domain, int protocol)
    {
        foreach (var (d, p, family) in _families)
        {
            if (d == domain && (p is null || p == protocol))
            {
                return family;
            }
        }
        return null;
    }
}
