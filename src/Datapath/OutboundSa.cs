using Xfrmd.Crypto;
using Xfrmd.Crypto.Compression;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>
/// One SA as one worker sends through it: its cipher context, and all that is the same for each packet, worked out once. Not thread safe.
/// </summary>
public sealed class OutboundSa : IDisposable
{
    private const int DefaultHopLimit = 64;   // ip_default_ttl, IPV6_DEFAULT_HOPLIMIT

    /// <param name="sa">A valid SA.</param>
    /// <param name="hopLimit">TTL or hop limit of outer headers: the route's, or the default.</param>
    public OutboundSa(SecurityAssociation sa, byte hopLimit = DefaultHopLimit)
        : this(sa, sa.Esp?.CreateContext(), hopLimit)
    {
    }

    /// <param name="sa">A valid SA.</param>
    /// <param name="context">Its cipher: a test may bring one that chooses other IVs.</param>
    /// <param name="hopLimit">TTL or hop limit of outer headers.</param>
    internal OutboundSa(SecurityAssociation sa, EspContext? context, byte hopLimit = DefaultHopLimit)
    {
        Sa = sa;
        HopLimit = hopLimit;
        Proto = sa.Id.Proto;
        Esp = context;
        Ah = sa.Ah?.CreateContext();
        Comp = Proto == IpProtocol.Comp ? new DeflateCodec() : null;
        CompThreshold = sa.Comp is { } comp && AlgorithmCatalogue.FindCompression(comp.Name) is { } row ? row.ThresholdBytes : int.MaxValue;
        IsIpv4 = sa.Family == AddressFamily.Inet;
        HeaderLength = IsIpv4 ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength;
        Spi = sa.Id.Spi.Value;
        if (sa.Esp is { } esp)
        {
            IvLength = esp.IvLength;
            IcvLength = esp.IcvLength;
            Align = Math.Max(esp.BlockSize, 4);
        }
        else if (sa.Ah is { } ah)
        {
            IcvLength = ah.IcvLength;
        }
        UdpLength = Proto == IpProtocol.Esp && sa.Encap is not null ? UdpView.HeaderLength : 0;
        TransformHeader = Proto switch
        {
            IpProtocol.Esp => UdpLength + EspView.HeaderLength + IvLength,
            IpProtocol.Ah => Pmtu.AhLength(sa),
            _ => 0,   // IPComp's header takes the room that it saved
        };
        NoEcn = (sa.Flags & SaFlags.NoEcn) != 0;
        NoPmtuDiscovery = (sa.Flags & SaFlags.NoPmtuDisc) != 0;
        NoDscp = (sa.ExtraFlags & SaExtraFlags.DontEncapDscp) != 0;
        Queue = sa.Mode == XfrmMode.Iptfs ? new IptfsQueue((sa.Iptfs ?? new SaIptfs()).MaxQueueSize) : null;
        PathHash = (uint)HashCode.Combine(sa.Saddr, sa.Id.Daddr, NextHeaderValue);
        AddressSum = IsIpv4 ? 0 : InternetChecksum.Sum(sa.Id.Daddr.Bytes, InternetChecksum.Sum(sa.Saddr.Bytes));
    }

    public SecurityAssociation Sa { get; }
    internal byte Proto { get; }
    internal EspContext? Esp { get; }
    internal AuthContext? Ah { get; }
    internal DeflateCodec? Comp { get; }

    /// <summary>Shorter payloads are not worth packing.</summary>
    internal int CompThreshold { get; }

    /// <summary>The outer family.</summary>
    internal bool IsIpv4 { get; }

    /// <summary>Bytes of an outer header that this SA builds.</summary>
    internal int HeaderLength { get; }

    internal uint Spi { get; }
    internal int IvLength { get; }
    internal int IcvLength { get; }
    internal int Align { get; }

    /// <summary>8 where ESP travels in UDP, else 0.</summary>
    internal int UdpLength { get; }

    /// <summary>Bytes between the IP header and the payload: UDP, ESP and IV, or AH, or IPComp.</summary>
    internal int TransformHeader { get; }

    internal byte HopLimit { get; }
    internal bool NoEcn { get; }
    internal bool NoPmtuDiscovery { get; }
    internal bool NoDscp { get; }

    /// <summary>Byte or packet limits exist: each packet is admitted by itself.</summary>
    internal bool HasCountLimits
    {
        get
        {
            ref readonly XfrmLifetimeCfg limits = ref Sa.Lifetime;
            return (limits.SoftByteLimit & limits.HardByteLimit & limits.SoftPacketLimit & limits.HardPacketLimit) != ulong.MaxValue;
        }
    }

    /// <summary>IP-TFS: the packets that wait.</summary>
    internal IptfsQueue? Queue { get; }

    /// <summary>IP-TFS: when the first of them came (<see cref="TimeProvider.GetTimestamp"/>).</summary>
    internal long QueuedSince { get; set; }

    /// <summary>IP-TFS: sequence numbers taken for the parts of one packet, which must follow each other.</summary>
    internal ulong ReservedSequence { get; set; }
    internal int ReservedCount { get; set; }

    /// <summary>What the IP header says that the transform's header follows it.</summary>
    internal byte NextHeaderValue => UdpLength > 0 ? NextHeader.Udp : Proto;

    /// <summary>The path, for <see cref="IpIdentifiers"/>.</summary>
    internal uint PathHash { get; }

    /// <summary>The sum of both addresses, for the checksum of UDP over IPv6.</summary>
    internal ulong AddressSum { get; }

    public void Dispose()
    {
        Esp?.Dispose();
        Ah?.Dispose();
    }
}
