using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// Turns a policy's selector into shapes and keys: most into one, those with ports but no protocol into one for each way in which a packet
/// can carry ports. Together they match what <see cref="XfrmSelector.Matches"/> matches.
/// </summary>
public static class SelectorExpansion
{
    private const byte UdpLite = 136, Sctp = 132;

    /// <summary>Protocols whose flow has ports: the only ones of which Linux reads any. (Since Linux 6.7 no longer DCCP's and Mobile IPv6's.)</summary>
    public static ReadOnlySpan<byte> PortedProtocols => [IpProtocol.Tcp, IpProtocol.Udp, UdpLite, Sctp, IpProtocol.Icmp, IpProtocol.Icmpv6, IpProtocol.Gre];

    public static bool HasPorts(byte protocol) => PortedProtocols.Contains(protocol);

    /// <summary>Expands one policy. Empty where no packet can match it.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="foreignMark">Bits of the mark that policies may look at: all but ours.</param>
    public static (SelectorShape Shape, SelectorKey Key)[] Expand(Policy policy, uint foreignMark)
    {
        XfrmSelector selector = policy.Selector;
        selector.Family = policy.Family;
        if ((policy.Mark.V & ~policy.Mark.M) != 0 || (policy.Mark.V & ~foreignMark) != 0)
        {
            return [];   // no packet carries such a mark
        }
        Fields fields = new(selector, policy.Mark.V, policy.Mark.M & foreignMark);
        if ((selector.SportMask.Raw | selector.DportMask.Raw) == 0)
        {
            return [fields.Build(PortKind.None, selector.Proto)];
        }
        List<(SelectorShape, SelectorKey)> all = [];
        foreach (byte protocol in selector.Proto != 0 ? [selector.Proto] : PortedProtocols)
        {
            AddProtocol(all, fields, protocol);
        }
        if (fields.PortsMayBeZero && (selector.Proto == 0 || HasPorts(selector.Proto)))
        {
            all.Add(fields.Build(PortKind.Fragment, selector.Proto));
            if (selector.Proto == 0)
            {
                all.Add(fields.Build(PortKind.Portless, 0));
            }
        }
        return [.. all];
    }

    private static void AddProtocol(List<(SelectorShape, SelectorKey)> all, in Fields fields, byte protocol)
    {
        switch (protocol)
        {
            case IpProtocol.Icmp or IpProtocol.Icmpv6 when protocol == (fields.IsIpv4 ? IpProtocol.Icmp : IpProtocol.Icmpv6):
                if (fields.FitsOneByte)
                {
                    all.Add(fields.Build(PortKind.IcmpType, protocol));
                }
                break;
            case IpProtocol.Gre:
                all.Add(fields.Build(PortKind.GreKey, protocol));
                all.Add(fields.Build(PortKind.GreKeyAfterChecksum, protocol));
                if (fields.PortsMayBeZero)
                {
                    all.Add(fields.Build(PortKind.GreWithoutKey, protocol));
                }
                break;
            case IpProtocol.Tcp or IpProtocol.Udp or UdpLite or Sctp:
                all.Add(fields.Build(PortKind.Ports, protocol));
                break;
            default:
                if (fields.PortsMayBeZero)
                {
                    all.Add(fields.Build(PortKind.None, protocol));
                }
                break;
        }
    }

    private readonly struct Fields(XfrmSelector selector, uint markValue, uint markMask)
    {
        public bool IsIpv4 => selector.Family == AddressFamily.Inet;

        public bool PortsMayBeZero => (selector.Sport.Raw & selector.SportMask.Raw) == 0 && (selector.Dport.Raw & selector.DportMask.Raw) == 0;

        /// <summary>ICMP's type and code are one byte: a selector that wants a bit above matches none.</summary>
        public bool FitsOneByte =>
            ((selector.Sport.Value & selector.SportMask.Value) | (selector.Dport.Value & selector.DportMask.Value)) <= 0xFF;

        public (SelectorShape Shape, SelectorKey Key) Build(PortKind kind, byte protocol)
        {
            ushort field = kind == PortKind.IcmpType ? (ushort)0xFF : ushort.MaxValue;
            bool reads = kind is PortKind.Ports or PortKind.IcmpType or PortKind.GreKey or PortKind.GreKeyAfterChecksum;
            SelectorShape shape = new(
                selector.Family,
                PrefixLength(selector.PrefixlenS),
                PrefixLength(selector.PrefixlenD),
                protocol != 0,
                kind,
                reads ? (ushort)(selector.SportMask.Value & field) : (ushort)0,
                reads ? (ushort)(selector.DportMask.Value & field) : (ushort)0,
                markMask,
                selector.Ifindex != 0);
            return (shape, new SelectorKey(Key(shape, protocol)));
        }

        private byte PrefixLength(byte prefix) => Math.Min(prefix, (byte)(IsIpv4 ? 32 : 128));

        private byte[] Key(in SelectorShape shape, byte protocol)
        {
            byte[] key = new byte[shape.KeyLength];
            Span<byte> rest = key;
            if (shape.PrefixS > 0)
            {
                rest = Put(rest, selector.Saddr.Masked(shape.PrefixS, shape.Family), shape.AddressLength);
            }
            if (shape.PrefixD > 0)
            {
                rest = Put(rest, selector.Daddr.Masked(shape.PrefixD, shape.Family), shape.AddressLength);
            }
            if (shape.Protocol)
            {
                rest[0] = protocol;
                rest = rest[4..];
            }
            if (shape.HasSport)
            {
                rest = PutPort(rest, shape.Kind, (ushort)(selector.Sport.Value & shape.SportMask));
            }
            if (shape.HasDport)
            {
                rest = PutPort(rest, shape.Kind, (ushort)(selector.Dport.Value & shape.DportMask));
            }
            if (shape.MarkMask != 0)
            {
                uint mark = markValue;
                MemoryMarshal.Write(rest, mark);
                rest = rest[4..];
            }
            if (shape.Interface)
            {
                MemoryMarshal.Write(rest, selector.Ifindex);
            }
            return key;
        }

        private static Span<byte> Put(Span<byte> rest, XfrmAddress address, int length)
        {
            address.Bytes[..length].CopyTo(rest);
            return rest[length..];
        }

        private static Span<byte> PutPort(Span<byte> rest, PortKind kind, ushort value)
        {
            if (kind == PortKind.IcmpType)
            {
                rest[0] = (byte)value;
            }
            else
            {
                MemoryMarshal.Write(rest, Be16.From(value).Raw);
            }
            return rest[4..];
        }
    }
}
