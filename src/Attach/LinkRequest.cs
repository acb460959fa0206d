using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Linux;
using static Xfrmd.Attach.LinkAttributes;

namespace Xfrmd.Attach;

/// <summary>
/// An rtnetlink request that makes, changes or deletes an interface of kind xfrm (linux/rtnetlink.h, linux/if_link.h), host byte order.
/// <code>
/// | struct nlmsghdr: length 0, type 4, flags 6, seq 8, pid 12 | struct ifinfomsg: family 16, type 18, index 20, flags 24, change 28 | attributes 32
/// </code>
/// </summary>
internal readonly ref struct LinkRequest
{
    /// <summary>Longer datagrams are batches of something else.</summary>
    public const int MaxLength = 2048;

    private const int TypeAt = 4, FlagsAt = 6, IndexAt = 20, AttributesAt = 32, LoopbackIndex = 1;
    private const ushort NewLink = 16, DelLink = 17, SetLink = 19;   // RTM_*
    private const ushort Replace = 0x100, Exclusive = 0x200, Create = 0x400;   // NLM_F_*
    private readonly ReadOnlySpan<byte> _bytes;

    private LinkRequest(ReadOnlySpan<byte> bytes, string name, uint ifId, uint parent)
    {
        _bytes = bytes;
        Name = name;
        IfId = ifId;
        Parent = parent;
    }

    public bool IsDeletion => Read(TypeAt) == DelLink;

    /// <summary>NLM_F_CREATE with NLM_F_EXCL: what programs ask for who want a new one.</summary>
    public bool Creates => (Read(FlagsAt) & (Create | Exclusive)) == (Create | Exclusive);

    /// <summary>ifi_index; 0: the name tells.</summary>
    public int Index => MemoryMarshal.Read<int>(_bytes[IndexAt..]);

    /// <summary>IFLA_IFNAME, or what <c>xfrmi_link_ops</c> call one without a name.</summary>
    public string Name { get; }

    public uint IfId { get; }

    /// <summary>IFLA_XFRM_LINK.</summary>
    public uint Parent { get; }

    private ReadOnlySpan<byte> Attributes => _bytes[AttributesAt..];

    /// <summary>Whether these bytes are one such request and nothing else. Deletions name no kind: they are told apart by the device.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out LinkRequest request)
    {
        request = default;
        if (bytes.Length < AttributesAt || MemoryMarshal.Read<uint>(bytes) is var length && (length < AttributesAt || length > bytes.Length || bytes.Length - length > 3))
        {
            return false;
        }
        ReadOnlySpan<byte> attributes = bytes[AttributesAt..(int)length];
        ReadOnlySpan<byte> info = NetlinkReply.Find(attributes, LinkInfo), name = NetlinkReply.Find(attributes, IfName);
        uint ifId = 0, parent = 0;
        switch (MemoryMarshal.Read<ushort>(bytes[TypeAt..]))
        {
            case DelLink:
                break;
            case NewLink when NetlinkReply.Find(info, InfoKind).TrimEnd((byte)0).SequenceEqual(XfrmKind):
                ReadOnlySpan<byte> data = NetlinkReply.Find(info, InfoData);
                ifId = NetlinkReply.Host32(NetlinkReply.Find(data, XfrmIfId));
                parent = NetlinkReply.Host32(NetlinkReply.Find(data, XfrmParent));
                if (!MayServe(attributes, data))
                {
                    return false;
                }
                break;
            default:
                return false;
        }
        request = new LinkRequest(bytes[..(int)length], name.IsEmpty ? "xfrm%d" : NetlinkReply.Text(name), ifId, parent);
        return name.Length <= 16;
    }

    /// <summary>A request with this one's number that the kernel answers as this one should be.</summary>
    /// <param name="errno">None, EINVAL or EEXIST.</param>
    /// <param name="index">None: the device that takes the other attributes (MTU, state, group); 0: nothing is left to do.</param>
    public byte[] SubstituteFor(Errno errno, int index = 0)
    {
        byte[] bytes = [.. _bytes[..AttributesAt]];
        bool changes = errno == Errno.None && index > 0;
        if (errno == Errno.EEXIST)
        {
            // rtnl_newlink: lo is in every namespace.
            bytes = [.. bytes, 7, 0, (byte)IfName, 0, (byte)'l', (byte)'o', 0, 0];
        }
        else if (changes)
        {
            bytes = [.. bytes, .. OtherAttributes()];
        }
        Span<byte> header = bytes;
        MemoryMarshal.Write(header, (uint)bytes.Length);
        if (!changes)
        {
            header[16..AttributesAt].Clear();
        }
        if (errno != Errno.EEXIST)
        {
            // Without index and name rtnl_setlink says EINVAL; of lo nothing is changed.
            MemoryMarshal.Write(header[TypeAt..], changes ? NewLink : SetLink);
            MemoryMarshal.Write(header[FlagsAt..], (ushort)(Read(FlagsAt) & ~(Create | Exclusive | Replace)));
            MemoryMarshal.Write(header[IndexAt..], errno == Errno.EINVAL ? 0 : changes ? index : LoopbackIndex);
        }
        return bytes;
    }

    /// <summary>Interfaces without an if_id of their own, and such that are made in another namespace, are not to be had.</summary>
    private static bool MayServe(ReadOnlySpan<byte> attributes, ReadOnlySpan<byte> data) =>
        !Has(data, XfrmCollectMetadata) && !Has(attributes, NetNsPid) && !Has(attributes, NetNsFd);

    private static bool Has(ReadOnlySpan<byte> attributes, ushort type)
    {
        for (; NetlinkReply.TryFirst(attributes, out ushort found, out _, out int length); attributes = attributes[length..])
        {
            if (found == type)
            {
                return true;
            }
        }
        return false;
    }

    private byte[] OtherAttributes()
    {
        List<byte> others = [];
        ReadOnlySpan<byte> rest = Attributes;
        for (; NetlinkReply.TryFirst(rest, out ushort type, out _, out int length); rest = rest[length..])
        {
            if (type is not (IfName or Link or LinkInfo))
            {
                others.AddRange(rest[..length]);
            }
        }
        return [.. others];
    }

    private ushort Read(int at) => MemoryMarshal.Read<ushort>(_bytes[at..]);
}
