namespace Xfrmd.Netlink.Codec;

/// <summary><c>NLA_*</c> of net/netlink.h, as far as XFRM uses them.</summary>
internal enum NlaType : byte
{
    /// <summary>A payload of at least <see cref="NlaPolicy.Length"/> bytes.</summary>
    Unspec,
    U8,
    U16,
    U32,
    U64,

    /// <summary>No payload.</summary>
    Flag,
}
