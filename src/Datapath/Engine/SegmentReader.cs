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
    private const int TcpSequence = 4, TcpFlags = 13, Ipv4Length = 2, Ipv4Id = 4, Ipv6Length = 4, UdpLength = 4;
    private const byte Fin = 0x01, Push = 0x08, CongestionReduced = 0x80;
    private readonly ReadOnlySpan<byte> _packet;
    private readonly int _transport;
    private readonly int _header;
    private readonly int _size;
    private readonly bool _isTcp;
    private readonly bool _isV4;
    private readonly ulong _addressSum;
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
        _addressSum = isV4 ? InternetChecksum.Sum(packet.Slice(12, 8)) : InternetChecksum.Sum(packet.Slice(8, 32));
    }

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
        Span<byte> transport = segment[_transport..];
        if (_isTcp)
        {
            uint sequence = BinaryPrimitives.ReadUInt32BigEndian(transport[TcpSequence..]) + (uint)(_position - _header);
            BinaryPrimitives.WriteUInt32BigEndian(transport[TcpSequence..], sequence);
            byte keep = 0xFF;
            if (_position + payload < _packet.Length)
            {
                keep &= unchecked((byte)~(Fin | Push));
            }
            if (_index > 0)
            {
                keep &= unchecked((byte)~CongestionReduced);
            }
            transport[TcpFlags] &= keep;
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(transport[UdpLength..], (ushort)transport.Length);
        }
        SealTransport(transport, payloadSum);
        SealNetwork(segment, length);
        _position += payload;
        _index++;
        return length;
    }

    private readonly void SealTransport(Span<byte> transport, ulong payloadSum)
    {
        byte protocol = _isTcp ? NextHeader.Tcp : NextHeader.Udp;
        int at = _isTcp ? TcpView.ChecksumAt : UdpView.ChecksumAt;
        transport[at] = transport[at + 1] = 0;
        uint tail = (uint)transport.Length + protocol;
        ulong pseudo = InternetChecksum.Add(_addressSum, BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(tail) : tail);
        ushort checksum = InternetChecksum.Finish(InternetChecksum.Sum(transport[..(_header - _transport)], InternetChecksum.Add(pseudo, payloadSum)));
        if (checksum == 0 && !_isTcp)
        {
            checksum = ushort.MaxValue;
        }
        MemoryMarshal.Write(transport[at..], in checksum);
    }

    private readonly void SealNetwork(Span<byte> segment, int length)
    {
        if (_isV4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(segment[Ipv4Length..], (ushort)length);
            ushort id = (ushort)(BinaryPrimitives.ReadUInt16BigEndian(segment[Ipv4Id..]) + _index);
            BinaryPrimitives.WriteUInt16BigEndian(segment[Ipv4Id..], id);
            Ipv4View.Seal(segment);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(segment[Ipv6Length..], (ushort)(length - Ipv6View.HeaderLength));
        }
    }
}
