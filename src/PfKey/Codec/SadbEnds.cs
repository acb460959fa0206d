using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Codec;

/// <summary>The ADDRESS_SRC and ADDRESS_DST of a message, of one family.</summary>
internal struct SadbEnds
{
    private const ushort AllPortBits = 0xffff;
    public SadbAddress SourceExtension;
    public SadbAddress DestinationExtension;
    public SocketAddress Source;
    public SocketAddress Destination;

    public readonly ushort Family => Source.Family;

    /// <summary>The selector that a policy message names (<c>pfkey_spdadd</c>): port 0 stands for all; the destination's protocol counts.</summary>
    public readonly XfrmSelector ToSelector() => new()
    {
        Saddr = Source.Address,
        Daddr = Destination.Address,
        PrefixlenS = SourceExtension.Prefixlen,
        PrefixlenD = DestinationExtension.Prefixlen,
        Sport = Source.Port,
        SportMask = Be16.From(Source.Port.Raw != 0 ? AllPortBits : (ushort)0),
        Dport = Destination.Port,
        DportMask = Be16.From(Destination.Port.Raw != 0 ? AllPortBits : (ushort)0),
        Family = Family,
        Proto = PfKeyNumbers.ProtoToXfrm(DestinationExtension.Proto),
    };
}
