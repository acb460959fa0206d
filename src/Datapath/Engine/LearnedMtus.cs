using System.Collections.Concurrent;
using Xfrmd.Datapath.Ports;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// What routers have said of the paths of our protected packets: <c>esp4_err</c>, <c>esp6_err</c> and their kin, which no kernel without ESP
/// has. Only an error that quotes a packet of an SA of ours, or of a port that we send from, teaches something; only that a path is narrower.
/// </summary>
/// <param name="space">Knows the SAs.</param>
/// <param name="ports">The ports that ESP leaves from.</param>
public sealed class LearnedMtus(XfrmNamespace space, UdpEncapSockets ports)
{
    private const int MaxDestinations = 4096, MinMtu4 = 552;   // ip_rt_min_pmtu
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(10);   // ip_rt_mtu_expires, rt6 mtu_expires
    private readonly ConcurrentDictionary<(XfrmAddress Daddr, ushort Family), (int Mtu, long Since)> _paths = new();
    private volatile int _epoch;

    /// <summary>Counts what was learned: a number that was read before means that paths must be asked for anew.</summary>
    public int Epoch => _epoch;

    /// <summary>The MTU of a path that routing gives <paramref name="mtu"/>.</summary>
    public int Limit(in XfrmAddress daddr, ushort family, int mtu)
    {
        if (!_paths.TryGetValue((daddr, family), out (int Mtu, long Since) path))
        {
            return mtu;
        }
        if (space.Time.GetElapsedTime(path.Since) < Lifetime)
        {
            return Math.Min(mtu, path.Mtu);
        }
        _paths.TryRemove((daddr, family), out _);
        return mtu;
    }

    /// <summary>Takes an ICMP (with its IP header) or ICMPv6 (without) message. Any bytes will do.</summary>
    public void Hear(ushort family, Span<byte> message)
    {
        if (family == AddressFamily.Inet)
        {
            if (Ipv4View.TryParse(message, out Ipv4View ip) && IcmpView.TryParse(ip.Payload, out IcmpView icmp)
                && icmp is { Type: IcmpView.Unreachable, Code: IcmpView.FragmentationNeeded }
                && Ipv4View.TryParseHeader(icmp.Embedded, out Ipv4View quoted) && (quoted.FragmentField & Ipv4View.OffsetMask) == 0
                && IsOurs(family, quoted.Saddr, quoted.Daddr, quoted.Protocol, quoted.Payload))
            {
                Learn(new XfrmAddress(quoted.Daddr), family, Math.Max((int)icmp.Mtu, MinMtu4));
            }
        }
        else if (IcmpView.TryParse(message, out IcmpView icmp6) && icmp6.Type == IcmpView.V6PacketTooBig && icmp6.V6Mtu is >= Ipv6View.MinMtu and < ushort.MaxValue
            && Ipv6View.TryParseHeader(icmp6.Embedded, out Ipv6View quoted6)
            && Ipv6Extensions.TryFindUpper(quoted6.Bytes, out byte protocol, out int offset, out _, out int fragment) && fragment < 2
            && IsOurs(family, quoted6.Saddr, quoted6.Daddr, protocol, quoted6.Bytes[offset..]))
        {
            Learn(new XfrmAddress(quoted6.Daddr), family, (int)icmp6.V6Mtu);
        }
    }

    private bool IsOurs(ushort family, ReadOnlySpan<byte> saddr, ReadOnlySpan<byte> daddr, byte protocol, Span<byte> upper)
    {
        Be32 spi;
        switch (protocol)
        {
            case IpProtocol.Esp when EspView.TryParse(upper, out EspView esp):
                spi = Be32.From(esp.Spi);
                break;
            case IpProtocol.Ah when AhView.TryParse(upper, out AhView ah):
                spi = Be32.From(ah.Spi);
                break;
            case IpProtocol.Comp when IpCompView.TryParse(upper, out IpCompView comp):
                spi = Be32.From(comp.Cpi);
                break;
            default:
                // As __udp4_lib_err: a socket that sends from there is enough. What is quoted may end with the UDP header.
                const int SportLength = 2;
                return protocol == IpProtocol.Udp && upper.Length >= SportLength && ports.Find(saddr, (ushort)((upper[0] << 8) | upper[1])) is not null;
        }
        return space.Sad.Lookup(0, new XfrmAddress(daddr), spi, protocol, family) is not null;
    }

    // __ip_rt_update_pmtu, rt6_do_update_pmtu: never more than is known.
    private void Learn(in XfrmAddress daddr, ushort family, int mtu)
    {
        if (_paths.Count >= MaxDestinations)
        {
            _paths.Clear();
        }
        if (Limit(daddr, family, int.MaxValue) > mtu)
        {
            _paths[(daddr, family)] = (mtu, space.Time.GetTimestamp());
            Interlocked.Increment(ref _epoch);
        }
    }
}
