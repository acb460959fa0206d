using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Engine;

/// <summary>What is addressed to this host: the kernel's local table, and multicast; and which kinds of devices it has. A snapshot that <see cref="Refresh"/> replaces.</summary>
public sealed class LocalAddresses(LocalTable table)
{
    private readonly Lock _reading = new();
    private volatile Snapshot _snapshot = new([], []);

    public LocalTable Table => table;

    /// <summary>Reads both anew.</summary>
    public void Refresh()
    {
        lock (_reading)
        {
            _snapshot = Read();
        }
    }

    private Snapshot Read()
    {
        HashSet<XfrmAddress> v4 = [], v6 = [];
        List<(XfrmAddress, int, ushort)> prefixes = [];
        foreach ((byte[] bytes, int prefix) in table.Read())
        {
            XfrmAddress address = new(bytes);
            bool isV4 = bytes.Length == 4;
            if (prefix == bytes.Length * 8)
            {
                (isV4 ? v4 : v6).Add(address);
            }
            else
            {
                prefixes.Add((address, prefix, isV4 ? AddressFamily.Inet : AddressFamily.Inet6));
            }
        }
        return new Snapshot([.. prefixes], v6) { V4 = v4, DeviceTypes = table.ReadDeviceTypes() };
    }

    /// <summary>See <see cref="IInboundHost.IsLocal"/>.</summary>
    public bool IsLocal(in XfrmAddress daddr, ushort family)
    {
        Snapshot snapshot = _snapshot;
        if (family == AddressFamily.Inet ? snapshot.V4.Contains(daddr) : snapshot.V6.Contains(daddr))
        {
            return true;
        }
        byte first = daddr.Bytes[0];
        if (family == AddressFamily.Inet ? first is >= 224 and < 240 || daddr.Raw4 == uint.MaxValue : first == 0xFF)
        {
            return true;
        }
        foreach ((XfrmAddress prefix, int length, ushort prefixFamily) in snapshot.Prefixes)
        {
            if (prefixFamily == family && prefix.MatchesPrefix(daddr, length, family))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>See <see cref="IInboundHost.HasBecomeLocal"/>.</summary>
    public bool HasBecomeLocal(in XfrmAddress daddr, ushort family)
    {
        if (!table.HasChanges)
        {
            return false;
        }
        Refresh();
        return IsLocal(daddr, family);
    }

    /// <summary>See <see cref="IInboundHost.HasTunnelDevice"/>.</summary>
    public bool HasTunnelDevice(ushort outerFamily, ushort innerFamily)
    {
        const ushort ARPHRD_TUNNEL = 768, ARPHRD_TUNNEL6 = 769, ARPHRD_SIT = 776;
        HashSet<ushort> types = _snapshot.DeviceTypes;
        return outerFamily == AddressFamily.Inet6
            ? types.Contains(ARPHRD_TUNNEL6)
            : types.Contains(ARPHRD_SIT) || (innerFamily == AddressFamily.Inet && types.Contains(ARPHRD_TUNNEL));
    }

    private sealed record Snapshot((XfrmAddress Prefix, int Length, ushort Family)[] Prefixes, HashSet<XfrmAddress> V6)
    {
        public HashSet<XfrmAddress> V4 { get; init; } = [];
        public HashSet<ushort> DeviceTypes { get; init; } = [];
    }
}
