using System.Buffers.Binary;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>Cuts an outermost packet into fragments: <c>ip_do_fragment</c> and <c>ip6_fragment</c>. Each is written into a buffer of the caller's.</summary>
public ref struct OutboundFragments
{
    private const int FragmentHeader = 8;
    private readonly Span<byte> _packet;
    private readonly int _mtu;
    private readonly int _header;
    private readonly int _nextHeaderAt;
    private readonly bool _isIpv6;
    private readonly uint _id;
    private int _position;

    /// <param name="packet">A whole IP packet for which the verdict was <see cref="OutboundVerdict.Fragment"/>.</param>
    /// <param name="mtu">The path's MTU.</param>
    /// <param name="identifiers">Where IPv6 fragments have their number from.</param>
    public OutboundFragments(Span<byte> packet, int mtu, IpIdentifiers identifiers)
    {
        _mtu = mtu;
        if (Ipv4View.TryParse(packet, out Ipv4View ip))
        {
            _packet = ip.Bytes;
            _header = ip.HeaderLength;
        }
        else if (Ipv6View.TryParse(packet, out Ipv6View ip6) && Ipv6Extensions.TryFindFragmentable(ip6.Bytes, out _header, out _nextHeaderAt))
        {
            _packet = ip6.Bytes;
            _isIpv6 = true;
            _id = identifiers.Next((uint)HashCode.Combine(BinaryPrimitives.ReadUInt64LittleEndian(ip6.Saddr[8..]), BinaryPrimitives.ReadUInt64LittleEndian(ip6.Daddr[8..])));
        }
    }

    /// <summary>Writes the next fragment; false: there are no more.</summary>
    /// <param name="destination">Room for the MTU.</param>
    /// <param name="length">The fragment's length.</param>
    public bool TryNext(Span<byte> destination, out int length)
    {
        length = 0;
        int header = _header + (_isIpv6 ? FragmentHeader : 0), left = _packet.Length - _header - _position, most = (_mtu - header) & ~7;
        if (left <= 0 || most <= 0 || destination.Length < Math.Min(_mtu, header + left))
        {
            return false;
        }
        bool more = left > _mtu - header;
        int part = more ? most : left;
        length = header + part;
        _packet[.._header].CopyTo(destination);
        _packet.Slice(_header + _position, part).CopyTo(destination[header..]);
        if (_isIpv6)
        {
            Finish6(destination, length, more);
        }
        else
        {
            Finish4(destination, length, more);
        }
        _position += part;
        return true;
    }

    private readonly void Finish4(Span<byte> fragment, int length, bool more)
    {
        const int FieldOffset = 6;
        ushort field = BinaryPrimitives.ReadUInt16BigEndian(fragment[FieldOffset..]);
        int offset = (field & Ipv4View.OffsetMask) + (_position / 8);
        int flags = (field & ~(Ipv4View.OffsetMask | Ipv4View.DontFragmentBit)) | (more ? Ipv4View.MoreFragmentsBit : 0);
        BinaryPrimitives.WriteUInt16BigEndian(fragment[FieldOffset..], (ushort)(flags | (offset & Ipv4View.OffsetMask)));
        if (_position > 0)
        {
            ClearUncopied(fragment[Ipv4View.MinHeaderLength.._header]);
        }
        Ipv4View.Complete(fragment, length, fragment[Ipv4View.ProtocolAt]);
    }

    /// <summary><c>ip_options_fragment</c>: options without the copy bit are in the first fragment only.</summary>
    private static void ClearUncopied(Span<byte> options)
    {
        const byte NoOperation = 1, CopyBit = 0x80;
        while (options.Length >= 2 && options[0] != 0)
        {
            int length = options[0] == NoOperation ? 1 : options[1];
            if (length < 1 || length > options.Length || (length < 2 && options[0] != NoOperation))
            {
                return;
            }
            if ((options[0] & CopyBit) == 0)
            {
                options[..length].Fill(NoOperation);
            }
            options = options[length..];
        }
    }

    private readonly void Finish6(Span<byte> fragment, int length, bool more)
    {
        Span<byte> header = fragment.Slice(_header, FragmentHeader);
        header[0] = fragment[_nextHeaderAt];
        header[1] = 0;
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)(_position | (more ? 1 : 0)));
        BinaryPrimitives.WriteUInt32BigEndian(header[4..], _id);
        fragment[_nextHeaderAt] = NextHeader.Fragment;
        Ipv6View.Complete(fragment, length);
    }
}
