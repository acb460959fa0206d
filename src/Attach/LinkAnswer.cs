using System.Runtime.InteropServices;
using Xfrmd.Linux;
using static Xfrmd.Attach.LinkAttributes;

namespace Xfrmd.Attach;

/// <summary>
/// What the kernel beneath says of links (RTM_NEWLINK), where some are interfaces of kind xfrm: those are TUN devices to it, and are told to
/// programs as Linux tells its own (<c>xfrmi_fill_info</c>, <c>xfrmi_get_iflink</c>). Host byte order.
/// </summary>
internal static class LinkAnswer
{
    private const int HeaderSize = 16, TypeAt = 4, IndexAt = 20, AttributesAt = 32;
    private const ushort NewLink = 16;

    /// <summary>The datagram as it should be; null where it names no such interface.</summary>
    /// <param name="datagram">As it came.</param>
    /// <param name="find">The interface of an index.</param>
    public static byte[]? Rewrite(ReadOnlySpan<byte> datagram, Func<int, XfrmLink?> find)
    {
        List<byte>? result = null;
        for (ReadOnlySpan<byte> rest = datagram; rest.Length >= HeaderSize;)
        {
            uint told = MemoryMarshal.Read<uint>(rest);
            if (told < HeaderSize || told > rest.Length)
            {
                break;
            }
            ReadOnlySpan<byte> message = rest[..(int)told];
            int padded = Math.Min((message.Length + 3) & ~3, rest.Length);
            if (MemoryMarshal.Read<ushort>(message[TypeAt..]) == NewLink && message.Length >= AttributesAt
                && find(MemoryMarshal.Read<int>(message[IndexAt..])) is { } link && IsTun(message))
            {
                if (result is null)
                {
                    result = new List<byte>(datagram.Length);
                    result.AddRange(datagram[..^rest.Length]);
                }
                Append(result, message, link);
            }
            else
            {
                result?.AddRange(rest[..padded]);
            }
            rest = rest[padded..];
        }
        return result?.ToArray();
    }

    private static bool IsTun(ReadOnlySpan<byte> message) =>
        NetlinkReply.Find(NetlinkReply.Find(message[AttributesAt..], LinkInfo), InfoKind).TrimEnd((byte)0).SequenceEqual("tun"u8);

    private static void Append(List<byte> result, ReadOnlySpan<byte> message, in XfrmLink link)
    {
        int start = result.Count;
        result.AddRange(message[..AttributesAt]);
        NetlinkWriter own = new();
        ReadOnlySpan<byte> rest = message[AttributesAt..];
        bool linked = false;
        for (; NetlinkReply.TryFirst(rest, out ushort type, out _, out int padded); rest = rest[padded..])
        {
            own.Clear();
            // In the order of rtnl_fill_ifinfo.
            if (type is Master or Carrier && !linked)
            {
                linked = true;
                own.Host32(Link, link.Parent);
            }
            if (type == LinkInfo)
            {
                int info = own.BeginNest(LinkInfo, flagged: false);
                own.Text(InfoKind, "xfrm");
                int data = own.BeginNest(InfoData, flagged: false);
                own.Host32(XfrmParent, link.Parent);
                own.Host32(XfrmIfId, link.IfId);
                own.EndNest(data);
                own.EndNest(info);
            }
            result.AddRange(own.Written);
            result.AddRange(type == LinkInfo ? default : rest[..padded]);
        }
        MemoryMarshal.Write(CollectionsMarshal.AsSpan(result)[start..], (uint)(result.Count - start));
    }
}
