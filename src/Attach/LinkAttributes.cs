namespace Xfrmd.Attach;

/// <summary>What rtnetlink calls the attributes of an interface of kind xfrm (linux/if_link.h).</summary>
internal static class LinkAttributes
{
    // IFLA_*
    public const ushort IfName = 3, Link = 5, Master = 10, LinkInfo = 18, NetNsPid = 19, NetNsFd = 28, Carrier = 33;

    // IFLA_INFO_*
    public const ushort InfoKind = 1, InfoData = 2;

    // IFLA_XFRM_*
    public const ushort XfrmParent = 1, XfrmIfId = 2, XfrmCollectMetadata = 3;

    public static ReadOnlySpan<byte> XfrmKind => "xfrm"u8;
}
