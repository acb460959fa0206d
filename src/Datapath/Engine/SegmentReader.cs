using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// Takes a large TCP or UDP packet from the host's stack apart into packets that fit the path, headers and checksums complete: what
/// <c>tcp_gso_segment</c> and <c>__udp_gso_segment</c> do just before a device without TSO and USO.
/// </summary>
public ref struct SegmentReader
{
    private const int TcpSequence = 4, TcpOffsetAndFlags = 12, TcpFlags = 13, Ipv4Length = 2, Ipv4Id = 4, Ipv4Checksum = 10, Ipv6Length = 4, UdpLength = 4;
    private const byte Fin = 0x01, Push = 0x08, CongestionReduced = 0x80;
    private readonly ReadOnlySpan<byte> _packet;
    private readonly int _transport;
    private readonly int _header;
    private readonly int _size;
    private readonly bool _isTcp;
    private readonly bool _isV4;
    // Of both headers, without what differs from segment to segment. To sum up headers that have just been written would wait for their bytes.
    private readonly ulong _networkSum, _transportSum;
    private readonly uint _sequence;
    private readonly ushort _id;
    private readonly byte _flags;
    private int _position;
    private int _index;

    private SegmentReader(ReadOnlySpan<byte> packet, int transport, int header, int size, bool isTcp, bool isV4)
    {
        _packet = packet;
        _transport = transport;
        _header = header;
        _size = size;
        _isTcp = isTcp;
        _isV4 = isV4;
        _position = header;
        ReadOnlySpan<byte> upper = packet[transport..header];
        // What is left out counts as its complement, of which a word and its complement sum up to nothing.
        ulong sum = InternetChecksum.Sum(upper, isV4 ? InternetChecksum.Sum(packet.Slice(12, 8)) : InternetChecksum.Sum(packet.Slice(8, 32)));
        sum = Without(sum, upper[(isTcp ? TcpView.ChecksumAt : UdpView.ChecksumAt)..]);
        if (isTcp)
        {
            _sequence = BinaryPrimitives.ReadUInt32BigEndian(upper[TcpSequence..]);
            _flags = upper[TcpFlags];
            _transportSum = Without(Without(Without(sum, upper[TcpSequence..]), upper[(TcpSequence + 2)..]), upper[TcpOffsetAndFlags..]);
        }
        else
        {
            _transportSum = Without(sum, upper[UdpLength..]);
        }
        if (isV4)
        {
            _id = BinaryPrimitives.ReadUInt16BigEndian(packet[Ipv4Id..]);
            _networkSum = Without(Without(Without(InternetChecksum.Sum(packet[..transport]), packet[Ipv4Length..]), packet[Ipv4Id..]), packet[Ipv4Checksum..]);
        }
    }

    private static ulong Without(ulong sum, ReadOnlySpan<byte> word) => InternetChecksum.Add(sum, (ushort)~MemoryMarshal.Read<ushort>(word));

    /// <summary>Begins with a packet that the host left unsegmented. False: it is not what its header says.</summary>
    public static bool TryOpen(ReadOnlySpan<byte> packet, in VnetHeader vnet, out SegmentReader reader)
    {
        reader = default;
        bool isTcp = vnet.Segments is VnetHeader.GsoTcpV4 or VnetHeader.GsoTcpV6;
        if ((!isTcp && vnet.Segments != VnetHeader.GsoUdp) || packet.Length < Ipv4View.MinHeaderLength || vnet.GsoSize == 0)
        {
            return false;
        }
        bool isV4 = packet[0] >> 4 == 4;
        int transport = vnet.ChecksumStart, network = isV4 ? (packet[0] & 15) * 4 : Ipv6View.HeaderLength;
        // Extension headers may stand between the two, options not: they are part of what IHL tells.
        if (network < Ipv4View.MinHeaderLength || transport < network || (isV4 && transport != network) || packet.Length < transport + (isTcp ? TcpView.MinHeaderLength : UdpView.HeaderLength))
        {
            return false;
        }
        int header = transport + (isTcp ? (packet[transport + 12] >> 4) * 4 : UdpView.HeaderLength);
        if (header >= packet.Length || (isTcp && header < transport + TcpView.MinHeaderLength))
        {
            return false;
        }
        reader = new SegmentReader(packet, transport, header, vnet.GsoSize, isTcp, isV4);
        return true;
    }

    /// <summary>Bytes of the largest segment.</summary>
    public readonly int MaxLength => _header + Math.Min(_size, _packet.Length - _header);

    public readonly bool IsAtEnd => _position >= _packet.Length;

    /// <summary>Writes the next segment; its length.</summary>
    public int Next(Span<byte> destination)
    {
        int payload = Math.Min(_size, _packet.Length - _position), length = _header + payload;
        Span<byte> segment = destination[..length];
        _packet[.._header].CopyTo(segment);
        ulong payloadSum = InternetChecksum.Copy(_packet.Slice(_position, payload), segment[_header..]);
        SealTransport(segment[_transport..], payload, payloadSum);
        SealNetwork(segment, length);
        _position += payload;
        _index++;
        return length;
    }

    private readonly void SealTransport(Span<byte> transport, int payload, ulong payloadSum)
    {
        byte protocol = _isTcp ? NextHeader.Tcp : NextHeader.Udp;
        // As numbers, most significant byte first.
        ulong varying = (uint)transport.Length + protocol;
        if (_isTcp)
        {
            byte keep = 0xFF;
            if (_position + payload < _packet.Length)
            {
                keep &= unchecked((byte)~(Fin | Push));
            }
            if (_index > 0)
            {
                keep &= unchecked((byte)~CongestionReduced);
            }
            uint sequence = _sequence + (uint)(_position - _header);
            byte flags = (byte)(_flags & keep);
            BinaryPrimitives.WriteUInt32BigEndian(transport[TcpSequence..], sequence);
            transport[TcpFlags] = flags;
            varying += sequence + ((ulong)_packet[_transport + TcpOffsetAndFlags] << 8) + flags;
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(transport[UdpLength..], (ushort)transport.Length);
            varying += (uint)transport.Length;
        }
        ushort checksum = InternetChecksum.Finish(InternetChecksum.Add(InternetChecksum.Add(_transportSum, payloadSum), InMemory(varying)));
        if (checksum == 0 && !_isTcp)
        {
            checksum = ushort.MaxValue;
        }
        InternetChecksum.Write(transport[(_isTcp ? TcpView.ChecksumAt : UdpView.ChecksumAt)..], checksum);
    }

    private readonly void SealNetwork(Span<byte> segment, int length)
    {
        if (_isV4)
        {
            ushort id = (ushort)(_id + _index);
            BinaryPrimitives.WriteUInt16BigEndian(segment[Ipv4Length..], (ushort)length);
            BinaryPrimitives.WriteUInt16BigEndian(segment[Ipv4Id..], id);
            InternetChecksum.Write(segment[Ipv4Checksum..], InternetChecksum.Finish(InternetChecksum.Add(_networkSum, InMemory((ulong)(ushort)length + id))));
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(segment[Ipv6Length..], (ushort)(length - Ipv6View.HeaderLength));
        }
    }

    /// <summary>A sum of words, most significant byte first, as the same words' sum in memory: to swap all eight bytes swaps those of each word.</summary>
    private static ulong InMemory(ulong sum) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(sum) : sum;
}
